"""`manage.py import_labeled`: all of a file or nothing of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from corpus.models import Document, Project
from feedback.models import Correction
from inference.models import ModelVersion
from labeling.models import Task

pytestmark = pytest.mark.django_db


def run(path: Path, **options: Any) -> str:
    out = io.StringIO()
    call_command(
        "import_labeled", str(path), project=options.pop("project", "orchard"), stdout=out, **options
    )
    return out.getvalue()


def written(folder: Path, content: str | bytes, name: str = "texts.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_each_line_is_a_text_kept_as_it_is_and_queued(champion: ModelVersion, tmp_path: Path) -> None:
    said = run(written(tmp_path, "  Ada 🎉 London \n\nAnn\u2028Boston\r\n"))
    assert "2 records read; 2 texts are new, 0 known already, 0 repeated" in said
    assert "2 queued for review" in said
    texts = set(Document.objects.values_list("text", flat=True))
    assert texts == {"  Ada 🎉 London ", "Ann\u2028Boston"}
    assert Task.objects.count() == 2


def test_the_same_file_again_changes_nothing(champion: ModelVersion, tmp_path: Path) -> None:
    path = written(tmp_path, "Ada\nAnn\nAda\n")
    assert "3 records read; 2 texts are new, 0 known already, 1 repeated" in run(path)
    assert "already_imported" in run(path)
    assert Task.objects.count() == 2


def test_of_a_labelled_file_only_the_texts_are_taken_when_asked(
    champion: ModelVersion, tmp_path: Path
) -> None:
    row = {"id": "a1", "text": "Ada wrote", "spans": [{"start": 0, "end": 3, "label": "x"}]}
    run(written(tmp_path, json.dumps(row) + "\n"), texts_only=True)
    assert not Correction.objects.exists()
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
    with pytest.raises(CommandError, match=r"There is no project .*known: .*orchard"):
        run(written(tmp_path, "Ada\n"), project="orchad")


def test_a_missing_file_is_said(project: Project, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="unreadable_file"):
        run(tmp_path / "nothing.txt")


def test_labels_come_mapped_by_a_file(champion: ModelVersion, tmp_path: Path) -> None:
    row = {"text": "Ada wrote", "spans": [{"start": 0, "end": 3, "label": "PERSON"}]}
    path = written(tmp_path, json.dumps(row) + "\n")
    with pytest.raises(CommandError, match=r"unknown_labels.*PERSON"):
        run(path)
    said = run(path, labels=written(tmp_path, '{"PERSON": "per"}', "labels.json"), source="elsewhere")
    assert "1 corrections by elsewhere" in said
    assert Correction.objects.get().spans[0]["label"] == "per"


def test_a_dry_run_stores_nothing(champion: ModelVersion, tmp_path: Path) -> None:
    said = run(written(tmp_path, "Ada\nAnn\n"), dry_run=True)
    assert "2 texts would be new" in said
    assert "nothing was stored" in said
    assert not Document.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_goes_out_is_what_came_in(champion: ModelVersion, tmp_path: Path) -> None:
    row = {
        "text": "Ada 🎉 wrote",
        "spans": [{"start": 0, "end": 3, "label": "per", "text": "Ada"}],
        "id": "a1",
    }
    run(written(tmp_path, json.dumps(row) + "\n"))
    out, said = tmp_path / "out.jsonl", io.StringIO()
    call_command("export_labeled", project="orchard", format="jsonl", out=out, stdout=said)
    written_row = json.loads(out.read_bytes())
    assert {name: written_row[name] for name in row} == row
    assert "1 records" in said.getvalue()
    assert json.loads((tmp_path / "out.jsonl.manifest.json").read_bytes())["records"] == 1


def test_fields_come_mapped_by_a_file(champion: ModelVersion, tmp_path: Path) -> None:
    path = written(tmp_path, "comentario;codigo\nAda 🎉 wrote;7\n", "texts.csv")
    fields = written(tmp_path, '{"text": "comentario", "id": "codigo"}', "fields.json")
    assert "csv: 1 records read; 1 texts are new" in run(path, fields=fields)
    assert Document.objects.values_list("external_id", "text").get() == ("7", "Ada 🎉 wrote")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ('{"text": "comment"}', r"unknown_field.*'comment'.*comentario, codigo"),
        ('{"txt": "comentario"}', "invalid_option.*text, id, spans"),
        ("{", "invalid_fields.*is not JSON"),
    ],
)
def test_fields_that_do_not_fit_are_said(project: Project, tmp_path: Path, fields: str, said: str) -> None:
    path = written(tmp_path, "comentario;codigo\nAda wrote;7\n", "texts.csv")
    with pytest.raises(CommandError, match=said):
        run(path, fields=written(tmp_path, fields, "fields.json"), format="csv")
    assert not Document.objects.exists()
