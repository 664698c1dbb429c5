"""`manage.py import_texts`: all of a file or nothing of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from corpus.models import Document, Project
from inference.models import ModelVersion
from labeling.models import Task

pytestmark = pytest.mark.django_db


def run(path: Path, **options: Any) -> str:
    out = io.StringIO()
    call_command("import_texts", str(path), project=options.pop("project", "orchard"), stdout=out, **options)
    return out.getvalue()


def written(folder: Path, content: str | bytes, name: str = "texts.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_each_line_is_a_text_kept_as_it_is_and_queued(champion: ModelVersion, tmp_path: Path) -> None:
    said = run(written(tmp_path, "  Ada 🎉 London \n\nAnn\u2028Boston\r\n"))
    assert said.splitlines() == ["2 new, 0 known already, of 2 read", "2 queued for review"]
    texts = set(Document.objects.values_list("text", flat=True))
    assert texts == {"  Ada 🎉 London ", "Ann\u2028Boston"}
    assert Task.objects.count() == 2


def test_the_same_file_again_changes_nothing(champion: ModelVersion, tmp_path: Path) -> None:
    path = written(tmp_path, "Ada\nAnn\nAda\n")
    assert "2 new, 0 known already, of 3 read" in run(path)
    assert "0 new, 2 known already, of 3 read" in run(path)
    assert Task.objects.count() == 2


def test_of_a_labelled_file_only_the_texts_are_taken(champion: ModelVersion, tmp_path: Path) -> None:
    row = {"id": "a1", "text": "Ada wrote", "spans": [{"start": 0, "end": 3, "label": "x"}]}
    said = run(written(tmp_path, json.dumps(row) + "\n"))
    assert "1 labelled spans were left out" in said
    assert Document.objects.get().external_id == "a1"


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (b"", "empty_file", ""),
        (b"\n \n", "empty_file", ""),
        (b"Ada\nB\xff\n", "invalid_encoding", "Line 2"),
        ("Ada\n".encode("utf-16"), "invalid_encoding", "UTF-16"),
        (b"Ada\nAnn\x00\n", "unknown_format", "binary"),
        (b'{"text": "Ada"}\n{"text": \n', "", "Line 2"),
        (b"PK\x03\x04 not a text", "unknown_format", "ZIP"),
    ],
)
def test_a_bad_file_is_refused_with_its_line_and_nothing_is_stored(
    project: Project, tmp_path: Path, content: bytes, code: str, place: str
) -> None:
    with pytest.raises(CommandError) as refused:
        run(written(tmp_path, content))
    assert code in str(refused.value)
    assert place in str(refused.value)
    assert "Nothing was stored" in str(refused.value)
    assert not Document.objects.exists()


def test_an_unknown_project_is_said_with_the_known_ones(project: Project, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match=r"unknown_project.*orchard"):
        run(written(tmp_path, "Ada\n"), project="orchad")


def test_a_missing_file_is_said(project: Project, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="unreadable_file"):
        run(tmp_path / "nothing.txt")
