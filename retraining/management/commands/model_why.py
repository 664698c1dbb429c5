"""`manage.py model_why --project SLUG`: why the project's champion is serving, in plain words."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from corpus.console import project_named
from retraining.why import why_serving


class Command(BaseCommand):
    help = "Tell what made the project's champion champion, what it learned from, and what was tried since."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="slug of the project")

    def handle(self, *args: Any, **options: Any) -> None:
        why = why_serving(project=project_named(options["project"]))
        if why is None:
            raise CommandError("No model serves this project: promote a version first.")
        for sentence in why.sentences:
            self.stdout.write(sentence)
        for attempt in why.attempts:
            self.stdout.write(f"- {attempt.at:%Y-%m-%d %H:%M} {attempt.outcome}")
            for reason in attempt.reasons:
                self.stdout.write(f"    {reason}")
        self.stdout.write("Who served before:")
        for move in why.moves:
            self.stdout.write(
                f"- {move.at:%Y-%m-%d %H:%M} {move.data.get('from') or '-'} -> {move.data.get('to')} "
                f"by {move.actor_name}: {move.reason}"
            )
