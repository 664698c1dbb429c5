"""How often a version owed callers an answer and gave none.

An answer is a row, a missing one is none. So it is counted in the process, which costs answers nothing, and
written down by the upkeep thread at its next turn: a killed process takes a second of its failures with it.
"""

from __future__ import annotations

import threading
from collections import Counter

from django.utils import timezone

from inference.engine import Serving, engine
from inference.models import ArmFailure

#: By project, slot, version and kind.
_Key = tuple[int, str, int, str]


class Failures:
    """What failed since it was last written down. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[_Key] = Counter()

    def add(self, *, project_id: int, serving: Serving, kind: ArmFailure.Kind, count: int = 1) -> None:
        """A version gave no answer, or another one stood in for it."""
        with self._lock:
            self._counts[project_id, serving.slot, serving.version.pk, kind] += count

    def flush(self) -> int:
        """Write down what was counted, and what this process cannot load; returns how many rows that made.

        What the database does not take stays counted.
        """
        with self._lock:
            counted, self._counts = self._counts, Counter()
        refused: dict[_Key, str] = {
            (one.project_id, one.slot, one.version_id, ArmFailure.Kind.REFUSED): one.reason
            for one in engine.refusals_new()
        }
        if not counted and not refused:
            return 0
        now = timezone.now()
        try:
            rows = ArmFailure.objects.bulk_create(
                ArmFailure(
                    project_id=key[0],
                    slot=key[1],
                    version_id=key[2],
                    kind=key[3],
                    count=counted.get(key, 1),
                    reason=refused.get(key, ""),
                    at=now,
                )
                for key in [*counted, *refused]
            )
        except Exception:
            with self._lock:
                self._counts += counted
            raise
        return len(rows)

    def forget(self) -> None:
        """Nothing failed yet."""
        with self._lock:
            self._counts.clear()


failures = Failures()
