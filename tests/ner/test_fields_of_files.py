"""Files that call their fields otherwise: read as somebody says, and a likely answer for who has not said."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from ner.errors import FormatError
from ner.formats import Fields, Record, detect, places_of, read_records
from ner.spans import Span

ANN = (Span(0, 3, "per"),)


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def read(content: bytes, fields: Fields, format: str = "auto", **options: Any) -> list[Record]:
    return list(read_records(io.BytesIO(content), format, fields=fields, **options))


def refused(content: bytes, fields: Fields, format: str = "auto") -> FormatError:
    with pytest.raises(FormatError) as caught:
        read(content, fields, format)
    return caught.value


def likely(content: bytes, format: str = "auto", **fields: str | None) -> dict[str, str]:
    format = detect(io.BytesIO(content)) if format == "auto" else format
    return {place.part: place.likely for place in places_of(io.BytesIO(content), format, fields)}


@pytest.mark.parametrize(
    "spans",
    [
        [[0, 3, "per"]],
        [{"start": 0, "end": 3, "label": "per", "text": "Ann"}],
        [{"start_offset": 0, "end_offset": 3, "label": "per", "id": 5}],
    ],
)
@pytest.mark.parametrize("name", ["annotations", "entities", "labels"])
def test_text_id_and_spans_are_read_where_somebody_says(name: str, spans: Any) -> None:
    row = {"content": "Ann ran", "doc_id": 7, name: spans, "lang": "en"}
    expected = Record("Ann ran", ANN, "7", metadata={"lang": "en"})
    fields = {"text": "content", "id": "doc_id", "spans": name}
    assert read(lines(row), fields) == [expected]
    assert read(json.dumps([row]).encode(), fields) == [expected]
    cell = json.dumps(spans).replace('"', '""')
    for sign in ",;\t":
        table = f'Content{sign}doc_id{sign}{name}{sign}lang\nAnn ran{sign}7{sign}"{cell}"{sign}en\n'
        assert read(table.encode(), {**fields, "text": "CONTENT"}) == [expected]


def test_the_keys_of_spans_are_read_as_somebody_says() -> None:
    span = {"from": 0, "to": 3, "kind": "per", "label": "no", "text": "Ann", "start": 99}
    fields = {"start": "from", "end": "to", "label": "kind"}
    assert read(lines({"text": "Ann ran", "spans": [span]}), fields) == [Record("Ann ran", ANN)]
    # One that lacks the chosen key has none: nothing else is taken for it.
    del span["kind"]
    assert refused(lines({"text": "Ann ran", "spans": [span]}), fields).facts["cause"] == "missing_field"
    assert read(lines({"text": "Ann ran", "spans": [[0, 3, "per"]]}), fields) == [Record("Ann ran", ANN)]


def test_what_is_not_read_any_more_becomes_metadata() -> None:
    row = {"text": "a title", "full_text": "Ann ran", "label": "positive", "id": 1, "source": "Ann"}
    fields = {"text": "full_text", "spans": None, "id": None}
    for format in ("jsonl", "doccano"):
        (record,) = read(lines(row), fields, format)
        assert (record.text, record.spans, record.id) == ("Ann ran", None, "")
        assert {name: record.metadata[name] for name in ("text", "label", "id")} == {
            "text": "a title",
            "label": "positive",
            "id": 1,
        }
    (record,) = read(b"text,body,id,spans\na title,Ann ran,1,none\n", {"text": "body", "spans": None})
    assert record == Record("Ann ran", None, "1", metadata={"text": "a title", "spans": "none"})


def test_a_field_with_another_meaning_here_can_be_chosen() -> None:
    assert read(lines({"source": "Ann ran", "model": "m7"}), {"text": "source", "id": "model"}) == [
        Record("Ann ran", id="m7")
    ]
    assert read(b"comments,model\nAnn ran,m7\n", {"text": "comments", "id": "model"}) == [
        Record("Ann ran", id="m7")
    ]


@pytest.mark.parametrize(
    "content", [lines({"body": "Ann", "key": 1}, {"body": "Bob", "lang": "en"}), b"body,key,lang\nAnn,1,en\n"]
)
@pytest.mark.parametrize("part", ["text", "id", "spans"])
def test_a_field_that_the_file_lacks_is_refused_with_those_it_has(content: bytes, part: str) -> None:
    fields = {"text": "body", part: "contnet"}
    bad: list[FormatError] = []
    with pytest.raises(FormatError) as caught:
        list(
            read_records(
                io.BytesIO(content),
                fields=fields,
                format="csv" if content[:1] == b"b" else "auto",
                on_error=bad.append,
            )
        )
    assert caught.value.code == "unknown_field"
    assert "'contnet'" in str(caught.value)
    assert "body, key, lang" in str(caught.value)


def test_a_field_that_only_a_late_record_has_is_none_that_the_file_lacks() -> None:
    rows = [{"body": f"text {number}"} for number in range(300)]
    content = lines(*rows, {"body": "Ann ran", "ents": [[0, 3, "per"]]})
    assert read(content, {"text": "body", "spans": "ents"})[-1].spans == ANN


def test_a_record_without_a_text_names_its_fields() -> None:
    for content in (lines({"content": "Ann", "n": 1}), b"content,n\nAnn,1\n"):
        format = "csv" if content.startswith(b"c") else "jsonl"
        assert "content, n" in str(refused(content, {}, format))


def test_formats_without_fields_say_so() -> None:
    error = refused(b"Ann B-per\nran O\n", {"text": "content"})
    assert error.code == "no_fields"
    assert "jsonl, csv, tsv, doccano" in str(error)
    assert places_of(io.BytesIO(b"Ann B-per\n"), "conll") == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"content,doc_id\nAnn ran,7\n", "csv"),
        (b"doc_id\tSentence\n7\tAnn ran\n", "tsv"),
        ("doc_id;Überschrift\n7;Ann\n".encode(), "text"),
        (b"content\nAnn ran\n", "text"),
        (b"The message, as so often, was short: body and soul, review and comment.\n", "text"),
    ],
)
def test_a_table_is_recognised_by_a_column_that_is_likely_a_text(content: bytes, expected: str) -> None:
    assert detect(io.BytesIO(content)) == expected


def test_a_table_is_recognised_by_the_column_that_was_chosen() -> None:
    content = "doc_id;Überschrift\n7;Ann ran\n".encode()
    assert detect(io.BytesIO(content), {"text": "Überschrift"}) == "csv"
    assert read(content, {"text": "Überschrift", "id": "doc_id"}) == [Record("Ann ran", id="7")]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"text": "Ann ran", "spans": [], "id": 1}, {"text": "text", "id": "id", "spans": "spans"}),
        (
            {"Doc-ID": "x7", "Sentence": "Ann ran", "Entities": [[0, 3, "per"]], "lang": "en"},
            {"text": "Sentence", "id": "Doc-ID", "spans": "Entities"},
        ),
        (
            {
                "case_id": 7,
                "anamnese": "Ann ran home",
                "lang": "en",
                "found": [{"start": 0, "end": 3, "label": "x"}],
            },
            {"text": "anamnese", "id": "case_id", "spans": "found"},
        ),
        # The label of a whole text is no span.
        ({"text": "Ann ran", "label": "positive"}, {"text": "text", "id": "", "spans": ""}),
        ({"text": {"de": "Ann"}, "body": "Ann ran"}, {"text": "body", "id": "", "spans": ""}),
        (
            {"text": "Ann ran", "tokens": ["Ann", "ran"], "votes": [1, 2, 3]},
            {"text": "text", "id": "", "spans": ""},
        ),
        ({"n": 5}, {"text": "", "id": "", "spans": ""}),
    ],
)
def test_likely_fields_are_found_by_name_and_by_look(row: dict[str, Any], expected: dict[str, str]) -> None:
    assert likely(lines(row, {**row})) | {"id": expected["id"]} == expected
    if expected["id"]:
        assert likely(lines(row))["id"] == expected["id"]
    cells = {name: json.dumps(v) if isinstance(v, list) else str(v) for name, v in row.items()}
    quoted = ('"' + cell.replace('"', '""') + '"' for cell in cells.values())
    table = f"{','.join(row)}\n{','.join(quoted)}\n".encode()
    if isinstance(row.get("text", ""), str) and "n" not in row:
        assert likely(table, "csv") == {part: name.lower() for part, name in expected.items()}


def test_a_number_that_repeats_is_no_id() -> None:
    content = lines({"text": "Ann", "user_id": 1}, {"text": "Bob", "user_id": 1})
    assert likely(content)["id"] == ""


def test_the_keys_of_spans_are_asked_for_only_where_they_are_not_known() -> None:
    known = lines({"text": "Ann", "spans": [{"start_offset": 0, "end_offset": 3, "label": "per"}]})
    assert likely(known).keys() == {"text", "id", "spans"}
    other = lines(
        {"text": "Ann", "spans": []}, {"text": "Ann", "spans": [{"begin": 0, "stop": 3, "type": "per"}]}
    )
    assert likely(other) == {
        "text": "text",
        "id": "",
        "spans": "spans",
        "start": "begin",
        "end": "stop",
        "label": "type",
    }
    assert likely(other, spans=None).keys() == {"text", "id", "spans"}
    assert likely(known, start="id").keys() >= {"start", "end", "label"}


def test_bad_spans_do_not_make_a_field_that_has_them_another_one() -> None:
    assert likely(lines({"text": "Ann", "spans": [5], "more": [[0, 3, "per"]]}))["spans"] == "spans"
    assert likely(lines({"text": "Ann", "spans": None}))["spans"] == "spans"


def test_label_studio_tables_are_read_by_what_they_hold() -> None:
    table = b"id,body,ner,annotator,annotation_id,created_at,updated_at,lead_time\n1,Ann,,10,5,,,4.3\n"
    assert places_of(io.BytesIO(table), "csv") == []
