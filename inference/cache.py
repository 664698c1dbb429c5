"""What this process recognised lately: the same text for the same version is not computed twice.

A version is known by its bundle's hash, so what a promoted one answers can never be an earlier one's, and
thresholds and formats are applied after the look-up. Texts that their caller does not want kept are not kept
here either.

With `SHARED_CACHE_SECONDS` there is a second level in Redis (`inference.shared_cache`). It is asked on the
trip that the rate limit makes anyway, and what was computed since the last trip goes along.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence

from django.conf import settings

from inference import metrics
from inference.shared_cache import Place, packed, place_of, unpacked
from ner.runtime import Recognition

#: Characters of text that are remembered; an answer takes some fifty bytes for each.
CAPACITY = 400_000
#: A long text is seldom sent twice, and would push out many short ones.
LONGEST = 2_000
#: What waits for the next trip to Redis, and what one trip takes.
_WAITING, _LOAD = 256, 16


class RecognitionCache:
    """The answers used last. Safe for many threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], Recognition] = OrderedDict()
        self._characters = 0
        #: Known from Redis and not asked for yet: not this process's own hits.
        self._fetched: set[tuple[str, str]] = set()
        self._outgoing: deque[tuple[str, bytes]] = deque(maxlen=_WAITING)

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
                self._share(version, texts[place], answer)
        fetched = 0
        if self._fetched:
            fetched = sum(self._fetched_take((version, text)) for text in texts)
        metrics.CACHED.labels(level="process", outcome="hit").inc(len(texts) - len(missing) - fetched)
        metrics.CACHED.labels(level="process", outcome="miss").inc(len(missing) + fetched)
        return [answer for answer in found if answer is not None]

    def unknown(self, version: str, text: str) -> Place | None:
        """Where Redis may know what this process does not; None where it need not be asked."""
        if len(text) > LONGEST or self._get((version, text)) is not None:
            return None
        return place_of(version, text)

    def learn(self, place: Place, value: bytes | None) -> None:
        """Take over what Redis has for a text that is about to be asked for."""
        answer = unpacked(place, value)
        metrics.CACHED.labels(level="redis", outcome="miss" if answer is None else "hit").inc()
        if answer is not None:
            self._fetched.add((place.version, place.text))
            self._put((place.version, place.text), answer)

    def outgoing(self) -> dict[str, bytes]:
        """What the next trip is to bring to Redis. Asked for once, it is given once."""
        load: dict[str, bytes] = {}
        while self._outgoing and len(load) < _LOAD:
            try:
                key, value = self._outgoing.popleft()
            except IndexError:  # another thread was quicker
                break
            load[key] = value
        return load

    def _share(self, version: str, text: str, answer: Recognition) -> None:
        if settings.SHARED_CACHE_SECONDS and len(text) <= LONGEST:
            place = place_of(version, text)
            if (value := packed(place, answer)) is not None:
                self._outgoing.append((place.key, value))

    def _fetched_take(self, key: tuple[str, str]) -> bool:
        with self._lock:
            if key in self._fetched:
                self._fetched.remove(key)
                return True
        return False

    def forget(self) -> None:
        """Remember nothing."""
        with self._lock:
            self._known.clear()
            self._fetched.clear()
            self._outgoing.clear()
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
                oldest, _ = self._known.popitem(last=False)
                self._fetched.discard(oldest)
                self._characters -= len(oldest[1])


recognition_cache = RecognitionCache()
