"""Readers and writers of labelled texts: what they read, what they refuse and with which line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ner.errors import FormatError
from ner.formats import ReadReport, Record, conll, detect, gmb_csv, read_examples, write_records
from ner.formats.source import Reading
from ner.spans import Example, Span


def data(text: str | bytes) -> io.BytesIO:
    return io.BytesIO(text if isinstance(text, bytes) else text.encode())


def read(text: str | bytes, format: str = "conll", **options: Any) -> list[Example]:
    return list(read_examples(data(text), format, **options))


def refused(text: str | bytes, format: str = "conll", **options: Any) -> FormatError:
    with pytest.raises(FormatError) as caught:
        read(text, format, **options)
    return caught.value


def found(text: str, **options: object) -> list[tuple[str, str]]:
    return [
        (example.text[span.start : span.end], span.label)
        for example in read(text, **options)
        for span in example.spans
    ]


# Columns


@pytest.mark.parametrize(
    "text",
    [
        "Ann\tB-per\nLee\tI-per\nran\tO\n\nOslo\tB-geo\n",
        "Ann B-per\nLee I-per\nran O\n\nOslo B-geo\n",
        "-DOCSTART- -X- O O\n\nAnn N x B-per\nLee N x I-per\nran V x O\n\nOslo N x B-geo\n",
        "Ann\tB-per\r\nLee\tI-per\r\nran\tO\r\n\r\nOslo\tB-geo\r\n",
        "Ann\tB-per\nLee\tI-per\nran\tO\n\t\nOslo\tB-geo",
        "\ufeffAnn\tB-per\nLee\tI-per\nran\tO\n\n\n\nOslo\tB-geo\n\n",
        "Ann I-per\nLee I-per\nran O\n\nOslo I-geo\n",
        "Ann B-per\nLee E-per\nran O\n\nOslo S-geo\n",
        "Ann B-per\nLee L-per\nran O\n\nOslo U-geo\n",
    ],
    ids=["tabs", "spaces", "docstart", "crlf", "tab line", "bom", "iob1", "bioes", "bilou"],
)
def test_columns_of_every_dialect_give_the_same_examples(text: str) -> None:
    assert read(text) == [
        Example("Ann Lee ran", (Span(0, 7, "per"),)),
        Example("Oslo", (Span(0, 4, "geo"),)),
    ]


def test_neighbours_with_one_label_stay_two_entities() -> None:
    expected = [("Ann", "per"), ("Bob", "per")]
    assert found("Ann B-per\nBob B-per\n") == expected
    assert found("Ann I-per\nBob B-per\n") == expected
    assert found("Ann S-per\nBob S-per\n") == expected


def test_another_label_inside_begins_another_entity_in_iob1() -> None:
    assert found("Ann I-per\nOslo I-geo\n") == [("Ann", "per"), ("Oslo", "geo")]


def test_one_column_is_text_without_entities() -> None:
    assert read("Ann\nran\n\nhome\n") == [Example("Ann ran"), Example("home")]


def test_a_no_break_space_belongs_to_its_token() -> None:
    assert read("a\u00a0b O\n") == [Example("a\u00a0b")]


def test_line_separators_inside_a_token_do_not_break_the_line() -> None:
    assert read("a\u0085b\u2028c\tB-per\n") == [Example("a\u0085b\u2028c", (Span(0, 5, "per"),))]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Ann B-per\nran O\nOslo I-geo\n", 3),
        ("Ann B-per\nOslo I-geo\n", 2),
        ("Ann I-per\n\nBob B-per\n", 3),
        ("Ann S-per\nBob B-per\nran O\n", 3),
        ("Ann S-per\nBob B-per\n\nran O\n", 2),
        ("Ann S-per\nLee E-per\n", 2),
    ],
)
def test_a_tag_that_fits_no_scheme_is_refused_with_its_line(text: str, line: int) -> None:
    error = refused(text)
    assert (error.code, error.facts["line"]) == ("bad_tag_sequence", line)


def test_repair_reads_the_entity_and_counts_it() -> None:
    report = ReadReport()
    assert found("Ann B-per\nran O\nOslo I-geo\n", repair=True, report=report) == [
        ("Ann", "per"),
        ("Oslo", "geo"),
    ]
    assert (report.repaired, report.examples, report.spans) == (1, 1, 2)


def test_a_named_scheme_is_enforced_from_the_first_line() -> None:
    with pytest.raises(FormatError, match="Line 1"):
        list(conll.read(data("Ann I-per\n"), Reading(), scheme="iob2"))


def test_it_refuses_rows_of_another_width_with_line_and_column() -> None:
    error = refused("Ann N B-per\nran O\n")
    assert (error.code, error.facts["line"], error.facts["column"]) == ("bad_row", 2, 2)


def test_it_refuses_a_last_column_that_is_no_tag() -> None:
    error = refused("Ann\tB-per\nran\tVERB\n")
    assert (error.code, error.facts["line"], error.facts["column"]) == ("bad_row", 2, 2)
    assert refused("Ann\tB-\n").code == "bad_row"


def test_an_empty_token_is_left_out_unless_it_is_an_entity() -> None:
    report = ReadReport()
    assert read("Ann\tB-per\n\tO\nran\tO\n", report=report)[0].text == "Ann ran"
    assert report.ignored == {"empty token": 1}
    assert refused("\tB-per\n").code == "bad_row"


@pytest.mark.parametrize(
    ("format", "expected"),
    [
        ("conll", "Ann\tB-per\nBob\tB-per\nLee\tI-per\nat\tO\nOslo.\tO\n\n"),
        ("iob1", "Ann\tI-per\nBob\tB-per\nLee\tI-per\nat\tO\nOslo.\tO\n\n"),
        ("bioes", "Ann\tS-per\nBob\tB-per\nLee\tE-per\nat\tO\nOslo.\tO\n\n"),
        (
            "conll2003",
            "-DOCSTART- -X- O O\n\nAnn -X- _ B-per\nBob -X- SpacesAfter=\\s\\s B-per\nLee -X- _ I-per\n"
            "at -X- _ O\nOslo -X- SpaceAfter=No O\n. -X- _ O\n\n",
        ),
        (
            "gmb_csv",
            "\ufeffSentence #,Word,POS,Tag\r\nSentence: 1,Ann,_,B-per\r\n,Bob,_,B-per\r\n,Lee,_,I-per\r\n"
            ",at,_,O\r\n,Oslo.,_,O\r\n",
        ),
    ],
)
def test_columns_are_written_in_their_scheme(format: str, expected: str) -> None:
    written = io.BytesIO()
    record = Record("Ann Bob  Lee at Oslo.", (Span(0, 3, "per"), Span(4, 12, "per")))
    write_records([record], written, format)
    assert written.getvalue().decode() == expected


def test_a_word_is_cut_where_an_entity_ends() -> None:
    written = io.BytesIO()
    write_records([Record("Ann's", (Span(0, 3, "per"),))], written, "conll")
    assert written.getvalue() == b"Ann\tB-per\n's\tO\n\n"


# JSON


@pytest.mark.parametrize(
    "record",
    [
        {"text": "Ann ran", "spans": [{"start": 0, "end": 3, "label": "per", "text": "Ann"}]},
        {"text": "Ann ran", "entities": [[0, 3, "per"]]},
        {"text": "Ann ran", "label": [[0, 3, "per"]], "Comments": []},
        {"text": "Ann ran", "labels": [[0, 3, "per"]]},
        {
            "text": "Ann ran",
            "entities": [{"id": 4, "start_offset": 0, "end_offset": 3, "label": "per"}],
            "relations": [],
        },
        {
            "full_text": "Ann ran",
            "spans": [{"entity_type": "per", "entity_value": "Ann", "start_position": 0, "end_position": 3}],
        },
        {
            "text": "Ann ran",
            "spans": [{"start": 0, "end": 3, "token_start": 0, "token_end": 0, "label": "per"}],
            "answer": "accept",
        },
        ["Ann ran", {"entities": [[0, 3, "per"]]}],
    ],
)
def test_json_dialects_give_the_same_example_alone_and_in_an_array(record: object) -> None:
    expected = Example("Ann ran", (Span(0, 3, "per"),))
    assert read(json.dumps(record) + "\n", "auto") == [expected]
    assert read(json.dumps([record, record]), "auto") == [expected, expected]
    assert read(json.dumps([record], indent=2), "auto") == [expected]


def test_only_accepted_records_count() -> None:
    report = ReadReport()
    lines = ['{"text": "a", "answer": "reject"}', '{"text": "b"}', '{"text": "c", "answer": "ignore"}']
    assert [example.text for example in read("\n".join(lines), "prodigy", report=report)] == ["b"]
    assert report.ignored == {"answer reject": 1, "answer ignore": 1}


def test_the_text_is_never_trimmed() -> None:
    text = "  Ann\r\n "
    (example,) = read(json.dumps({"text": text, "spans": [[2, 5, "per"]]}), "jsonl")
    assert example.text == text


def test_blank_lines_between_records_are_nothing() -> None:
    assert len(read('{"text": "a"}\n\n{"text": "b"}\n\n', "jsonl")) == 2


def test_one_bad_line_of_many_is_named() -> None:
    lines = ['{"text": "a"}'] * 1000
    lines[612] = '{"text": "a"'
    error = refused("\n".join(lines), "jsonl")
    assert (error.code, error.facts["line"]) == ("not_jsonl", 613)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{\n "text": "a"\n}\n', 1),
        ('[\n {"text": "a"},\n {"text": }\n]', 3),
        ('[{"text": "a"}\n {"text": "b"}]', 2),
        ('[{"text": "a"}', 1),
        ('[{"text": "a"}] more', 1),
        ('[{"text": "a"},]', 1),
        ("5\n", 1),
        ('"Ann"\n', 1),
        ('["Ann", [0, 3]]\n', 1),
        ('{"title": "Ann"}\n', 1),
        ('{"text": 5}\n', 1),
        ('{"text": "Ann", "spans": {"a": 1}}\n', 1),
        ("[" * 50_000, 1),
        ('{"text": "a"}\n' + "[" * 50_000, 2),
    ],
)
def test_it_refuses_what_is_no_record_with_its_line(text: str, line: int) -> None:
    error = refused(text, "jsonl")
    assert (error.code, error.facts["line"]) == ("not_jsonl", line)


@pytest.mark.parametrize(
    ("span", "cause"),
    [
        ([-1, 3, "per"], "offset_negative"),
        ([0, 99, "per"], "span_beyond_end"),
        ([0, 3], "missing_field"),
        (["0", 3, "per"], "not_an_integer"),
        ({"start": 0, "end": 3, "label": "per", "text": "Bob"}, "surface_mismatch"),
        (7, "not_a_span"),
    ],
)
def test_a_bad_span_names_its_line_and_its_cause(span: object, cause: str) -> None:
    lines = ['{"text": "fine"}', json.dumps({"text": "Ann ran", "spans": [span]})]
    error = refused("\n".join(lines), "jsonl")
    assert (error.code, error.facts["line"], error.facts["cause"]) == ("bad_span", 2, cause)


def test_overlap_is_refused_unless_the_project_allows_it() -> None:
    text = json.dumps({"text": "Ann ran", "spans": [[0, 3, "per"], [0, 7, "per"]]})
    assert refused(text, "jsonl").facts["cause"] == "span_overlap"
    assert len(read(text, "jsonl", allow_overlap=True)[0].spans) == 2


def test_utf16_offsets_are_known_by_what_they_quote() -> None:
    span: dict[str, object] = {"start": 3, "end": 6, "label": "per"}
    record = {"text": "\U0001f389 Ann", "spans": [span]}
    assert refused(json.dumps(record), "jsonl").facts["cause"] == "span_beyond_end"
    span["text"] = "Ann"
    assert read(json.dumps(record), "jsonl")[0].spans == (Span(2, 5, "per"),)


def test_characters_no_database_stores_are_refused() -> None:
    assert refused('{"text": "a\\u0000"}', "jsonl").code == "null_character"
    assert refused('{"text": "a\\ud83d"}', "jsonl").code == "invalid_unicode"


# The Groningen CSV

HEADER = "Sentence #,Word,POS,Tag\r\n"


def test_gmb_sentences_carry_their_id_only_once() -> None:
    text = HEADER + "Sentence: 1,Ann,NNP,B-per\r\n,ran,V,O\r\nSentence: 2,Oslo,NNP,B-geo\r\n"
    assert read(text, "gmb_csv") == [
        Example("Ann ran", (Span(0, 3, "per"),), "Sentence: 1"),
        Example("Oslo", (Span(0, 4, "geo"),), "Sentence: 2"),
    ]


def test_gmb_is_windows_1252_with_quoted_quotes_and_the_word_none() -> None:
    rows = b'Sentence: 1,"""",``,O\r\n,None,NN,O\r\n,\x85,:,O\r\n,\x93caf\xe9\x94,NN,B-org\r\n,",",",",O\r\n'
    (example,) = read(HEADER.encode() + rows, "gmb_csv")
    assert example.text == '" None \u2026 \u201ccaf\u00e9\u201d ,'
    assert example.spans == (Span(9, 15, "org"),)


def test_gmb_duplicates_are_read_once_and_counted() -> None:
    rows = "Sentence: 1,Ann,N,B-per\nSentence: 2,Ann,N,O\nSentence: 3,Bob,N,B-per\n"
    report = ReadReport()
    examples = read(HEADER + rows, "gmb_csv", report=report)
    assert [example.id for example in examples] == ["Sentence: 1", "Sentence: 3"]
    assert (report.duplicates, report.examples) == (1, 2)
    everything = gmb_csv.read(data(HEADER + rows), Reading(), deduplicate=False)
    assert len(list(everything)) == 3


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", "empty_file", 1),
        (HEADER, "empty_file", 1),
        ("Word,Tag\nAnn,O\n", "bad_row", 1),
        ("Sentence #,Word,Word,Tag\n1,a,b,O\n", "bad_row", 1),
        (HEADER + "Sentence: 1,Ann,N,O\n,ran,O\n", "bad_row", 3),
        (HEADER + "Sentence: 1,Ann,N,O\n,,N,O\n", "bad_row", 3),
        (HEADER + 'Sentence: 1,"Ann,N,O\n', "bad_row", 2),
        (HEADER + "Sentence: 1,Ann,N,O\n,ran,V,I-per\n", "bad_tag_sequence", 3),
        (HEADER + "Sentence: 1,Ann,N,X\n", "bad_row", 2),
        (HEADER.encode() + b"Sentence: 1,A\x81,N,O\n", "invalid_encoding", 2),
        (HEADER + f"Sentence: 1,{'x' * 1_200_000},N,O\n", "bad_row", 2),
        (HEADER + "Sentence: 1,A\0nn,N,O\n", "null_character", 2),
    ],
)
def test_gmb_errors_name_their_line(text: str | bytes, code: str, line: int) -> None:
    error = refused(text, "gmb_csv")
    assert (error.code, error.facts["line"]) == (code, line)


# Tables of texts


@pytest.mark.parametrize(
    "text",
    [
        "id,text\n7,Ann ran\n",
        "Text;ID\r\nAnn ran;7\r\n",
        "\ufefftext\tid\nAnn ran\t7",
        '"id","text"\n"7","Ann ran"\n\n',
    ],
)
def test_a_table_needs_only_a_text_column(text: str) -> None:
    assert read(text, "csv") == [Example("Ann ran", (), "7")]


def test_a_quoted_text_keeps_its_line_ends_spaces_and_formulas() -> None:
    texts = [example.text for example in read('text\n" a\r\n""b"" "\n=1+1\n', "csv")]
    assert texts == [' a\r\n"b" ', "=1+1"]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("text\n", "empty_file", 1),
        ('text\n" "\n', "empty_file", 1),
        ("title,body\na,b\n", "bad_row", 1),
        ("text,text\na,b\n", "bad_row", 1),
        ("text,id\na,1\nb\n", "bad_row", 3),
        ('text\na\n"b\n', "bad_row", 3),
        ("text\na\0\n", "null_character", 2),
        (b"text\ncaf\xe9\n", "invalid_encoding", 2),
        ("text\n" + "x" * 1_200_000 + "\n", "bad_row", 2),
    ],
)
def test_errors_of_a_table_name_their_line(text: str | bytes, code: str, line: int) -> None:
    error = refused(text, "csv")
    assert (error.code, error.facts["line"]) == (code, line)


# Every reader


@pytest.mark.parametrize("format", ["conll", "jsonl", "text", "gmb_csv", "csv"])
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n"])
def test_a_file_without_text_is_empty(format: str, content: bytes) -> None:
    assert refused(content, format).code == "empty_file"


@pytest.mark.parametrize("format", ["conll", "jsonl", "text"])
def test_what_is_not_utf8_names_line_and_byte(format: str) -> None:
    start = b'{"text": "a"}\n' if format == "jsonl" else b"a\n"
    error = refused(start + b"caf\xe9\n", format)
    assert (error.code, error.facts["line"]) == ("invalid_encoding", 2)
    assert error.facts["offset"] == len(start) + 3


@pytest.mark.parametrize("format", ["conll", "jsonl", "text"])
def test_utf16_is_recognised(format: str) -> None:
    error = refused("Ann\tO\n".encode("utf-16"), format)
    assert error.code == "invalid_encoding"
    assert "UTF-16" in str(error)


def test_readers_are_lazy() -> None:
    examples = read_examples(data("Ann B-per\n\nran V-x\n"), "conll")
    assert next(examples).text == "Ann"
    with pytest.raises(FormatError):
        next(examples)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HEADER + "Sentence: 1,Ann,N,O\n", "gmb_csv"),
        ("Ann B-per\nran O\n", "conll"),
        ("[\tO\n{\tO\n", "conll"),
        ("-DOCSTART- -X- O O\n\nAnn N x I-per\n", "conll"),
        ('{"text": "Ann"}\n', "jsonl"),
        ('[\n{"text": "Ann"}]', "jsonl"),
        ("id;text\n7;Ann ran home.\n", "csv"),
        ("Ann ran home.\nBob did not.\n", "text"),
        ("A text, or so it seems.\n", "text"),
    ],
)
def test_the_format_is_recognised_by_content(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "upload.bin"
    path.write_text(content, encoding="utf-8")
    assert detect(path) == expected
    assert detect(data(content)) == expected
    assert list(read_examples(path)) == list(read_examples(path, expected))  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"PK\x03\x04aaaa", b"\x89PNG\r\n", b"MZ\x90", b"\x1f\x8b\x08", b"a\0b"])
def test_what_is_no_text_is_refused_by_its_kind(content: bytes) -> None:
    with pytest.raises(FormatError) as caught:
        detect(data(content))
    assert caught.value.code == "unknown_format"


def test_a_file_cut_inside_a_character_is_still_recognised() -> None:
    content = ("\u00e9" * 40 + " B-per\n").encode() * 2000
    assert detect(io.BytesIO(content)) == "conll"
    assert detect(io.BytesIO(content + b"\n")) == "conll"
