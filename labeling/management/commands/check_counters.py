"""`manage.py check_counters [--project SLUG] [--repair]`: do the stored counters say what the rows say?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from corpus.console import project_named
from corpus.models import Project
from labeling.services.tallies import tallies_check, tallies_repair


class Command(BaseCommand):
    help = "Compare the stored counters of projects with their rows; --repair makes them anew."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", help="slug; all projects without")
        parser.add_argument("--repair", action="store_true", help="write what was counted")

    def handle(self, *args: Any, **options: Any) -> None:
        slug = options["project"]
        projects = [project_named(slug)] if slug else list(Project.objects.order_by("slug"))
        wrong = 0
        for project in projects:
            found = tallies_repair(project=project) if options["repair"] else tallies_check(project=project)
            wrong += len(found)
            for mistake in found:
                name = " ".join(part for part in (mistake.kind, *mistake.key) if part)
                self.stdout.write(f"{project.slug}: {name} says {mistake.says}, there are {mistake.counted}")
        if wrong and not options["repair"]:
            raise CommandError(f"{wrong} counters are wrong; --repair makes them anew.")
        self.stdout.write(f"{wrong} counters repaired." if wrong else "All counters are right.")
