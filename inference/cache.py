"""What this process recognised lately: the same text for the same version is not computed twice.

A version is known by its bundle's hash, so what a promoted one answers can never be an earlier one's, and
thresholds and formats are applied after the look-up. Texts that their caller does not want kept are not kept
here either.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from inference import metrics
from ner.runtime import Recognition

#: Characters of text that are remembered; an answer takes some fifty bytes for each.
CAPACITY = 400_000
#: A long text is seldom sent twice, and would push out many short ones.
LONGEST = 2_000


class RecognitionCache:
    """The answers used last. Safe for many threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], Recognition] = OrderedDict()
        self._characters = 0

    def recognise(
        self, version: str, texts: Sequence[str], compute: Callable[[Sequence[str]], list[Recognition]]
    ) -> list[Recognition]:
        """The answers in order; only what is not known is computed, all of it at once."""
        found = [self._get((version, text)) for text in texts]
        missing = [place for place, answer in enumerate(found) if answer is None]
        if missing:
            computed = compute([texts[place] for place in missing])
            for place, answer in zip(missing, computed, strict=True):
                found[place] = answer
                self._put((version, texts[place]), answer)
        metrics.CACHED.labels(outcome="hit").inc(len(texts) - len(missing))
        metrics.CACHED.labels(outcome="miss").inc(len(missing))
        return [answer for answer in found if answer is not None]

    def forget(self) -> None:
        """Remember nothing."""
        with self._lock:
            self._known.clear()
            self._characters = 0

    def _get(self, key: tuple[str, str]) -> Recognition | None:
        with self._lock:
            answer = self._known.get(key)
            if answer is not None:
                self._known.move_to_end(key)
            return answer

    def _put(self, key: tuple[str, str], answer: Recognition) -> None:
        if len(key[1]) > LONGEST:
            return
        with self._lock:
            if key not in self._known:
                self._characters += len(key[1])
            self._known[key] = answer
            self._known.move_to_end(key)
            while self._characters > self._capacity:
                (_, text), _ = self._known.popitem(last=False)
                self._characters -= len(text)


recognition_cache = RecognitionCache()
