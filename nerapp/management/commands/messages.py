"""`manage.py messages`: gather the words of pages and scripts, compile them, say what is missing."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from nerapp import catalogs


class Command(BaseCommand):
    help = "Bring the catalogs in locale/ up to date with the sources and compile them."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--compile", action="store_true", help="only compile what the catalogs hold")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if not options["compile"]:
                catalogs.gather()
            catalogs.compile_all()
        except ModuleNotFoundError as error:
            raise CommandError(
                f"{error.name} is missing: it comes with `make lint` and `make test`."
            ) from error
        for language in catalogs.languages():
            found = list(catalogs.problems(language))
            self.stdout.write("\n".join(found))
            self.stdout.write(f"{language}: {len(found)} to do" if found else f"{language}: complete")
