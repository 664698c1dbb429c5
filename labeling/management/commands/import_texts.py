"""`manage.py import_texts FILE --project SLUG`: bring texts into a project and queue them for review."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from audit.services import SYSTEM
from corpus.errors import DomainError
from corpus.models import Project
from labeling.services import queue_fill, texts_import
from ner.formats import FORMATS


class Command(BaseCommand):
    help = (
        "Store the texts of a file as documents of a project, and queue them for review. Plain text holds one"
        " text a line; of a labelled file only the texts are taken. All or nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--format", default="auto", choices=["auto", *FORMATS])

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            known = ", ".join(Project.objects.order_by("slug").values_list("slug", flat=True)) or "none yet"
            raise CommandError(
                f"unknown_project: there is no project {options['project']!r} (known: {known})"
            )
        try:
            done = texts_import(project=project, path=options["file"], actor=SYSTEM, format=options["format"])
        except DomainError as error:
            raise CommandError(f"{error.code}: {error.detail} Nothing was stored.") from error
        except OSError as error:
            raise CommandError(f"unreadable_file: {error.strerror}: {options['file']}") from error
        self.stdout.write(f"{done.new} new, {done.known} known already, of {done.read} read")
        if done.spans_left_out:
            self.stdout.write(f"{done.spans_left_out} labelled spans were left out: only texts are imported")
        filled = queue_fill(project=project)
        self.stdout.write(f"{filled.queued} queued for review")
