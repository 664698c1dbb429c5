"""The shipped corpora: exact spans, known labels, no text twice, and a README that counts right."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ner.spans import read_spans

CORPORA = Path(__file__).parents[2] / "corpora"
BASE = {"geo", "gpe", "org", "per", "tim", "art", "eve", "nat"}
ORCHARD = {"cultivar", "pest", "geo", "gpe", "org", "per", "tim"}
LABELS = {"general": BASE, "orchard": ORCHARD}
LABELLED = sorted(LABELS)


def records(name: str) -> list[dict[str, Any]]:
    lines = (CORPORA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def lines(name: str) -> list[str]:
    return (CORPORA / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def readme_counts(column: int) -> dict[str, int]:
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (\d+) \|$", (CORPORA / "README.md").read_text("utf-8"), re.M)
    return {row[0]: int(row[column]) for row in rows if int(row[column])}


@pytest.mark.parametrize("name", LABELLED)
def test_every_span_is_exact_and_known(name: str) -> None:
    for record in records(name):
        spans = read_spans(record["text"], record["spans"], labels=LABELS[name])
        assert [span.to_json(record["text"]) for span in spans] == record["spans"], record["id"]


@pytest.mark.parametrize("name", LABELLED)
def test_no_span_cuts_a_word_or_carries_spaces(name: str) -> None:
    for record in records(name):
        for span in record["spans"]:
            text, start, end = record["text"], span["start"], span["end"]
            assert span["text"] == span["text"].strip(), record["id"]
            assert not text[:start][-1:].isalnum(), record["id"]
            assert not text[end:][:1].isalnum(), record["id"]


@pytest.mark.parametrize("name", LABELLED)
def test_ids_are_unique_and_in_order(name: str) -> None:
    ids = [record["id"] for record in records(name)]
    assert ids == [f"{name}-{number:03d}" for number in range(1, len(ids) + 1)]


def test_no_text_occurs_twice_within_or_between_the_files() -> None:
    texts = [record["text"] for name in LABELLED for record in records(name)]
    texts += lines("rehearsal") + lines("demo")
    repeated = [
        text for text, times in Counter(" ".join(t.casefold().split()) for t in texts).items() if times > 1
    ]
    assert repeated == []


def test_no_line_is_empty_or_padded() -> None:
    for name in ("rehearsal", "demo"):
        assert all(line and line == line.strip() for line in lines(name))


def test_the_files_are_as_large_as_promised() -> None:
    assert len(records("general")) >= 280
    assert len(records("orchard")) >= 330
    assert len(lines("rehearsal")) >= 350
    assert len(lines("demo")) == 40


@pytest.mark.parametrize("name", LABELLED)
def test_some_texts_have_no_entity_at_all(name: str) -> None:
    empty = [record for record in records(name) if not record["spans"]]
    assert 0.1 < len(empty) / len(records(name)) < 0.2


@pytest.mark.parametrize(("name", "column"), [("general", 1), ("orchard", 2)])
def test_the_readme_counts_agree(name: str, column: int) -> None:
    counted = Counter(span["label"] for record in records(name) for span in record["spans"])
    assert readme_counts(column) == dict(counted)


def test_the_readme_states_the_size_of_every_file() -> None:
    readme = (CORPORA / "README.md").read_text(encoding="utf-8")
    sizes = {f"{name}.jsonl": len(records(name)) for name in LABELLED}
    sizes |= {f"{name}.txt": len(lines(name)) for name in ("rehearsal", "demo")}
    assert {
        name: int(size) for name, size in re.findall(r"^\| `([\w.]+)` \| (\d+) ", readme, re.M) if "." in name
    } == sizes
