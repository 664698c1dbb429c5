"""Our DocBin opened by spaCy, and spaCy's by us."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ner.formats import Record, detect, read_records, write_records
from ner.formats.spacy_strings import hash_of
from ner.spans import Span

spacy = pytest.importorskip("spacy")
from spacy.tokens import Doc, DocBin  # noqa: E402
from spacy.tokens import Span as SpacySpan  # noqa: E402
from spacy.training import Example as SpacyExample  # noqa: E402

OFFSETS = json.loads((Path(__file__).parents[1] / "data" / "offsets.json").read_text("utf-8"))
TEXT = "Ann  met \U0001f469\u200d\U0001f467 in\n New\u00a0York. "


@pytest.fixture(scope="module")
def english() -> spacy.Language:
    return spacy.blank("en")


def docs_of(records: list[Record], english: spacy.Language) -> list[Doc]:
    stream = io.BytesIO()
    write_records(records, stream, "spacy")
    return list(DocBin().from_bytes(stream.getvalue()).get_docs(english.vocab))


def records_of(docs: list[Doc], **options: bool) -> list[Record]:
    content = io.BytesIO(DocBin(docs=docs, store_user_data=True).to_bytes())
    assert detect(content) == "spacy"
    return list(read_records(content, "spacy", **options))


def test_spacy_reads_text_entities_and_what_is_missing(english: spacy.Language) -> None:
    spans = (Span(0, 3, "PERSON"), Span(9, 12, "\u00e9moji"), Span(17, 25, "GPE"))
    reviewed, empty, unseen = docs_of([Record(TEXT, spans), Record(TEXT, ()), Record(TEXT)], english)
    assert [doc.text for doc in (reviewed, empty, unseen)] == [TEXT] * 3
    assert [(e.start_char, e.end_char, e.label_) for e in reviewed.ents] == [
        (span.start, span.end, span.label) for span in spans
    ]
    assert {token.ent_iob_ for token in empty} == {"O"}
    assert {token.ent_iob_ for token in unseen} == {""}


def test_spacy_reads_overlaps_as_the_group_of_its_span_categorizer(english: spacy.Language) -> None:
    (doc,) = docs_of([Record("Bank of China", (Span(0, 13, "ORG"), Span(8, 13, "GPE")))], english)
    assert [(s.text, s.label_) for s in doc.spans["sc"]] == [("Bank of China", "ORG"), ("China", "GPE")]


def test_we_read_what_spacy_writes(english: spacy.Language) -> None:
    doc = english("Ann Lee met Bob in Oslo.")
    doc.ents = [SpacySpan(doc, 0, 2, "PERSON"), SpacySpan(doc, 5, 6, "city")]
    silent, looked = english("Nobody looked."), english("Nothing here.")
    looked.ents = []
    nested = english("Bank of China")
    nested.spans["sc"] = [SpacySpan(nested, 0, 3, "ORG"), SpacySpan(nested, 2, 3, "GPE")]
    nested.spans["other"] = [SpacySpan(nested, 0, 1, "X")]
    found = records_of([doc, silent, looked, nested], allow_overlap=True)
    assert [record.text for record in found] == [d.text for d in (doc, silent, looked, nested)]
    assert [record.spans for record in found] == [
        (Span(0, 7, "PERSON"), Span(19, 23, "city")),
        None,
        (),
        (Span(0, 13, "ORG"), Span(8, 13, "GPE")),
    ]


def test_an_older_file_without_the_later_parts_is_read(english: spacy.Language) -> None:
    doc = english("Ann ran.")
    doc.ents = [SpacySpan(doc, 0, 1, "PERSON")]
    content = DocBin(attrs=["ENT_TYPE", "ENT_IOB", "LEMMA"], docs=[doc]).to_bytes()
    (record,) = read_records(io.BytesIO(content), "spacy")
    assert (record.text, record.spans) == ("Ann ran.", (Span(0, 3, "PERSON"),))


@pytest.mark.parametrize("case", OFFSETS, ids=lambda case: case["name"])
def test_the_shared_offset_cases_survive_spacy(case: dict[str, Any], english: spacy.Language) -> None:
    spans = tuple(sorted(Span(item["start"], item["end"], "per") for item in case["spans"]))
    (doc,) = docs_of([Record(case["text"], spans)], english)
    assert doc.text == case["text"]
    found = doc.spans.get("sc", doc.ents)
    assert [(e.start_char, e.end_char) for e in found] == [(s.start, s.end) for s in spans]
    (again,) = records_of([doc], allow_overlap=True)
    assert (again.text, again.spans) == (case["text"], spans or ())


@given(text=st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_the_same_text_in_spacy(text: str, english: spacy.Language) -> None:
    half = len(text) // 2
    spans = (Span(half, len(text), "ORG"),)
    (doc,) = docs_of([Record(text, spans)], english)
    assert doc.text == text
    assert [(e.start_char, e.end_char, e.label_) for e in doc.ents] == [(half, len(text), "ORG")]
    assert records_of([english(text)])[0].text == text


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_strings_hash_as_in_spacy(word: str) -> None:
    from spacy.strings import get_string_id

    assert hash_of(word) == get_string_id(word)


def test_spacys_own_names_have_their_numbers() -> None:
    from spacy.symbols import IDS

    assert {name: hash_of(name) for name in IDS} == IDS


def test_spacy_trains_on_our_pairs(english: spacy.Language) -> None:
    stream = io.BytesIO()
    write_records([Record("Ann ran", (Span(0, 3, "PERSON"),)), Record("Nothing", ())], stream, "spacy_json")
    for text, facts in json.loads(stream.getvalue()):
        example = SpacyExample.from_dict(english.make_doc(text), facts)
        assert [e.text for e in example.reference.ents] == (["Ann"] if "Ann" in text else [])


@pytest.mark.parametrize("format", ["conll", "conll2003"])
def test_spacy_converts_our_columns(format: str) -> None:
    from spacy.training.converters import conll_ner_to_docs

    stream = io.BytesIO()
    record = Record("Ann Lee met Bob.", (Span(0, 7, "PER"), Span(12, 15, "PER")))
    write_records([record], stream, format)
    (doc,) = conll_ner_to_docs(stream.getvalue().decode(), no_print=True)
    assert [(entity.text, entity.label_) for entity in doc.ents] == [("Ann Lee", "PER"), ("Bob", "PER")]
