"""A caller's file is read line by line; what cannot be read spoils its own line and no other."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest

from inference import lines
from inference.errors import FileEmpty, NoTextColumn, NotUtf8
from inference.job_options import JobOptions
from inference.lines import Item, item_of, layout_of, lines_of


def read(content: bytes, *, name: str = "file", **options: Any) -> list[Item]:
    """What every line of a file holds."""
    chosen = JobOptions(**options)
    file = io.BytesIO(content)
    layout = layout_of(file, name=name, options=chosen)
    found = lines_of(
        file, start=layout.start, end=len(content), number=layout.line, delimiter=layout.delimiter
    )
    items = (item_of(line, layout, chosen, limit=100) for line in found)
    return [item for item in items if item is not None]


def texts(items: list[Item]) -> list[tuple[int, str]]:
    return [(item.line, item.text or item.code) for item in items]


def test_plain_text_is_a_text_a_line_and_blank_lines_are_none() -> None:
    assert texts(read(b"Ada\n\n  \nin Rome \r\nlast")) == [(1, "Ada"), (4, "in Rome "), (5, "last")]


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert texts(read(b"\xef\xbb\xbfAda\n")) == [(1, "Ada")]


def test_json_lines_hold_objects_or_strings() -> None:
    items = read(b'{"text": "Ada", "id": 7, "more": [1]}\n"in Rome"\n{"text": "x", "id": "b"}\n')
    assert [(item.line, item.id, item.text) for item in items] == [
        (1, 7, "Ada"),
        (2, None, "in Rome"),
        (3, "b", "x"),
    ]


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b'{"text": "Ada"', "malformed_json"),
        (b'{"text": "\xff"}', "invalid_encoding"),
        (b'{"text": "\\ud83d"}', "malformed_json"),
        (b"[" * 100_000, "malformed_json"),
        (b"[1]", "not_an_object"),
        (b'{"id": "a"}', "required"),
        (b'{"text": 5}', "not_a_string"),
        (b'{"text": ""}', "empty_text"),
        (b'{"text": "a\\u0000"}', "null_character"),
        (b'{"text": "' + b"a" * 101 + b'"}', "text_too_long"),
        (b'{"text": "a", "id": true}', "invalid_id"),
        (b'{"text": "a", "id": {"b": 1}}', "invalid_id"),
        (b'{"text": "a", "id": "' + b"b" * 201 + b'"}', "invalid_id"),
    ],
)
def test_a_bad_line_is_an_error_in_its_place(line: bytes, code: str) -> None:
    items = read(b'{"text": "Ada"}\n' + line + b'\n{"text": "in Rome"}\n')
    assert texts(items) == [(1, "Ada"), (2, code), (3, "in Rome")]


def test_a_line_that_no_memory_should_hold_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES", 10)
    content = b"0123456789\n0123456789a\n" + b"x" * 95 + b"\nshort\n" + b"y" * 11
    assert texts(read(content)) == [
        (1, "0123456789"),
        (2, "line_too_long"),
        (3, "line_too_long"),
        (4, "short"),
        (5, "line_too_long"),
    ]


def test_a_table_names_its_columns() -> None:
    items = read(b'id,text\n1,Ada\n,"in ""Rome"""\n', name="t.csv")
    assert [(item.line, item.id, item.text) for item in items] == [(2, "1", "Ada"), (3, None, 'in "Rome"')]
    assert texts(read(b"nr;body\n1;Ada, Rome\n", format="csv", text_field="body")) == [(2, "Ada, Rome")]
    assert texts(read(b"text\tid\nAda\t1\n", name="t.tsv")) == [(2, "Ada")]


def test_a_quoted_cell_may_hold_line_breaks_and_counts_by_its_first_line() -> None:
    content = b'id,text\n1,"Ada\nin\r\nRome"\n2,x\n'
    assert texts(read(content, name="t.csv")) == [(2, "Ada\nin\r\nRome"), (5, "x")]


def test_a_quote_that_is_never_closed_spoils_its_line_alone() -> None:
    assert texts(read(b'id,text\n1,"Ada\n2,in\n3,Rome\n', name="t.csv")) == [
        (2, "malformed_csv"),
        (3, "in"),
        (4, "Rome"),
    ]


def test_two_such_quotes_do_not_swallow_what_stands_between_them() -> None:
    assert texts(read(b'id,text\n1,"Ada\n2,in\n3,Ro"me\n4,"x"\n', name="t.csv")) == [
        (2, "malformed_csv"),
        (3, "in"),
        (4, 'Ro"me'),
        (5, "x"),
    ]


def test_a_quote_amid_a_plain_cell_is_a_quote() -> None:
    assert texts(read(b'id,text\n1,a 5" pipe\n2,b\n', name="t.csv")) == [(2, 'a 5" pipe'), (3, "b")]


@pytest.mark.parametrize("line", [b"1", b"1,Ada, Countess", b'1,"Ada"x', b""])
def test_a_row_of_another_width_is_refused(line: bytes) -> None:
    found = texts(read(b"id,text\n" + line + b"\n2,b\n", name="t.csv"))
    assert found == ([(2, "malformed_csv")] if line else []) + [(3, "b")]


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"", FileEmpty),
        (b"\n \n", FileEmpty),
        (b"\xef\xbb\xbf", FileEmpty),
        ("Ada".encode("utf-16"), NotUtf8),
        ("Ada".encode("utf-16-le"), NotUtf8),
    ],
)
def test_what_is_no_file_of_texts_is_refused_at_once(content: bytes, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        read(content)


def test_a_table_without_the_column_or_without_rows_is_refused_at_once() -> None:
    with pytest.raises(NoTextColumn):
        read(b"id,body\n1,Ada\n", name="t.csv")
    with pytest.raises(FileEmpty):
        read(b"id,text\n", name="t.csv")


def test_the_same_lines_are_found_wherever_a_reader_begins() -> None:
    chance = random.Random(4)
    pieces = [b"a", b'"', b"\n", b"\r\n", b",", b'""', b"5"]
    for _ in range(300):
        content = b"".join(chance.choices(pieces, k=60))
        whole = list(lines_of(io.BytesIO(content), start=0, end=len(content), number=1, delimiter=","))
        assert [line.start for line in whole[1:]] == [line.end for line in whole[:-1]]
        assert whole[-1].end == len(content)
        for begin in whole:
            rest = lines_of(
                io.BytesIO(content), start=begin.start, end=len(content), number=begin.number, delimiter=","
            )
            assert list(rest) == whole[whole.index(begin) :]


def test_many_open_quotes_are_read_in_a_time_that_grows_with_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each opens a search for its end; together they must not read the file again and again."""
    asked = 0
    plain = io.BytesIO.readline

    class Counted(io.BytesIO):
        def readline(self, size: int | None = -1, /) -> bytes:
            nonlocal asked
            asked += 1
            return plain(self, size)

    content = (b'1,"Ada\n' + b"2,in\n" * 3) * 2_000
    found = list(lines_of(Counted(content), start=0, end=len(content), number=1, delimiter=","))
    assert found[-1].end == len(content)
    assert asked < 8 * content.count(b"\n")


def test_a_line_of_a_table_that_is_too_long_for_a_cell_is_told_in_our_words() -> None:
    items = read(b"text\nAda\n" + b"x" * 1_100_001 + b"\nin Rome\n", name="t.csv")
    assert texts(items) == [(2, "Ada"), (3, "line_too_long"), (4, "in Rome")]
