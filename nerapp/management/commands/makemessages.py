"""`manage.py makemessages`, with the two words of static/js/i18n.js. `make messages` calls it."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import makemessages


class Command(makemessages.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        if options["domain"] == "djangojs":
            self.xgettext_options = [*makemessages.Command.xgettext_options, "--keyword=t", "--keyword=n:1,2"]
        super().handle(*args, **options)
