"""How long each version takes here, by the length of the text: measured, rolling, never configured.

Each process measures for itself, from the moment a version is loaded. Routing decides by these numbers.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import defaultdict, deque
from dataclasses import dataclass

#: Texts up to so many characters are counted together.
BOUNDS = (100, 500, 2_000, 10_000, 100_000)
#: So many of the last answers of each length are looked at.
KEPT = 200


@dataclass(frozen=True, slots=True)
class Latency:
    """What texts of about one length took."""

    p50_ms: float
    p95_ms: float
    answers: int


class Latencies:
    """The last answers of every version. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, dict[int, deque[tuple[int, float]]]] = defaultdict(dict)

    def record(self, version: str, *, characters: int, milliseconds: float) -> None:
        """Note one answer of a version, known by its bundle's hash."""
        bucket = _bucket(characters)
        with self._lock:
            self._taken[version].setdefault(bucket, deque(maxlen=KEPT)).append((characters, milliseconds))

    def of(self, version: str, *, characters: int) -> Latency | None:
        """What a text of this length takes; None before the first measurement.

        Where none of this length was measured, the nearest length is scaled up in proportion: the time of
        every version is linear in the text. It is never scaled down, for a short text has its fixed costs.
        """
        wanted = _bucket(characters)
        with self._lock:
            buckets = self._taken.get(version)
            if not buckets:
                return None
            nearest = min(buckets, key=lambda bucket: (abs(bucket - wanted), bucket))
            taken = list(buckets[nearest])
        times = sorted(milliseconds for _, milliseconds in taken)
        mean = sum(length for length, _ in taken) / len(taken)
        scale = max(characters / mean, 1.0) if nearest < wanted else 1.0
        return Latency(
            p50_ms=times[len(times) // 2] * scale,
            p95_ms=times[min(int(0.95 * len(times)), len(times) - 1)] * scale,
            answers=len(taken),
        )

    def forget(self) -> None:
        """Start anew."""
        with self._lock:
            self._taken.clear()


def _bucket(characters: int) -> int:
    return min(bisect_left(BOUNDS, characters), len(BOUNDS) - 1)


latencies = Latencies()
