"""`manage.py import_labeled FILE --project SLUG`: bring texts into a project, labelled or not."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from corpus.console import project_named
from corpus.errors import DomainError
from corpus.models import Project
from labeling.management.progress import Progress
from labeling.models import ImportJob, JobStatus
from labeling.options import ImportOptions, import_formats, options_read
from labeling.services import file_import, queue_fill
from labeling.services.import_store import COUNTS

_SHOWN = 20


class Command(BaseCommand):
    help = (
        "Bring the texts of a file into a project. What people marked becomes corrections by a named source,"
        " what a machine answered becomes predictions of an external version, and texts that nobody has"
        " looked at are queued for review. Plain text holds one text a line. All or nothing, unless asked"
        " otherwise."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--format", default="auto", choices=["auto", *import_formats()])
        parser.add_argument(
            "--labels",
            type=Path,
            metavar="MAP.JSON",
            help='what becomes of labels: {"PERSON": "per", "MISC": null}; null leaves its spans out',
        )
        parser.add_argument(
            "--fields",
            type=Path,
            metavar="MAP.JSON",
            help='where JSON Lines or a table has what: {"text": "content", "id": "doc_id", "spans": null};'
            " of spans that are objects also start, end, label; null: nowhere",
        )
        parser.add_argument("--create-labels", action="store_true", help="add labels that the project lacks")
        parser.add_argument("--texts-only", action="store_true", help="leave all labels behind")
        parser.add_argument("--repair", action="store_true", help="mend invalid tag sequences")
        parser.add_argument("--dry-run", action="store_true", help="say what would be stored; store nothing")
        parser.add_argument(
            "--keep-good-rows", action="store_true", help="leave bad records out instead of refusing the file"
        )
        parser.add_argument("--source", default="", metavar="NAME", help="who marked the spans")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        wanted = self._options(options)
        path: Path = options["file"]
        progress = Progress(self.stderr, noun="records")
        try:
            job, was_there = file_import(
                project=project, path=path, options=wanted, dry_run=options["dry_run"], tell=progress.tell
            )
        except OSError as error:
            raise CommandError(f"unreadable_file: {error.strerror}: {path}") from error
        except DomainError as error:
            raise CommandError(f"{error.code}: {error.detail} Nothing was stored.") from error
        progress.end()
        if was_there and job.ended_at is not None and job.status == JobStatus.DONE:
            when = f"{job.ended_at:%Y-%m-%d %H:%M} UTC"
            self.stdout.write(f"already_imported: this file, with these options, on {when}")
            return
        self._report(job, project)

    def _options(self, options: Mapping[str, Any]) -> ImportOptions:
        maps = {name: _map(name, options[name]) for name in ("labels", "fields")}
        values = {
            name: options[name]
            for name in ("format", "create_labels", "keep_good_rows", "texts_only", "repair", "source")
        }
        try:
            return options_read(ImportOptions, {**values, **maps})
        except DomainError as error:
            raise CommandError(f"{error.code}: {error.detail}") from error

    def _report(self, job: ImportJob, project: Project) -> None:
        for error in job.errors[:_SHOWN]:
            self.stderr.write(f"line {error['place']}: {error['code']}: {error['problem']}")
        if job.error_count > _SHOWN:
            self.stderr.write(f"and {job.error_count - _SHOWN} more bad records")
        if job.is_active:
            raise CommandError("job_active: another process is importing this file right now.")
        if job.status not in (JobStatus.DONE, JobStatus.CHECKED):
            stored = f"{job.position} records were stored" if job.position else "Nothing was stored"
            raise CommandError(f"{job.error_code or job.status}: {job.error} {stored}.")
        counts = {"errors": 0, **dict.fromkeys(COUNTS, 0), **job.counts}
        said = "would be" if job.status == JobStatus.CHECKED else "are"
        self.stdout.write(
            f"{job.format}: {counts['read']} records read; {counts['new']} texts {said} new, "
            f"{counts['known']} known already, {counts['repeated']} repeated"
        )
        self.stdout.write(
            f"{counts['corrected']} corrections by {job.options['source'] or job.format}, "
            f"{counts['kept']} left out because the text is corrected already, "
            f"{counts['predicted']} predictions"
        )
        if counts["errors"]:
            self.stdout.write(f"{counts['errors']} bad records were left out")
        if job.status == JobStatus.CHECKED:
            self.stdout.write("A dry run: nothing was stored.")
            return
        filled = queue_fill(project=project)
        self.stdout.write(f"{filled.queued} queued for review")


def _map(name: str, path: Path | None) -> Any:
    """What a file maps to what, as JSON."""
    if path is None:
        return {}
    try:
        return json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CommandError(f"unreadable_file: {error.strerror}: {path}") from error
    except ValueError as error:
        raise CommandError(f"invalid_{name}: {path} is not JSON: {error}") from error
