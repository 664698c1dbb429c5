"""`manage.py summaries_rebuild [--project SLUG]`: count all corrections anew, day by day."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from corpus.models import Project
from feedback.models import DailyReviews
from feedback.services import summary_rebuild


class Command(BaseCommand):
    help = "Count all corrections anew into the daily summaries that Insights reads. Changes no correction."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", metavar="SLUG", help="only this one")

    def handle(self, *args: Any, **options: Any) -> None:
        projects = Project.objects.order_by("slug")
        if options["project"]:
            projects = projects.filter(slug=options["project"])
            if not projects:
                raise CommandError(f"unknown_project: there is no project {options['project']!r}")
        for project in projects:
            summary_rebuild(project=project)
            days = DailyReviews.objects.filter(project=project).values("day").distinct().count()
            self.stdout.write(f"{project.slug}: {days} day{'' if days == 1 else 's'} counted")
