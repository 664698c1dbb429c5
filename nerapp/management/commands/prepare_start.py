"""`manage.py prepare_start`: all that `make run` does before it serves, in one process instead of three."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser


class Command(BaseCommand):
    help = "Bring the database to this version, load the base models and the demo, make a sign-in link."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--link-file", type=Path, help="where the path of the sign-in link is written")

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ENV.database_owner_url:
            self.stdout.write("migrating")
            call_command("prepare_database", quiet=True)
        else:
            self.stdout.write("DATABASE_OWNER_URL is not set: the database is taken as it is, not migrated")
        call_command("setup_demo", stdout=self.stdout)
        if options["link_file"]:
            link = StringIO()
            call_command("signin_link", first=True, stdout=link)
            options["link_file"].write_text(link.getvalue().strip())
