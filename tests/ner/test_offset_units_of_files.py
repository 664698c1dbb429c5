"""What the offsets of a file count is decided once for the file, by the spans that leave no doubt."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ner.errors import FormatError
from ner.formats import ReadReport, Record, read_records

EMOJI = "\U0001f389"
#: "a" stands at 1 to 5 in code points and at 2 to 6 in UTF-16 units: 3 to 4 is an "a" in both counts.
OPEN = f"{EMOJI}aaaa", (3, 4, "a")
UNQUOTED = f"{EMOJI}aaaa", (3, 4, None)
UTF16 = f"{EMOJI}Ann", (2, 5, "Ann")
POINTS = f"{EMOJI}Ann", (1, 4, "Ann")
PLAIN = "Bob", (0, 3, "Bob")

Case = tuple[str, tuple[int, int, str | None]]
FORMATS = ["jsonl", "doccano", "prodigy", "csv", "label_studio_min"]


def file(format: str, *cases: Case) -> bytes:
    """The same records in one of the formats, offsets as they are."""
    rows = []
    for text, (start, end, quote) in cases:
        span: dict[str, Any] = {"start": start, "end": end} | ({} if quote is None else {"text": quote})
        if format == "label_studio_min":
            rows.append({"text": text, "label": [{**span, "labels": ["per"]}], "annotation_id": 1})
        else:
            name = "label" if format == "doccano" else "spans"
            rows.append({"text": text, name: [{**span, "label": "per"}]})
    if format == "csv":
        cells = (json.dumps(row["spans"]).replace('"', '""') for row in rows)
        return b"text,spans\n" + b"".join(
            f'{row["text"]},"{cell}"\n'.encode() for row, cell in zip(rows, cells, strict=True)
        )
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def starts(records: list[Record]) -> list[int]:
    return [span.start for record in records for span in record.spans or ()]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("doubtful", [OPEN, UNQUOTED])
def test_a_later_record_says_what_an_earlier_one_counts(format: str, doubtful: Case, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(file(format, PLAIN, doubtful, PLAIN, UTF16))
    assert starts(list(read_records(path, format))) == [0, 2, 0, 1]
    with path.open("rb") as stream:
        assert starts(list(read_records(stream, format))) == [0, 2, 0, 1]
    path.write_bytes(file(format, PLAIN, doubtful, PLAIN, POINTS))
    assert starts(list(read_records(path, format))) == [0, 3, 0, 1]


@pytest.mark.parametrize("format", FORMATS)
def test_where_the_file_disagrees_a_doubtful_record_is_refused(format: str) -> None:
    both_ways = file(format, UTF16, POINTS)
    assert starts(list(read_records(io.BytesIO(both_ways), format))) == [1, 1]
    refused: list[FormatError] = []
    content = file(format, UTF16, OPEN, POINTS)
    records = list(read_records(io.BytesIO(content), format, on_error=refused.append))
    assert starts(records) == [1, 1]
    assert [(error.code, error.facts["line"]) for error in refused] == [
        ("ambiguous_offsets", 3 if format == "csv" else 2)
    ]


@pytest.mark.parametrize("format", FORMATS)
def test_where_nothing_is_sure_our_own_unit_is_meant_except_in_label_studio(format: str) -> None:
    content = io.BytesIO(file(format, PLAIN, OPEN, UNQUOTED))
    if format == "label_studio_min":
        with pytest.raises(FormatError) as caught:
            list(read_records(content, format))
        assert caught.value.code == "ambiguous_offsets"
    else:
        assert starts(list(read_records(content, format))) == [0, 3, 3]


def test_the_file_is_asked_once_and_a_fault_further_on_changes_nothing() -> None:
    content = file("jsonl", *[UNQUOTED] * 50, UTF16) + b'{"text": \n'

    class Counted(io.BytesIO):
        rewinds = 0

        def seek(self, *place: int) -> int:
            self.rewinds += place == (0,)
            return super().seek(*place)

    stream, refused, report = Counted(content), list[FormatError](), ReadReport()
    records = list(read_records(stream, "jsonl", on_error=refused.append, report=report))
    assert starts(records) == [2] * 50 + [1]
    assert stream.rewinds == 1
    assert [error.facts["line"] for error in refused] == [52]
    assert report.ignored == {"offsets counted in UTF-16 units, which were converted": 51}


def test_what_cannot_be_read_twice_is_read_as_far_as_it_is_known() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *place: int) -> int:
            raise OSError("not seekable")

    content = file("jsonl", OPEN, UTF16, OPEN)
    assert starts(list(read_records(Pipe(content), "jsonl"))) == [3, 1, 2]
