"""`manage.py drift_report --project SLUG`: have the texts moved from those the champion was made from?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from corpus.console import project_named
from corpus.errors import DomainError
from inference.selectors import deployment_of
from ner.errors import NerError
from retraining.selectors import drift_newest
from retraining.services import drift_measure
from retraining.services.drift import FEWEST_TEXTS


class Command(BaseCommand):
    help = "Compare the newest texts of a project with those that its champion was made from, now."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="slug of the project")
        parser.add_argument("--last", action="store_true", help="show the last report instead of measuring")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        champion = deployment_of(project)
        if champion is None:
            raise CommandError(f"{project.slug} has no champion.")
        try:
            report = (
                drift_newest(project=project, version=champion.version)
                if options["last"]
                else drift_measure(project=project, at_once=True)
            )
        except (DomainError, NerError) as error:
            raise CommandError(str(error)) from None
        if report is None:
            self.stdout.write(
                f"{project.slug}: nothing to compare. {champion.version} has answered fewer than "
                f"{FEWEST_TEXTS} different texts since it is champion, or nobody knows what it was made from."
            )
            return
        self.stdout.write(
            f"{project.slug}: {report.texts} texts, {report.window_from:%Y-%m-%d %H:%M} to "
            f"{report.window_to:%Y-%m-%d %H:%M}, against {report.version} "
            f"({report.reference.get_source_display()})"
        )
        for measure in report.measured:
            value = "too few texts" if measure.value is None else f"{measure.value:.3f}"
            state = "DRIFTED" if measure.drifted else "-" if measure.value is None else "ok"
            kl = "" if measure.kl is None else f"  KL {measure.kl:.3f}"
            self.stdout.write(
                f"  {measure.name:14} {value:>13}  threshold {measure.threshold:.3f}{kl}  {state}"
            )
