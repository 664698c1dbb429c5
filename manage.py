#!/usr/bin/env python3
"""Django's command line, which says plainly when the services that a command needs do not run."""

from __future__ import annotations

import os
import sys

_EXIT_UNAVAILABLE = 69  # EX_UNAVAILABLE of sysexits.h


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nerapp.settings")
    try:
        from django.core.management import execute_from_command_line
        from django.db import OperationalError
    except ImportError:
        sys.exit("Django is not installed here: `make run` makes a virtual environment in .venv that has it.")
    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        # A code means that a server answered, and then it is not this sentence that helps.
        if getattr(error.__cause__, "pgcode", None):
            raise
        sys.stderr.write(
            f"No database answers: {error}\nStart nerapp with `make run`, or set DATABASE_URL.\n"
        )
        raise SystemExit(_EXIT_UNAVAILABLE) from None


if __name__ == "__main__":
    main()
