"""How often a version owed callers an answer and gave none, of how many that leave no row.

An answer is a row, unless its caller wants nothing kept; a missing one is none. So both are counted in the
process, which costs answers nothing, and written down by the upkeep thread: a killed process takes what it
had not yet written with it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

from django.db import transaction
from django.utils import timezone

from inference.engine import Serving, engine
from inference.models import ApiKey, ArmFailure, ArmUnkept

#: Answers that are not kept are written down this often, or with the next failure: never after it, for one
#: failure of one answer looks worse than one of many.
UNKEPT_EVERY_SECONDS = 10.0

#: By project, slot, version and whether the shares decided; of failures also by kind.
_Turn = tuple[int, str, int, bool]


class Failures:
    """What was counted since it was last written down. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._missed: Counter[tuple[_Turn, str]] = Counter()
        self._unkept: Counter[_Turn] = Counter()
        self._unkept_at = 0.0

    def add(
        self, *, asker: ApiKey | None, serving: Serving, kind: ArmFailure.Kind, count: int, is_dealt: bool
    ) -> None:
        """A version gave no answer, or another one stood in for it; `is_dealt` where the shares chose it.

        Internal keys are left out, here and below, as they are of everything that is measured.
        """
        if asker is not None and not asker.internal:
            with self._lock:
                self._missed[(asker.project_id, serving.slot, serving.version.pk, is_dealt), kind] += count

    def unkept(self, *, asker: ApiKey | None, serving: Serving, count: int, is_dealt: bool) -> None:
        """A version gave answers that leave no row."""
        if asker is not None and not asker.internal:
            with self._lock:
                self._unkept[asker.project_id, serving.slot, serving.version.pk, is_dealt] += count

    def flush(self) -> int:
        """Write down what was counted, and what this process cannot load; returns how many rows that made.

        What the database does not take stays counted.
        """
        with self._lock:
            missed, self._missed = self._missed, Counter()
            is_due = missed or time.monotonic() - self._unkept_at >= UNKEPT_EVERY_SECONDS
            unkept: Counter[_Turn] = Counter()
            if is_due:
                unkept, self._unkept = self._unkept, unkept
                self._unkept_at = time.monotonic()
        refused = engine.refusals_new()
        if not (missed or unkept or refused):
            return 0
        now = timezone.now()
        failures = [
            ArmFailure(**_row(turn), kind=kind, count=count, at=now) for (turn, kind), count in missed.items()
        ]
        failures += [
            ArmFailure(
                project_id=one.project_id,
                slot=one.slot,
                version_id=one.version_id,
                kind=ArmFailure.Kind.REFUSED,
                count=1,
                reason=one.reason,
                at=now,
            )
            for one in refused
        ]
        given = [ArmUnkept(**_row(turn), count=count, at=now) for turn, count in unkept.items()]
        try:
            with transaction.atomic():
                ArmUnkept.objects.bulk_create(given)
                ArmFailure.objects.bulk_create(failures)
        except Exception:
            with self._lock:
                self._missed += missed
                self._unkept += unkept
            raise
        return len(failures) + len(given)

    def forget(self) -> None:
        """Nothing was counted yet."""
        with self._lock:
            self._missed.clear()
            self._unkept.clear()
            self._unkept_at = 0.0


def _row(turn: _Turn) -> dict[str, Any]:
    return dict(zip(("project_id", "slot", "version_id", "dealt"), turn, strict=True))


failures = Failures()
