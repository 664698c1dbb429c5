"""`manage.py experiment_create`: draft an experiment and tell how long it will take."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.services import SYSTEM
from corpus.console import project_named, refusals_told
from inference.models import Division, ModelVersion
from inference.selectors import version_named
from retraining.experiment_estimates import experiment_estimate
from retraining.experiment_words import estimate_words
from retraining.management.experiments import experiment_tell
from retraining.models import Experiment
from retraining.services import experiment_create

_SETTINGS = ("by", "metric", "effect", "alpha", "power", "max_days", "promotes_winner")


class Command(BaseCommand):
    help = (
        "Draft an experiment: versions that share a project's callers with the champion. Nobody gets it yet."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="slug of the project")
        parser.add_argument("--question", required=True, help="what is to be found out")
        parser.add_argument(
            "--arm",
            action="append",
            required=True,
            metavar="NAME@NUMBER=PERCENT",
            help="a version and its percent of the callers; up to three times",
        )
        parser.add_argument(
            "--by", choices=Division.By.values, default="subject", help="(default: %(default)s)"
        )
        parser.add_argument(
            "--metric", choices=Experiment.Metric.values, default="edit_rate", help="(default: %(default)s)"
        )
        parser.add_argument("--effect", type=float, default=0.03, help="worth having (default: %(default)s)")
        parser.add_argument("--alpha", type=float, default=0.05, help="(default: %(default)s)")
        parser.add_argument("--power", type=float, default=0.8, help="(default: %(default)s)")
        parser.add_argument("--max-days", type=int, default=28, help="(default: %(default)s)")
        parser.add_argument("--promotes-winner", action="store_true", help="without a human")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        settings = {name: options[name] for name in _SETTINGS}
        with refusals_told():
            arms: list[tuple[ModelVersion, float]] = []
            for told in options["arm"]:
                name, _, share = told.rpartition("=")
                arms.append((version_named(project, name), _percent(share)))
            experiment = experiment_create(
                project=project, question=options["question"], arms=arms, actor=SYSTEM, **settings
            )
        experiment_tell(experiment, self.stdout)
        asked = {name: settings[name] for name in ("metric", "by", "effect", "alpha", "power")}
        estimate = experiment_estimate(project=project, shares=[share for _, share in arms], **asked)
        for words in estimate_words(
            estimate.to_json(), metric=experiment.metric, max_days=experiment.max_days
        ):
            self.stdout.write(f"  {words}")


def _percent(text: str) -> float:
    try:
        return float(text.removesuffix("%"))
    except ValueError:
        raise CommandError("Say each --arm as name@number=percent.") from None
