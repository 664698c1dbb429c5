"""Rows by COPY: several times faster than INSERT; constraints and triggers hold as ever."""

from __future__ import annotations

import io
import secrets
import time
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from django.db import connection, models

#: A row of a COPY: every cell as PostgreSQL reads it, None for NULL.
Row = Sequence[str | None]

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"
#: The first digit of a UUID's fourth group says "RFC 9562" with two of its bits.
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def ids_new(count: int) -> list[str]:
    """Ids for so many new rows: UUIDs of version 7, each larger than the one before.

    Random ones would put each row's entries somewhere else in every index: at a million rows nearly every
    entry would read, write and log a page of its own.
    """
    moment, noise = time.time_ns() // 1_000_000, secrets.token_hex(8 * count)
    ids = []
    for number in range(count):
        # 4096 fit in a millisecond; those after them say the next one, as RFC 9562 allows.
        at = f"{moment + (number >> 12):012x}"
        tail = noise[16 * number : 16 * number + 16]
        ids.append(f"{at[:8]}-{at[8:]}-7{number & 4095:03x}-{_VARIANT[tail[0]]}{tail[1:4]}-{tail[4:]}")
    return ids


def rows_copy(*, model: type[models.Model], columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert rows in the transaction of this thread's connection."""
    if rows:
        with connection.cursor() as cursor:
            copy_into(cursor, model=model, columns=columns, lines=map(copy_line, rows))


def copy_into(
    cursor: Any, *, model: type[models.Model], columns: Sequence[str], lines: Iterable[str]
) -> None:
    """Send lines of `copy_line` through a cursor of any connection."""
    cursor.copy_expert(_statement(model, tuple(columns)), io.StringIO("\n".join(lines) + "\n"))


@cache
def _statement(model: type[models.Model], columns: tuple[str, ...]) -> str:
    quoted = connection.ops.quote_name
    return f"COPY {quoted(model._meta.db_table)} ({', '.join(map(quoted, columns))}) FROM STDIN"


def copy_line(row: Row) -> str:
    """A row in COPY's text format, without its end."""
    line = "\t".join([_NULL if cell is None else cell for cell in row])
    # Nearly all rows are plain: looking at a whole one is several times cheaper than translating its cells.
    if (
        line.count("\\") == row.count(None)
        and line.count("\t") == len(row) - 1
        and "\n" not in line
        and "\r" not in line
    ):
        return line
    return "\t".join([_NULL if cell is None else cell.translate(_ESCAPES) for cell in row])
