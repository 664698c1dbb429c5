"""Answers on their way to PostgreSQL by a Redis stream, where `PREDICTION_RECORDING` is `stream`.

The stream lives in the broker's Redis, which evicts nothing and writes a file. An entry holds the rows of the
requests that waited together, as lines of a COPY; `inference.stream_writer` takes it out again once they are
rows. Beside the stream stand the ids that wait, so that one asked about too early is known, and how many
bytes wait, so that predictions never fill the broker. All three change together, in one script.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from inference import metrics

log = structlog.get_logger(__name__)

STREAM, IDS, BYTES = _KEYS = ("predictions:stream", "predictions:ids", "predictions:bytes")
#: One group with one name in it: whoever is alive claims what a dead one left, and no names pile up.
GROUP = WRITER = "writers"
_TIMEOUT = 0.25
_WRITER_TIMEOUT = 5.0
_CIRCUIT_SECONDS = 5.0

_ADD = """
local limit, columns, rows = tonumber(ARGV[1]), ARGV[2], ARGV[3]
if tonumber(redis.call('GET', KEYS[3]) or '0') + #rows > limit then
  return 0
end
redis.call('XADD', KEYS[1], '*', 'columns', columns, 'rows', rows)
redis.call('INCRBY', KEYS[3], #rows)
for place = 4, #ARGV do
  redis.call('SADD', KEYS[2], ARGV[place])
end
return 1
"""
# Two may have written the same entry: what it held is given back by the one who takes it out.
_DONE = """
local group, entries = ARGV[1], tonumber(ARGV[2])
for place = 3, 1 + 2 * entries, 2 do
  redis.call('XACK', KEYS[1], group, ARGV[place])
  if redis.call('XDEL', KEYS[1], ARGV[place]) == 1 then
    redis.call('DECRBY', KEYS[3], ARGV[place + 1])
  end
end
for place = 3 + 2 * entries, #ARGV do
  redis.call('SREM', KEYS[2], ARGV[place])
end
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """An entry in a writer's hands."""

    entry: str
    columns: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of its rows, as the script that added them counted."""
        return len("\n".join(self.lines).encode())


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is answered and no row yet."""

    rows: int
    bytes: int
    oldest_seconds: float


class PredictionStream:
    """Safe for many threads. Whoever adds never waits long; a writer may."""

    def __init__(self, url: str) -> None:
        self._redis = _client(url, _TIMEOUT)
        self._writers = _client(url, _WRITER_TIMEOUT)
        self._add = self._redis.register_script(_ADD)
        self._done = self._writers.register_script(_DONE)
        self._closed_until = 0.0

    @property
    def is_chosen(self) -> bool:
        """Do answers go through the stream?"""
        return bool(settings.PREDICTION_RECORDING == "stream")

    def add(self, columns: Sequence[str], lines: Sequence[str]) -> bool:
        """Hand rows over; False when they have to become rows at once.

        A Redis that hangs may still add what it was given up for: the ids say that both are the same.
        """
        if not self.is_chosen:
            return False
        if time.monotonic() < self._closed_until:
            metrics.STREAM_PASSED.labels(reason="away").inc(len(lines))
            return False
        try:
            added = self._add(
                keys=_KEYS,
                args=[
                    settings.STREAM_LIMIT_BYTES,
                    ",".join(columns),
                    "\n".join(lines),
                    *_names(columns, lines),
                ],
            )
        except redis.RedisError as error:
            self._closed_until = time.monotonic() + _CIRCUIT_SECONDS
            log.warning("predictions pass the stream by", error=type(error).__name__)
            metrics.STREAM_PASSED.labels(reason="away").inc(len(lines))
            return False
        if not added:
            metrics.STREAM_PASSED.labels(reason="full").inc(len(lines))
        return bool(added)

    def is_waiting(self, *, project_id: int, prediction_id: UUID) -> bool:
        """Is this answer no row yet? Where Redis cannot be asked it may be."""
        try:
            return bool(self._redis.sismember(IDS, f"{project_id}:{prediction_id}"))
        except redis.RedisError:
            return True

    def obstacle(self) -> str:
        """Why this process records past the stream, as a sentence; empty where it does not."""
        try:
            if time.monotonic() >= self._closed_until:
                full = int(self._redis.get(BYTES) or 0) >= settings.STREAM_LIMIT_BYTES * 0.99
                return "The stream of predictions is full: they are recorded at once." if full else ""
        except redis.RedisError:
            pass
        return "Redis takes no predictions: they are recorded at once."

    def waiting(self) -> Waiting:
        """How much waits, and for how long. Raises RedisError."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.scard(IDS)
            pipe.get(BYTES)
            pipe.xrange(STREAM, count=1)
            pipe.time()
            rows, size, first, (seconds, micros) = pipe.execute()
        # An entry's id begins with the millisecond in which it was added, by the same clock.
        added = int(first[0][0].split(b"-")[0]) / 1000 if first else seconds + micros / 1e6
        return Waiting(rows, int(size or 0), max(seconds + micros / 1e6 - added, 0.0))

    def take(self, count: int) -> list[Taken]:
        """New entries, for a writer. They are its own until they are done, or claimed. Raises RedisError."""
        try:
            found = self._writers.xreadgroup(GROUP, WRITER, {STREAM: ">"}, count=count)
        except redis.ResponseError as error:
            self._group_make(error)
            return []
        return [_taken(entry) for _, entries in found for entry in entries]

    def claim(self, count: int, *, idle_seconds: float) -> list[Taken]:
        """Entries that a writer took so long ago that it must be dead. Raises RedisError."""
        try:
            found = self._writers.xautoclaim(
                STREAM, GROUP, WRITER, min_idle_time=int(idle_seconds * 1000), count=count
            )
        except redis.ResponseError as error:
            self._group_make(error)
            return []
        return [_taken(entry) for entry in found[1]]

    def done(self, taken: Sequence[Taken]) -> None:
        """These are rows now. Raises RedisError."""
        pairs = [part for one in taken for part in (one.entry, one.size)]
        names = [name for one in taken for name in _names(one.columns, one.lines)]
        self._done(keys=_KEYS, args=[GROUP, len(taken), *pairs, *names])

    def reopen(self) -> None:
        """Try Redis again at once."""
        self._closed_until = 0.0

    def _group_make(self, error: redis.ResponseError) -> None:
        """At the first start, and after Redis was emptied; any other error is raised again."""
        if not str(error).startswith("NOGROUP"):
            raise error
        try:
            # From the beginning: what was added before the group stood waits too.
            self._writers.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        except redis.ResponseError as made:
            if not str(made).startswith("BUSYGROUP"):
                raise


def _client(url: str, seconds: float) -> Any:
    return redis.Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=min(seconds, 1.0),
        # A connection that died while idle is opened again once; a hung server is not asked twice.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )


def _names(columns: Sequence[str], lines: Sequence[str]) -> list[str]:
    """What rows are known by while they wait."""
    project, pk = columns.index("project_id"), columns.index("id")
    until = max(project, pk) + 1
    cells = (line.split("\t", until) for line in lines)
    return [f"{row[project]}:{row[pk]}" for row in cells]


def _taken(entry: tuple[bytes, dict[bytes, bytes]]) -> Taken:
    pk, fields = entry
    return Taken(
        pk.decode(),
        tuple(fields[b"columns"].decode().split(",")),
        tuple(fields[b"rows"].decode().split("\n")),
    )


stream = PredictionStream(settings.REDIS_URL)
