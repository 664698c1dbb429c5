"""`manage.py experiment_stop`: end an experiment without a decision."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audit.services import SYSTEM
from corpus.console import refusals_told
from retraining.management.experiments import experiment_arguments, experiment_meant, experiment_tell
from retraining.services import experiment_stop


class Command(BaseCommand):
    help = "Stop a running experiment: within 5 seconds the champion answers everybody."

    def add_arguments(self, parser: CommandParser) -> None:
        experiment_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        experiment = experiment_meant(options)
        with refusals_told():
            experiment = experiment_stop(experiment=experiment, actor=SYSTEM, reason=options["reason"])
        experiment_tell(experiment, self.stdout)
