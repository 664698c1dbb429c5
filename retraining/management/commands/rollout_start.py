"""`manage.py rollout_start`: begin to bring a version to a project's callers."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from audit.services import SYSTEM
from corpus.console import project_named, refusals_told
from inference.selectors import version_named
from retraining.management.rollouts import RolloutCommand
from retraining.services import rollout_start


class Command(RolloutCommand):
    help = "Begin to bring a version to a project's callers, by the steps of its rollout policy."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--model", required=True, help="name@number")
        parser.add_argument("--reason", default="", help="kept in the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        with refusals_told():
            version = version_named(project, options["model"])
            rollout = rollout_start(project=project, version=version, actor=SYSTEM, reason=options["reason"])
        self.tell(rollout)
