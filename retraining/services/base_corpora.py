"""Importing a labelled corpus to rehearse, for a project whose owner has one."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from audit.services import Actor, event_record
from corpus.models import Project
from ner.formats import read_examples
from ner.spans import Example, Span
from retraining.errors import BaseCorpusRefused
from retraining.models import BaseCorpus


def base_corpus_import(
    *,
    project: Project,
    name: str,
    examples: Iterable[Example],
    labels: Mapping[str, str | None],
    actor: Actor,
) -> BaseCorpus:
    """Keep a labelled corpus for rehearsal; the same content again is the same corpus.

    `labels` renames labels (None leaves one out); a label it does not name stays as it is.
    """
    folder = corpora_dir()
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{secrets.token_hex(8)}.partial"
    digest, count = hashlib.sha256(), 0
    seen: set[str] = set()
    try:
        with aside.open("wb") as out:
            for example in examples:
                spans = _renamed(example.spans, labels)
                seen.update(span.label for span in spans)
                line: dict[str, Any] = {"id": example.id, "text": example.text}
                line["spans"] = [span.to_json(example.text) for span in spans]
                body = json.dumps(line, ensure_ascii=False).encode() + b"\n"
                digest.update(body)
                out.write(body)
                count += 1
            out.flush()
            os.fsync(out.fileno())
        if not seen:
            raise BaseCorpusRefused(problem="it holds no labelled entity.")
        aside.replace(folder / f"{digest.hexdigest()}.jsonl")
    finally:
        aside.unlink(missing_ok=True)
    with transaction.atomic():
        corpus, is_new = BaseCorpus.objects.get_or_create(
            project=project,
            sha256=digest.hexdigest(),
            defaults={"name": name, "examples": count, "labels": sorted(seen)},
        )
        if is_new:
            event_record(
                action="base_corpus.import",
                actor=actor,
                subject=corpus,
                chain=project.slug,
                data={"name": name, "examples": count, "labels": sorted(seen)},
            )
    return corpus


def base_corpus_examples(corpus: BaseCorpus) -> Iterator[Example]:
    """The examples of an imported corpus; refused when the file is not the one that was imported."""
    path = corpora_dir() / f"{corpus.sha256}.jsonl"
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        raise BaseCorpusRefused(problem=f"{path.name} is missing; import it again.") from None
    if found != corpus.sha256:
        raise BaseCorpusRefused(problem=f"{path.name} was changed; import it again.")
    return read_examples(path, format="jsonl")


def corpora_dir() -> Path:
    """Where imported corpora lie."""
    folder: Path = settings.DATA_DIR / "base_corpora"
    return folder


def _renamed(spans: Iterable[Span], labels: Mapping[str, str | None]) -> list[Span]:
    return [
        Span(span.start, span.end, label) for span in spans if (label := labels.get(span.label, span.label))
    ]
