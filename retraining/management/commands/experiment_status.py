"""`manage.py experiment_status`: what experiments show, in plain words."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from corpus.console import project_named
from retraining.management.experiments import experiments_tell


class Command(BaseCommand):
    help = "Tell a project's experiments, the newest first, and what may be concluded from each."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="slug of the project")

    def handle(self, *args: Any, **options: Any) -> None:
        experiments_tell(project_named(options["project"]), self.stdout)
