"""`manage.py export_labeled --project SLUG --format F --out FILE`: a project's labelled texts as a file."""

from __future__ import annotations

import shutil
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.dateparse import parse_datetime

from corpus.console import project_named
from corpus.errors import DomainError
from feedback.models import Stratum
from labeling.management.progress import Progress
from labeling.models import JobStatus
from labeling.options import ExportOptions, export_formats, options_read
from labeling.services import export_losses, export_run, export_start
from labeling.services.exports import LOOK
from labeling.services.uploads import EXPORT, MANIFEST, files_remove, job_folder


class Command(BaseCommand):
    help = (
        "Write the labelled texts of a project to a file, as of one moment, and a manifest beside it. "
        "With --losses only say what the format cannot carry."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--project", required=True, metavar="SLUG")
        parser.add_argument("--format", required=True, choices=export_formats())
        parser.add_argument("--out", type=Path, metavar="FILE")
        parser.add_argument("--all", action="store_true", help="texts that nobody has corrected too")
        parser.add_argument("--stratum", action="append", default=[], choices=Stratum.values)
        parser.add_argument("--since", metavar="MOMENT", help="ISO 8601, e.g. 2026-01-31T00:00Z")
        parser.add_argument("--predictions", action="store_true", help="the machine's newest answers too")
        parser.add_argument("--losses", action="store_true", help="say what would be lost; write nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        if not options["losses"] and options["out"] is None:
            raise CommandError("required: say where to with --out FILE, or ask for --losses.")
        since = parse_datetime(options["since"]) if options["since"] else None
        if options["since"] and (since is None or since.tzinfo is None):
            raise CommandError("invalid_option: --since needs a moment with its time zone.")
        try:
            wanted = options_read(
                ExportOptions,
                {
                    "format": options["format"],
                    "reviewed_only": not options["all"],
                    "strata": options["stratum"],
                    "since": since,
                    "predictions": options["predictions"],
                },
            )
            if options["losses"]:
                report = export_losses(project=project, options=wanted)
                self.stdout.write(f"Of the first {LOOK} texts, {report.looked_at} were looked at.")
                self._losses(report.to_json())
                return
            job = export_start(project=project, options=wanted, publish=False)
        except DomainError as error:
            raise CommandError(f"{error.code}: {error.detail}") from error
        progress = Progress(self.stderr, noun="records")
        export_run(job_id=job.pk, tell=progress.tell)
        progress.end()
        job.refresh_from_db()
        if job.status != JobStatus.DONE:
            raise CommandError(f"{job.error_code or job.status}: {job.error}")
        out: Path = options["out"]
        try:
            shutil.copyfile(job_folder(job) / EXPORT, out)
            shutil.copyfile(job_folder(job) / MANIFEST, out.with_name(f"{out.name}.{MANIFEST}"))
        except OSError as error:
            raise CommandError(f"unwritable_file: {error.strerror}: {out}") from error
        files_remove(job)
        self.stdout.write(f"{job.counts['written']} records, {job.size_bytes} bytes, sha256 {job.sha256}")
        self._losses(job.losses)

    def _losses(self, losses: list[dict[str, Any]]) -> None:
        if not losses:
            self.stdout.write("Nothing is lost in this format.")
        for loss in losses:
            documents = ", ".join(loss["documents"][:3])
            self.stdout.write(f"lost {loss['count']} times: {loss['words']} ({documents})")
