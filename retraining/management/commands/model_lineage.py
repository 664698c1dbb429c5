"""`manage.py model_lineage NAME@NUMBER [--project SLUG]`: where a version comes from, and what it became."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from corpus.console import project_named
from corpus.models import Project
from inference.models import ModelVersion
from retraining.lineage import COUNTED, Answers, Lessons, Step, lineage_of


class Command(BaseCommand):
    help = "Tell what a version was made from, back to the first model, and what it answered since."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", metavar="NAME@NUMBER")
        parser.add_argument("--project", help="only what it answered in this one (default: in all)")

    def handle(self, *args: Any, **options: Any) -> None:
        projects = Project.objects.all()
        if options["project"]:
            projects = projects.filter(pk=project_named(options["project"]).pk)
        lineage = lineage_of(version=_version(options["version"]), projects=projects)
        self.stdout.write(str(lineage.version))
        if lineage.run is not None:
            self.stdout.write(f"Made by run {lineage.run.pk}. Queued because: {lineage.because}")
        if lineage.lessons is not None:
            self._learned(lineage.lessons)
        self._line("Came from", lineage.ancestors)
        if lineage.ancestors_left_out:
            self.stdout.write(f"  ({lineage.ancestors_left_out} more before the last)")
        self._answered(lineage.answers)
        self._line("Became", lineage.children)

    def _learned(self, lessons: Lessons) -> None:
        self.stdout.write(f"Made with {lessons.total} corrections:")
        for name, tally in (("split", lessons.splits), ("stratum", lessons.strata), ("by", lessons.authors)):
            self.stdout.write(f"  {name:8} {_told(tally)}")
        self.stdout.write(f"  {'day':8} {_told((f'{day:%Y-%m-%d}', count) for day, count in lessons.days)}")
        if lessons.training_set.base_corpus is not None:
            self.stdout.write(f"  and {lessons.training_set.base_corpus}")

    def _answered(self, answers: Answers) -> None:
        cut = f" among its newest {COUNTED}; older ones are not counted" if answers.is_cut else ""
        self.stdout.write(f"Gave {answers.count} answers{cut}:")
        self.stdout.write(f"  {'slot':8} {_told(answers.slots)}")
        self.stdout.write(f"  {'day':8} {_told((f'{day:%Y-%m-%d}', count) for day, count in answers.days)}")
        self.stdout.write(f"  {answers.reviewed} of them were reviewed, {answers.changed} changed")

    def _line(self, title: str, steps: Iterable[Step]) -> None:
        self.stdout.write(f"{title}:")
        for step in steps:
            run = f" by run {step.run.pk}" if step.run is not None else ""
            self.stdout.write(f"  {step.version}{run}: {step.verdict}")


def _told(tally: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {count}" for name, count in tally) or "none"


def _version(reference: str) -> ModelVersion:
    name, _, number = reference.rpartition("@")
    if name and number.isascii() and number.isdecimal() and len(number) <= 9:
        version = ModelVersion.objects.filter(name=name, number=int(number)).first()
        if version is not None:
            return version
    raise CommandError(f"There is no version {reference}; say NAME@NUMBER.")
