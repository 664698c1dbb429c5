"""Answers become rows before they are told, and requests that wait at the same moment share one COPY.

Group commit (DeWitt et al., Implementation techniques for main memory database systems, 1984): whoever comes
to the connection first writes for all who came meanwhile, and nobody is answered before the commit. So an
answered prediction survives the crash of the web process, of PostgreSQL and of the machine, at a fraction of
one transaction each.

Where `PREDICTION_RECORDING` is `stream`, they share one trip to Redis instead, and become rows a moment
later; see `inference.stream`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any

import psycopg2
import psycopg2.errors
import structlog
from django.db import IntegrityError, OperationalError, connections

from corpus.services import Row, copy_into, copy_line
from inference.models import Prediction
from inference.stream import stream

log = structlog.get_logger(__name__)

COLUMNS = (
    *("id", "project_id", "version_id", "text", "spans", "uncertainty", "min_confidence"),
    *("language", "slot", "bucket", "latency_ms", "request_id", "api_key_id", "created_at"),
)
#: A request waits no longer than this for those before it; PostgreSQL's own limit of a statement is as long.
_PATIENCE_SECONDS = 15.0


class _Entry:
    """The rows of one request, and what became of them."""

    __slots__ = ("error", "is_done", "lines")

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.is_done = False
        self.error: Exception | None = None


class Recorder:
    """The one connection of a process that predictions are written by. Safe for many threads."""

    def __init__(self) -> None:
        self._door = threading.Lock()
        self._turn = threading.Lock()
        self._waiting: list[_Entry] = []
        self._connection: Any = None
        os.register_at_fork(after_in_child=self._start_anew)

    def record(self, rows: Sequence[Row]) -> None:
        """Return once the rows are committed, or in the stream: all of them, or none and an error.

        Raises OperationalError when the database cannot be had, and IntegrityError when what a row names
        is gone.
        """
        if not rows:
            return
        entry = _Entry([copy_line(row) for row in rows])
        with self._door:
            self._waiting.append(entry)
        if not self._turn.acquire(timeout=_PATIENCE_SECONDS):
            raise OperationalError("waited too long for the rows before")
        try:
            # Who waited here finds, as a rule, that the one before wrote for it.
            if not entry.is_done:
                with self._door:
                    group, self._waiting = self._waiting, []
                self._commit(group)
        finally:
            self._turn.release()
        if entry.error is not None:
            raise entry.error

    def close(self) -> None:
        """Close the connection; the next row opens it again."""
        with self._turn:
            self._disconnect()

    def _commit(self, group: list[_Entry]) -> None:
        """Write a group; every entry is done afterwards, well or not."""
        try:
            self._write(group)
        except Exception as error:  # noqa: BLE001  (whatever it was: who waits must not take it for stored)
            for entry in group:
                entry.error = entry.error or error
        for entry in group:
            entry.is_done = True

    def _write(self, group: list[_Entry]) -> None:
        if stream.add(COLUMNS, [line for entry in group for line in entry.lines]):
            return
        try:
            self._copy(group)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            # The server may have been restarted since the last time. Whether it had committed is not known:
            # so one by one, where what stands there already is seen.
            log.warning("predictions are recorded anew", error=type(error).__name__, requests=len(group))
            self._disconnect()
            self._one_by_one(group)
        except psycopg2.Error:
            # One of them is at fault; it must not take the others with it.
            self._one_by_one(group)

    def _one_by_one(self, group: list[_Entry]) -> None:
        for entry in group:
            try:
                self._copy([entry])
            except psycopg2.errors.UniqueViolation:
                # The ids are made for these very rows: they were committed before the answer was lost.
                continue
            except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
                self._disconnect()
                entry.error = OperationalError(str(error))
            except psycopg2.Error as error:
                entry.error = IntegrityError(str(error))

    def _copy(self, group: list[_Entry]) -> None:
        if self._connection is None:
            database = connections["default"]
            self._connection = database.get_new_connection(database.get_connection_params())
            # A COPY by itself is a transaction by itself: one trip there, one commit.
            self._connection.autocommit = True
        lines = [line for entry in group for line in entry.lines]
        with self._connection.cursor() as cursor:
            copy_into(cursor, model=Prediction, columns=COLUMNS, lines=lines)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _start_anew(self) -> None:
        # The parent's connection and locks are not this process's.
        self._door, self._turn = threading.Lock(), threading.Lock()
        self._waiting, self._connection = [], None


recorder = Recorder()
