"""Files to import, and what became of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from corpus.models import Project
from labeling.models import ImportJob
from labeling.options import ImportOptions, options_read
from labeling.services import file_import

Rows = Iterable[Mapping[str, Any]]


def row(text: str, *spans: tuple[int, int, str], **more: Any) -> dict[str, Any]:
    """One record of our JSONL."""
    return {"text": text, "spans": [{"start": s, "end": e, "label": label} for s, e, label in spans], **more}


def jsonl(*rows: Mapping[str, Any]) -> bytes:
    """A file of records."""
    return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in rows)


def written(folder: Path, content: bytes, name: str = "gold.jsonl") -> Path:
    """A file on the disk."""
    path = folder / name
    path.write_bytes(content)
    return path


def imported(
    project: Project, folder: Path, content: bytes, *, dry_run: bool = False, **options: Any
) -> ImportJob:
    """The job of a file that was imported at once."""
    wanted = options_read(ImportOptions, options)
    return file_import(project=project, path=written(folder, content), options=wanted, dry_run=dry_run)[0]
