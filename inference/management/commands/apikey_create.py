"""`manage.py apikey_create`: make an API key and print it, alone, on stdout."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.services import SYSTEM
from corpus.console import project_named
from corpus.errors import DomainError
from inference.models import ApiKey
from inference.services import api_key_create

_USUAL = (ApiKey.Scope.PREDICT, ApiKey.Scope.FEEDBACK, ApiKey.Scope.MODELS)


class Command(BaseCommand):
    help = "Make an API key. Only the key goes to stdout; it is shown once and stored nowhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="slug of the project")
        parser.add_argument("--name", required=True, help="what the key is for")
        parser.add_argument(
            "--scopes",
            nargs="+",
            default=[scope.value for scope in _USUAL],
            choices=ApiKey.Scope.values,
            help="what it may do (default: %(default)s)",
        )
        parser.add_argument(
            "--internal", action="store_true", help="our own: always the champion, in no experiment"
        )
        parser.add_argument("--rate", type=int, default=1000, help="texts an hour (default: %(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        if options["rate"] < 1:
            raise CommandError("--rate must be at least 1.")
        try:
            _, secret = api_key_create(
                project=project,
                name=options["name"],
                scopes=options["scopes"],
                actor=SYSTEM,
                internal=options["internal"],
                rate_per_hour=options["rate"],
            )
        except DomainError as error:
            raise CommandError(error.detail) from error
        self.stdout.write(secret)
