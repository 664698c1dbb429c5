"""`manage.py import_base_corpus FILE --project SLUG`: a labelled corpus to rehearse while retraining."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.services import SYSTEM
from corpus.console import project_named
from corpus.errors import DomainError
from ner.errors import NerError
from ner.formats import FORMATS, read_examples
from retraining.services import base_corpus_import


class Command(BaseCommand):
    help = "Keep a labelled corpus that the project's trainings rehearse, so that they forget less."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--project", required=True, help="slug of the project")
        parser.add_argument("--format", default="auto", choices=["auto", *FORMATS])
        parser.add_argument("--labels", type=Path, help="JSON: label in the corpus -> label here, or null")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        path: Path = options["file"]
        try:
            labels = json.loads(options["labels"].read_text("utf-8")) if options["labels"] else {}
            corpus = base_corpus_import(
                project=project,
                name=path.name,
                examples=read_examples(path, options["format"]),
                labels=labels,
                actor=SYSTEM,
            )
        except (DomainError, NerError, OSError, json.JSONDecodeError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"{corpus.examples} examples of {path.name} are rehearsed from the next training on "
            f"(labels: {', '.join(corpus.labels)})."
        )
