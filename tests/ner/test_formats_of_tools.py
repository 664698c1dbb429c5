"""Other tools' files as they really look, and what is said about broken ones."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ner.errors import FormatError
from ner.formats import FORMATS, Loss, ReadReport, Record, brat, detect, losses, read_records, write_records
from ner.formats import spacy_docbin as docbin
from ner.spans import Span

EMOJI = "\U0001f4a9"


def records(content: Any, format: str = "auto", **options: Any) -> list[Record]:
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    return list(read_records(io.BytesIO(content), format, **options))


def refused(content: Any, format: str = "auto", **options: Any) -> FormatError:
    with pytest.raises(FormatError) as caught:
        records(content, format, **options)
    return caught.value


def written(found: list[Record], format: str) -> bytes:
    stream = io.BytesIO()
    write_records(found, stream, format)
    return stream.getvalue()


def packed(files: dict[str, str | bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


# One door


def test_every_format_says_what_it_is() -> None:
    for name, info in FORMATS.items():
        assert info.name == name
        assert info.title
        assert info.about.endswith(".")
        assert info.suffix.startswith(".")
        assert info.reads
        assert info.writes


def test_an_unknown_format_is_refused_with_those_that_exist() -> None:
    assert "label_studio" in str(refused("a", "excel"))


@pytest.mark.parametrize("format", FORMATS)
def test_what_we_write_is_recognised(format: str) -> None:
    record = Record("Ann Lee ran home.", (Span(0, 7, "per"),), "7", "ana", metadata={"url": "x"})
    found = detect(io.BytesIO(written([record, Record("Bob ran.", (Span(0, 3, "per"),))], format)))
    assert found == ("conll" if format in ("iob1", "bioes", "conll2003") else format)


@pytest.mark.parametrize(
    ("format", "content", "kept", "codes"),
    [
        ("jsonl", '{"text": "a"}\n{"text": }\n{"text": 5}\n{"text": "b"}', "ab", ["not_jsonl", "not_jsonl"]),
        ("jsonl", '[{"text": "a"}, 5, {"text": "b", "spans": [[0, 9, "x"]]}, {"text": "c"}]', "ac", None),
        ("jsonl", b'{"text": "a"}\n{"text": "\xe9"}\n{"text": "b"}', "ab", ["invalid_encoding"]),
        ("conll", "a\tO\n\nx\tI-p\nx\tB-p\nx\tQ\nx\tZ\n\nb\tO\n", "ab", ["bad_row"]),
        ("gmb_csv", "Sentence #,Word,POS,Tag\n1,a,N,O\n2,x,N\n,x,N,O\n3,b,N,O\n", "ab", ["bad_row"]),
        ("csv", "id,text\n1,a\n2\n3,b\n", "ab", ["bad_row"]),
        ("prodigy", '{"text": "a", "answer": "accept"}\n{"answer": "accept"}', "a", ["not_jsonl"]),
    ],
)
def test_a_bad_record_is_reported_and_the_next_is_read(
    format: str, content: Any, kept: str, codes: list[str] | None
) -> None:
    errors: list[FormatError] = []
    report = ReadReport()
    found = records(content, format, on_error=errors.append, report=report)
    assert "".join(record.text for record in found) == kept
    assert len(errors) == report.refused > 0
    if codes:
        assert [error.code for error in errors] == codes
    assert refused(content, format).code == errors[0].code


def test_what_makes_the_rest_unreadable_is_raised_all_the_same() -> None:
    errors: list[FormatError] = []
    assert refused('[{"text": "a"}, {"text": ', "jsonl", on_error=errors.append).code == "not_jsonl"
    assert errors == []


def test_an_array_on_one_line_is_read_piece_by_piece() -> None:
    class Counting(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1) -> bytes:
            self.taken += size or 0
            return super().read(size)

    item = {"text": "x" * 1000, "spans": [[0, 5, "per"]]}
    stream = Counting(json.dumps([item] * 10_000).encode())
    found = read_records(stream, "jsonl")
    next(found)
    assert stream.taken < 2_500_000
    assert sum(1 for _ in found) == 9_999


@pytest.mark.parametrize("place", [1_048_570 + step for step in range(12)])
def test_a_block_may_end_anywhere_in_a_record(place: int) -> None:
    first = {"text": "x" * (place - 20)}
    second = {"text": f'\u00e9{EMOJI}\\"', "n": -12.5e3, "ok": True, "spans": [[0, 2, "per"]]}
    content = json.dumps([first, second, second], ensure_ascii=False)
    assert [record.text for record in records(content, "jsonl")] == [first["text"], second["text"]] * 1 + [
        second["text"]
    ]
    content = json.dumps([first, second])
    assert records(content, "jsonl")[1].metadata == {"n": -12500.0, "ok": True}


def test_what_no_database_stores_is_refused_anywhere_in_a_record() -> None:
    assert refused('{"text": "a", "metadata": {"b": ["\\u0000"]}}').code == "null_character"
    assert refused('[{"text": "a", "metadata": {"\\ud83d": 1}}]').code == "invalid_unicode"
    assert refused('{"text": "a", "metadata": {"b": 1e999}}').code == "not_jsonl"
    assert refused('{"text": "a", "metadata": {"b": NaN}}').code == "not_jsonl"
    assert records('{"text": "a\\\\u0000"}')[0].text == "a\\u0000"


# Label Studio


def task(text: str, *annotations: Any, **more: Any) -> dict[str, Any]:
    return {"id": 1, "data": {"text": text}, "annotations": list(annotations), **more}


def region(start: Any, end: Any, text: str | None, *labels: str, **more: Any) -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": list(labels)} | ({} if text is None else {"text": text})
    return {"from_name": "ner", "to_name": "t", "type": "labels", "value": value, **more}


def annotation(*result: Any, **more: Any) -> dict[str, Any]:
    return {"result": list(result), "completed_by": 10, "was_cancelled": False, **more}


def test_a_real_looking_task_is_read_with_its_predictions() -> None:
    prediction = {"model_version": "v1", "score": 0.9, "result": [region(8, 11, "Bob", "PER", score=0.93)]}
    (record,) = records(
        [
            task(
                "Ann met Bob",
                annotation(region(0, 3, "Ann", "PER")),
                predictions=[prediction],
                meta={"batch": 3},
            )
            | {"data": {"text": "Ann met Bob", "url": "u"}}
        ]
    )
    assert record == Record(
        "Ann met Bob",
        (Span(0, 3, "PER"),),
        "1",
        "10",
        (Span(8, 11, "PER"),),
        "v1",
        metadata={"url": "u", "batch": 3},
    )
    assert record.predicted is not None
    assert record.predicted[0].confidence == 0.93


def test_the_ground_truth_is_taken_else_the_newest_that_was_not_cancelled() -> None:
    old = annotation(region(0, 3, "Ann", "OLD"), updated_at="2024-01-01T00:00:00Z", ground_truth=True)
    new = annotation(region(0, 3, "Ann", "NEW"), updated_at="2025-01-01T00:00:00Z")
    cancelled = annotation(region(0, 3, "Ann", "NO"), updated_at="2026-01-01T00:00:00Z", was_cancelled=True)
    report = ReadReport()
    (record,) = records([task("Ann", new, old, cancelled)], report=report)
    assert record.spans == (Span(0, 3, "OLD"),)
    assert report.ignored == {"another annotation": 1, "cancelled annotation": 1}
    old["ground_truth"] = False
    assert records([task("Ann", new, old, cancelled)])[0].spans == (Span(0, 3, "NEW"),)
    assert records([task("Ann", cancelled)])[0].spans is None
    assert records([task("Ann", annotation())])[0].spans == ()
    assert records([task("Ann")])[0].spans is None


def test_what_has_no_place_in_a_record_is_counted() -> None:
    report = ReadReport()
    relation = {"from_id": "a", "to_id": "b", "type": "relation", "direction": "right"}
    choice = {"type": "choices", "value": {"choices": ["good"]}}
    paragraph = region("0", "0", "Ann", "PER")
    paragraph["type"] = "hypertextlabels"
    (record,) = records(
        [task("Ann", annotation(relation, choice, paragraph, region(0, 3, "Ann")))], report=report
    )
    assert record.spans == ()
    assert report.ignored == {"relation": 1, "choices": 1, "hypertextlabels": 1, "span without a label": 1}


def test_the_text_is_found_under_any_key() -> None:
    one = {"data": {"body": "Ann", "n": 5}, "annotations": [annotation(region(0, 3, "Ann", "PER"))]}
    two = {"data": {"title": "x", "body": "Ann"}, "annotations": [annotation(region(0, 3, "Ann", "PER"))]}
    assert [(r.text, r.metadata) for r in records([one, two])] == [("Ann", {"n": 5}), ("Ann", {"title": "x"})]
    none = {"data": {"title": "x", "body": "y"}, "annotations": []}
    assert "title, body" in str(refused([none]))
    assert refused([{"data": "Ann", "annotations": []}], "label_studio").code == "not_jsonl"


def test_two_labels_on_one_place_are_two_spans_where_they_may_overlap() -> None:
    content = [task("Ann", annotation(region(0, 3, "Ann", "PER", "FEMALE")))]
    assert records(content, allow_overlap=True)[0].spans == (Span(0, 3, "FEMALE"), Span(0, 3, "PER"))
    assert refused(content).facts["cause"] == "span_overlap"


def test_utf16_offsets_are_known_by_all_spans_of_a_record() -> None:
    text = f"{EMOJI} Ann and aa"
    content = [task(text, annotation(region(3, 6, "Ann", "PER"), region(11, 12, "a", "X")))]
    report = ReadReport()
    (record,) = records(content, report=report)
    assert [text[s.start : s.end] for s in record.spans or ()] == ["Ann", "a"]
    assert (record.spans or ())[1].start == 10
    assert len(report.ignored) == 1


def test_where_both_units_fit_another_record_decides_else_it_is_ambiguous() -> None:
    both = task(f"{EMOJI}aaaa", annotation(region(3, 4, "a", "X")))
    utf16 = task(f"{EMOJI}Ann", annotation(region(2, 5, "Ann", "X")))
    points = task(f"{EMOJI}Ann", annotation(region(1, 4, "Ann", "X")))
    assert records([both, utf16])[0].spans == (Span(2, 3, "X"),)
    assert records([both, points])[0].spans == (Span(3, 4, "X"),)
    error = refused([both, task("plain", annotation())])
    assert (error.code, error.facts["line"]) == ("ambiguous_offsets", 1)
    assert refused([task(f"{EMOJI}aaaa", annotation(region(3, 4, None, "X")))]).code == "ambiguous_offsets"


def test_a_quote_that_is_not_there_is_refused() -> None:
    assert refused([task("Ann", annotation(region(0, 3, "Bob", "X")))]).facts["cause"] == "surface_mismatch"


def test_the_short_form_and_the_table_of_label_studio_are_read() -> None:
    spans = [{"start": 0, "end": 3, "text": "Ann", "labels": ["PER"]}]
    row = {
        "text": "Ann",
        "id": 1,
        "ner": spans,
        "annotator": 10,
        "annotation_id": 5,
        "lead_time": 4.3,
        "u": 1,
    }
    bare = {"body": "Bob", "id": 2, "annotator": 10, "annotation_id": 6, "lead_time": 4.3}
    assert detect(io.BytesIO(json.dumps([row]).encode())) == "label_studio_min"
    assert records([row, bare]) == [
        Record("Ann", (Span(0, 3, "PER"),), "1", "10", metadata={"u": 1}),
        Record("Bob", (), "2", "10"),
    ]
    table = "id,body,ner,annotator,annotation_id,created_at,updated_at,lead_time\n"
    cell = json.dumps(spans).replace('"', '""')
    assert records(f'{table}1,Ann,"{cell}",10,5,,,4.3\n') == [Record("Ann", (Span(0, 3, "PER"),), "1", "10")]


# doccano, Prodigy, spaCy pairs


def test_doccano_in_both_layouts() -> None:
    labels = {"id": 1, "text": "Ann ran", "label": [[0, 3, "PER"]], "Comments": ["sure?"], "url": "u"}
    objects = {
        "id": 2,
        "text": "Ann ran",
        "entities": [{"id": 0, "start_offset": 0, "end_offset": 3, "label": "PER"}],
        "relations": [{"id": 0, "from_id": 0, "to_id": 1, "type": "x"}],
    }
    report = ReadReport()
    content = f"{json.dumps(labels)}\n{json.dumps(objects)}\n"
    assert detect(io.BytesIO(content.encode())) == "doccano"
    assert records(content, report=report) == [
        Record("Ann ran", (Span(0, 3, "PER"),), "1", comments=("sure?",), metadata={"url": "u"}),
        Record("Ann ran", (Span(0, 3, "PER"),), "2"),
    ]
    assert report.ignored == {"relation": 1}


def test_prodigy_tokens_are_inclusive_and_cut_at_entities() -> None:
    (line,) = written([Record("Ann's dog", (Span(0, 3, "per"), Span(4, 9, "x")))], "prodigy").splitlines()
    body = json.loads(line)
    assert [token["text"] for token in body["tokens"]] == ["Ann", "'", "s", "dog"]
    assert [(span["token_start"], span["token_end"]) for span in body["spans"]] == [(0, 0), (2, 3)]
    assert [token["ws"] for token in body["tokens"]] == [False, False, True, False]
    assert body["answer"] == "accept"


# DocBin


def test_a_damaged_docbin_is_refused() -> None:
    good = written([Record("Ann ran", (Span(0, 3, "per"),))], "spacy")
    assert refused(good[:-8], "spacy").code == "not_docbin"
    assert refused(b"hello", "spacy").code == "not_docbin"
    assert refused(zlib.compress(b"\x93"), "spacy").code == "not_docbin"
    assert refused(b"", "spacy").code == "empty_file"
    body = msgspec.msgpack.decode(zlib.decompress(good))
    body["lengths"] = b"\x09\x00\x00\x00"
    assert refused(zlib.compress(msgspec.msgpack.encode(body)), "spacy").code == "not_docbin"
    body = msgspec.msgpack.decode(zlib.decompress(good)) | {"strings": []}
    errors: list[FormatError] = []
    assert records(zlib.compress(msgspec.msgpack.encode(body)), "spacy", on_error=errors.append) == []
    assert [error.code for error in errors] == ["bad_record"]


def test_a_docbin_that_unpacks_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docbin, "MAX_UNPACKED_BYTES", 2**20)
    assert refused(zlib.compress(b"\0" * 2**22), "spacy").code == "too_large"


# brat


def test_brat_lines_of_every_kind() -> None:
    text = "Foo and Bar\nbaz"
    notes = (
        "T1\tGene 0 3\tFoo\nT2\tX 0 3;8 11\tFoo Bar\nT3\tY 8 11;12 15\tBar baz\r\nR1\tRel Arg1:T1 Arg2:T2\n"
        "E1\tGene:T1\nA1\tNegated T1\n#1\tAnnotatorNotes T1\tsure?\n*\tEquiv T1 T2\n"
    )
    report = ReadReport()
    content = packed(
        {"a/doc.txt": text, "a/doc.ann": notes, "b.txt": "No notes", "c.txt": "Empty", "c.ann": ""}
    )
    assert detect(io.BytesIO(content)) == "brat"
    assert records(content, report=report) == [
        Record(text, (Span(0, 3, "Gene"), Span(8, 15, "Y")), "a/doc", comments=("sure?",)),
        Record("No notes", None, "b"),
        Record("Empty", (), "c"),
    ]
    assert report.ignored == {
        "discontinuous entity": 1,
        "relation": 1,
        "event": 1,
        "attribute": 1,
        "line that is no annotation": 1,
    }


@pytest.mark.parametrize("name", ["../x.txt", "/etc/x.txt", "a\\..\\x.txt", "a\u202et.txt", "a/../../x.txt"])
def test_names_that_could_leave_their_folder_are_refused(name: str) -> None:
    assert refused(packed({name: "a", "b.ann": ""}), "brat").code == "unsafe_name"


def test_a_brat_archive_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brat, "MAX_FILE_BYTES", 1000)
    errors: list[FormatError] = []
    content = packed({"a.txt": "a" * 5000, "b.txt": "b"})
    assert [record.text for record in records(content, "brat", on_error=errors.append)] == ["b"]
    assert [error.code for error in errors] == ["too_large"]
    monkeypatch.setattr(brat, "MAX_TEXTS", 1)
    assert refused(packed({f"{n}.txt": "a" for n in range(4)}), "brat").code == "too_large"
    with pytest.raises(FormatError):
        written([Record("a"), Record("b")], "brat")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("T1\tX 0 3\tBob", "bad_record"),
        ("T1\tX 0\tAnn", "bad_record"),
        ("T1", "bad_record"),
        ("T1\tX 0 99\tAnn", "bad_span"),
        ("T1\tX 3 0\tAnn", "bad_span"),
    ],
)
def test_a_bad_line_of_brat_is_named(line: str, code: str) -> None:
    error = refused(packed({"doc.txt": "Ann", "doc.ann": f"{line}\n"}), "brat")
    assert error.code == code
    assert "doc.ann" in str(error)


def test_brat_is_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "doc.txt").write_bytes(b"Ann\r\nran")
    (tmp_path / "sub" / "doc.ann").write_text("T1\tper 0 3\tAnn\n")
    (tmp_path / "link.txt").symlink_to("/etc/hostname")
    assert list(read_records(tmp_path)) == [Record("Ann\r\nran", (Span(0, 3, "per"),), "sub/doc")]


def test_other_archives_are_not_brat() -> None:
    assert refused(packed({"xl/workbook.xml": "<x/>"})).code == "unknown_format"
    assert refused(b"PK\x03\x04 broken", "brat").code == "unknown_format"


# Hugging Face


def test_tags_that_are_numbers_need_their_names() -> None:
    row = {"tokens": ["Ann", "ran"], "ner_tags": [1, 0]}
    assert refused(row).code == "no_tag_names"
    names = {"names": ["O", "B-per", "I-per"]}
    features = {"features": {"ner_tags": {"feature": {"names": names["names"], "_type": "ClassLabel"}}}}
    for header in (names, features):
        content = f"{json.dumps(header)}\n{json.dumps(row)}\n"
        assert detect(io.BytesIO(content.encode())) == "hf"
        assert records(content) == [Record("Ann ran", (Span(0, 3, "per"),))]
    bad = {"tokens": ["Ann", "ran"], "ner_tags": [7, 0]}
    assert refused(f"{json.dumps(names)}\n{json.dumps(bad)}", "hf").code == "bad_row"


def test_tokens_stand_where_their_text_has_them() -> None:
    row: dict[str, Any] = {
        "tokens": ["Ann", "Ann", "!"],
        "ner_tags": ["O", "B-per", "O"],
        "text": " Ann\n\nAnn!",
    }
    assert records(row)[0].spans == (Span(6, 9, "per"),)
    report = ReadReport()
    (record,) = records(row | {"text": "Something else"}, report=report)
    assert (record.text, len(report.ignored)) == ("Ann Ann !", 1)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ({"tokens": ["a"], "ner_tags": ["O", "O"]}, "bad_row"),
        ({"tokens": ["a"], "ner_tags": ["X"]}, "bad_row"),
        ({"tokens": [5], "ner_tags": ["O"]}, "not_jsonl"),
        ({"tokens": [], "ner_tags": []}, "not_jsonl"),
        ({"tokens": ["a", "b", "c"], "ner_tags": ["B-x", "O", "I-x"]}, "bad_tag_sequence"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(row: Any, code: str) -> None:
    assert refused(row, "hf").code == code


# Tables


def test_a_cell_is_never_a_formula_and_comes_back_as_it_was() -> None:
    record = Record('=HYPERLINK("x")', None, "+1", source="'@")
    content = written([record], "csv").decode()
    assert "'=HYPERLINK" in content
    assert records(content) == [record]
    assert records("text\n'=1\n")[0].text == "'=1"


# Columns


def test_what_stands_between_words_is_read_from_the_column_before_the_tag() -> None:
    content = "Ann -X- SpaceAfter=No B-per\n, -X- SpacesAfter=\\s\\u00a0\\n O\nBob -X- _ B-per\n"
    (record,) = records(content, "conll")
    assert (record.text, record.spans) == ("Ann, \u00a0\nBob", (Span(0, 3, "per"), Span(7, 10, "per")))


def test_the_loss_of_words_is_told() -> None:
    record = Record("Ann  Lee (Bob)", (Span(0, 8, "per"), Span(4, 8, "per"), Span(10, 13, "per")))
    assert [loss.code for loss in losses(record, "conll")] == ["overlap", "spacing"]
    assert [loss.code for loss in losses(record, "conll2003")] == ["overlap"]
    assert all(isinstance(loss, Loss) for loss in losses(record, "text"))
