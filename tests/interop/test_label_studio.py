"""Our Label Studio files opened by Label Studio's own converter, and what it writes by us."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ner.formats import Record, detect, read_records, write_records
from ner.spans import Span

converter = pytest.importorskip("label_studio_sdk.converter.converter")

CONFIG = """<View><Labels name="label" toName="text"><Label value="PER"/><Label value="ORG"/></Labels>
<Text name="text" value="$text"/></View>"""
RECORDS = [
    Record("Ann Lee met \U0001f469\u200d\U0001f467 and Bob.", (Span(0, 7, "PER"), Span(20, 23, "PER")), "1"),
    Record("The Bank of China paid.", (Span(4, 17, "ORG"),), "2"),
]


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.json"
    with path.open("wb") as stream:
        write_records(RECORDS, stream, "label_studio")
    return path


def convert(source: Path, folder: Path, format: Any) -> Path:
    converter.Converter(config=CONFIG, project_dir=None).convert(
        str(source), str(folder), format, is_dir=False
    )
    (made,) = [path for path in folder.iterdir() if path.is_file()]
    return made


@pytest.mark.parametrize("format", ["JSON_MIN", "CSV", "TSV"])
def test_what_the_converter_makes_of_our_file_says_the_same(
    exported: Path, tmp_path: Path, format: str
) -> None:
    made = convert(exported, tmp_path / "out", converter.Format[format])
    assert detect(made) == {"JSON_MIN": "label_studio_min", "CSV": "csv", "TSV": "tsv"}[format]
    found = list(read_records(made))
    assert [(r.text, r.spans, r.id) for r in found] == [(r.text, r.spans, r.id) for r in RECORDS]


def test_the_converter_makes_columns_with_our_entities(exported: Path, tmp_path: Path) -> None:
    made = convert(exported, tmp_path / "out", converter.Format.CONLL2003)
    found = [
        (record.text[span.start : span.end], span.label)
        for record in read_records(made, "conll")
        for span in record.spans or ()
    ]
    assert found == [("Ann Lee", "PER"), ("Bob", "PER"), ("Bank of China", "ORG")]


def test_our_short_form_has_the_keys_of_theirs(exported: Path, tmp_path: Path) -> None:
    theirs = json.loads(convert(exported, tmp_path / "out", converter.Format.JSON_MIN).read_text("utf-8"))
    ours = tmp_path / "ours.json"
    with ours.open("wb") as stream:
        write_records(RECORDS, stream, "label_studio_min")
    for mine, other in zip(json.loads(ours.read_text("utf-8")), theirs, strict=True):
        assert mine["text"] == other["text"]
        assert mine["label"] == other["label"]


@pytest.mark.django_db
def test_our_answers_as_an_ml_backend_pass_label_studios_own_check(
    client: Any, project: Any, tmp_path: Path, settings: Any
) -> None:
    from label_studio_sdk.label_interface import LabelInterface

    from audit.services import SYSTEM
    from inference.authentication import key_ring
    from inference.services import api_key_create, deployment_set, version_register
    from tests.bundles import tiny_bundle

    settings.DATA_DIR = tmp_path / "data"
    version = version_register(
        path=tiny_bundle(tmp_path / "tiny"), name="tiny", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="first")
    key_ring.forget()
    _, secret = api_key_create(project=project, name="studio", scopes=["predict"], actor=SYSTEM)
    task = {"id": 1, "data": {"text": "Ada Lovelace moved to London."}}
    answer = client.post(
        "/api/v1/label-studio/predict",
        {"tasks": [task], "label_config": CONFIG},
        content_type="application/json",
        headers={"Authorization": f"Bearer {secret}"},
    )
    [prediction] = answer.json()["results"]
    assert prediction["result"]
    assert LabelInterface(CONFIG).validate_prediction(prediction, return_errors=True) == []
    prediction["result"][0]["from_name"] = "other"
    assert LabelInterface(CONFIG).validate_prediction(prediction, return_errors=True)
