"""`manage.py experiment_conclude`: make a version of an experiment champion."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from audit.services import SYSTEM
from corpus.console import refusals_told
from inference.selectors import version_named
from retraining.management.experiments import experiment_arguments, experiment_meant, experiment_tell
from retraining.services import experiment_conclude


class Command(BaseCommand):
    help = "Make one of an experiment's versions champion; an experiment that runs ends with it."

    def add_arguments(self, parser: CommandParser) -> None:
        experiment_arguments(parser)
        parser.add_argument("--model", required=True, help="name@number, one of its versions")

    def handle(self, *args: Any, **options: Any) -> None:
        experiment = experiment_meant(options)
        with refusals_told():
            version = version_named(experiment.project, options["model"])
            experiment = experiment_conclude(
                experiment=experiment, version=version, actor=SYSTEM, reason=options["reason"]
            )
        experiment_tell(experiment, self.stdout)
