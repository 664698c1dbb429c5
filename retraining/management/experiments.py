"""What the commands about experiments share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper

from corpus.console import project_named
from corpus.models import Project
from retraining.experiment_words import estimate_words, verdict_of
from retraining.models import Experiment
from retraining.selectors import arms_of, experiments_of, look_newest


def experiment_arguments(parser: CommandParser) -> None:
    """Which experiment, and why."""
    parser.add_argument("experiment", type=int, nargs="?", help="its number, see experiment_status")
    parser.add_argument("--project", help="in the place of a number: the newest of this project")
    parser.add_argument("--reason", required=True, help="kept in the audit log")


def experiment_meant(options: Mapping[str, Any]) -> Experiment:
    """The experiment of a number, or the newest of a project."""
    number, slug = options["experiment"], options["project"]
    if (number is None) == (slug is None):
        raise CommandError("Say which experiment: its number, or --project for the newest of one.")
    if slug is not None:
        experiment = experiments_of(project=project_named(slug)).first()
    else:
        experiment = Experiment.objects.select_related("project", "winner").filter(pk=number).first()
    if experiment is None:
        raise CommandError(f"There is no experiment {number or f'in {slug}'}.")
    return experiment


def experiment_tell(experiment: Experiment, to: OutputWrapper) -> None:
    """One experiment: its arms, and what may be concluded now."""
    arms, look = arms_of(experiment=experiment), look_newest(experiment=experiment)
    to.write(f"experiment {experiment.pk} ({experiment.status}): {experiment.question}")
    for arm in arms:
        out = "  worse: the champion answers its callers" if arm.is_dropped else ""
        to.write(f"  {arm.slot:12} {arm.version!s:24} {arm.share:>6g} %{out}")
    verdict = verdict_of(experiment, arms, look)
    for words in (verdict.sentence, *verdict.notes):
        to.write(f"  {words}")
    if experiment.status == Experiment.Status.RUNNING and look is None:
        for words in estimate_words(
            experiment.estimate, metric=experiment.metric, max_days=experiment.max_days
        ):
            to.write(f"  {words}")


def experiments_tell(project: Project, to: OutputWrapper) -> None:
    """All of a project's experiments, the newest first."""
    found = list(experiments_of(project=project))
    for experiment in found:
        experiment_tell(experiment, to)
    if not found:
        to.write("There is no experiment yet; experiment_create drafts one.")
