"""Makes rows of what waits in the stream of predictions: a thread of each web process, beside its upkeep.

Every writer takes entries of its own, writes them as one COPY and takes them out of the stream after the
commit. One that dies in between leaves them to the others, and what it had committed is known by its ids:
each prediction becomes a row once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import psycopg2
import psycopg2.errors
import redis
import structlog
from django.db import OperationalError, connections
from django.utils import timezone

from corpus.services import copy_into
from inference import metrics
from inference.models import Prediction
from inference.stream import Taken, stream

log = structlog.get_logger(__name__)

#: Long enough for rows to gather, short enough for who corrects a prediction right away.
_EVERY_SECONDS = 0.2
_AT_ONCE = 500
_CLAIM_EVERY_SECONDS = 1.0
#: A COPY that takes longer is written twice, and stored once.
_DEAD_AFTER_SECONDS = 3.0
_RETRY_SECONDS = 1.0
#: Who reads predictions by time leaves those of the last 30 s for later. One that comes with more delay than
#: this is dated when it comes, or it would be passed by.
LATE = timedelta(seconds=10)
#: Where answers do not go through the stream (any more), what is left there is written, then nobody looks.
_EMPTY_SECONDS = 60.0

_AWAY = (psycopg2.OperationalError, psycopg2.InterfaceError, OperationalError)


class StreamWriter:
    """The thread, its connection, and the entries in its hands."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self._taken: list[Taken] = []
        self._claimed_at = 0.0

    def start(self) -> None:
        """Write in this process and in what it forks."""
        if self._thread is None:
            os.register_at_fork(after_in_child=self._run)
            self._run()

    def turn(self) -> int:
        """Write what waits, up to a few hundred entries; returns how many.

        Raises RedisError or OperationalError; the entries in hand are then tried again at the next turn.
        """
        if not self._taken:
            self._taken = self._claim() or stream.take(_AT_ONCE)
        if not self._taken:
            return 0
        by_columns: dict[tuple[str, ...], list[str]] = {}
        for taken in self._taken:
            by_columns.setdefault(taken.columns, []).extend(taken.lines)
        for columns, lines in by_columns.items():
            self._store(columns, _by_id(columns, lines))
        stream.done(self._taken)
        count, self._taken = len(self._taken), []
        return count

    def close(self) -> None:
        """Close the connection; the next turn opens it again."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _run(self) -> None:
        # What the parent has in its hands, and its connection, are not this process's.
        self._connection, self._taken, self._claimed_at = None, [], 0.0
        self._thread = threading.Thread(target=self._forever, name="stream writer", daemon=True)
        self._thread.start()

    def _forever(self) -> None:
        busy_at = time.monotonic()
        while stream.is_chosen or time.monotonic() - busy_at < _EMPTY_SECONDS:
            pause = _EVERY_SECONDS
            try:
                count = self.turn()
                if count:
                    busy_at = time.monotonic()
                if count == _AT_ONCE:
                    continue
            except Exception as error:  # noqa: BLE001  (a thread that dies would leave the rows to others for good)
                log.warning("predictions wait in the stream", error=type(error).__name__)
                busy_at, pause = time.monotonic(), _RETRY_SECONDS
                if not isinstance(error, redis.RedisError):
                    self.close()
            time.sleep(pause)

    def _claim(self) -> list[Taken]:
        if time.monotonic() - self._claimed_at < _CLAIM_EVERY_SECONDS:
            return []
        self._claimed_at = time.monotonic()
        return stream.claim(_AT_ONCE, idle_seconds=_DEAD_AFTER_SECONDS)

    def _store(self, columns: Sequence[str], rows: Mapping[str, str]) -> None:
        """All rows stand afterwards, but those that the database will never take."""
        if not rows:
            return
        try:
            self._copy(columns, list(rows.values()))
        except psycopg2.errors.UniqueViolation:
            # Committed by a writer that died before it could say so.
            there = self._there(list(rows))
            if not there:
                raise
            self._store(columns, {pk: line for pk, line in rows.items() if pk not in there})
        except (psycopg2.IntegrityError, psycopg2.DataError) as error:
            if len(rows) > 1:
                # One of them is at fault; it must not take the others with it.
                half, pks = len(rows) // 2, list(rows)
                for part in (pks[:half], pks[half:]):
                    self._store(columns, {pk: rows[pk] for pk in part})
                return
            metrics.STREAM_REFUSED.inc()
            log.error("prediction cannot be stored", id=next(iter(rows)), error=type(error).__name__)
        else:
            metrics.STREAM_WRITTEN.inc(len(rows))

    def _copy(self, columns: Sequence[str], lines: Sequence[str]) -> None:
        if self._connection is None:
            database = connections["default"]
            self._connection = database.get_new_connection(database.get_connection_params())
            self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            copy_into(cursor, model=Prediction, columns=columns, lines=lines)

    def _there(self, pks: Sequence[str]) -> set[str]:
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT id::text FROM inference_prediction WHERE id = ANY(%s::uuid[])", [list(pks)]
            )
            return {pk for (pk,) in cursor.fetchall()}


def _by_id(columns: Sequence[str], lines: Sequence[str]) -> dict[str, str]:
    """The rows by their ids, each once, those that come late dated now."""
    pk, created = columns.index("id"), columns.index("created_at")
    now = timezone.now()
    found = {}
    for line in lines:
        cells = line.split("\t")
        if now - datetime.fromisoformat(cells[created]) > LATE:
            cells[created] = now.isoformat()
            line = "\t".join(cells)
        found[cells[pk]] = line
    return found


stream_writer = StreamWriter()
