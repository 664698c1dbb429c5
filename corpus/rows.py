"""Rows by COPY: several times faster than INSERT; constraints and triggers hold as ever."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from django.db import connection, models

#: A row of a COPY: every cell as PostgreSQL reads it, None for NULL.
Row = Sequence[str | None]

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"


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
