"""Our rows of tokens opened by Hugging Face's datasets, and theirs by us."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ner.formats import Record, detect, read_records, write_records
from ner.spans import Span

datasets = pytest.importorskip("datasets")

RECORDS = [
    Record("Ann  met \U0001f469\u200d\U0001f467.", (Span(0, 3, "per"), Span(9, 12, "org")), "1"),
    Record("Nobody looked.", None, "2"),
    Record("Nothing here.", (), "3"),
]


def test_datasets_reads_our_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("wb") as stream:
        write_records(RECORDS, stream, "hf")
    rows = datasets.load_dataset(
        "json", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert [row["text"] for row in rows] == [record.text for record in RECORDS]
    assert rows[0]["ner_tags"] == ["B-per", "O", "B-org", "O"]
    assert (rows[1]["ner_tags"], rows[2]["ner_tags"]) == (None, ["O", "O", "O"])
    rows.to_json(str(tmp_path / "again.jsonl"), force_ascii=False)
    assert list(read_records(tmp_path / "again.jsonl", "hf")) == RECORDS


def test_we_read_tags_that_are_numbers_with_their_names(tmp_path: Path) -> None:
    names = ["O", "B-per", "I-per"]
    features = datasets.Features(
        {
            "tokens": datasets.Sequence(datasets.Value("string")),
            "ner_tags": datasets.Sequence(datasets.ClassLabel(names=names)),
        }
    )
    rows = datasets.Dataset.from_dict(
        {"tokens": [["Ann", "Lee", "ran"]], "ner_tags": [[1, 2, 0]]}, features=features
    )
    path = tmp_path / "rows.jsonl"
    rows.to_json(str(path))
    assert detect(path) == "hf"
    described = tmp_path / "described.jsonl"
    described.write_text(json.dumps(rows.features.to_dict()) + "\n" + path.read_text("utf-8"), "utf-8")
    (record,) = read_records(described, "hf")
    assert (record.text, record.spans) == ("Ann Lee ran", (Span(0, 7, "per"),))
