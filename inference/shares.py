"""How callers are divided among a project's versions: by shares, and each caller always alike.

Whoever is divided (a subject, an API key, a text: `Division.By`) is dealt by weighted rendezvous hashing
(Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA 2005): every arm draws a number for
the subject, divides it by its share, and the least wins. An arm whose share grows while others' shrink gains
subjects and loses none, so that raising a canary from 5 to 10 % takes nobody out of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from inference.models import Deployment, Division

Slot = Deployment.Slot

#: Percent, where champion, speed and backup are filled and nothing else was set.
BY_DEFAULT = {Slot.SPEED: 8.0, Slot.BACKUP: 2.0}
#: Slots that can have a share; what they leave is the champion's. A shadow answers nobody.
SHARED = (*Deployment.CHALLENGERS, Slot.SPEED, Slot.BACKUP)
#: Percent of the champion's answers that a shadow reads again where nothing else was set.
SHADOW_BY_DEFAULT = 10.0
#: Subjects fall into so many groups: enough to tell how much the answers vary between subjects without
#: keeping who anybody is.
BUCKETS = 4096


@dataclass(frozen=True, slots=True)
class Subject:
    """Who asks, in each of the ways in which callers can be divided."""

    text: str = ""
    named: str = ""
    """What the caller says whose text it is."""
    key: str = ""
    is_internal: bool = False

    def by(self, by: str) -> str:
        """What is dealt to an arm."""
        if by == Division.By.API_KEY:
            return self.key
        return self.text if by == Division.By.TEXT else self.named or self.text


def shares_of(slots: Mapping[str, float | None]) -> dict[str, float]:
    """Each slot's part of the traffic in percent, the champion's the rest; parts of nothing are left out.

    `slots` are the filled ones with the share that was set, None for none.
    """
    default = BY_DEFAULT if slots.keys() >= {Slot.CHAMPION, *BY_DEFAULT} else {}
    shares: dict[str, float] = {}
    for slot in SHARED:
        if slot in slots:
            was_set = slots[slot]
            shares[slot] = default.get(slot, 0.0) if was_set is None else was_set
    shares[Slot.CHAMPION] = 100.0 - sum(shares.values())
    return {slot: share for slot, share in shares.items() if share > 0}


def shadow_share(was_set: float | None) -> float:
    """The percent of the champion's answers that a shadow reads again."""
    return SHADOW_BY_DEFAULT if was_set is None else was_set


def arm_of(subject: str, shares: Mapping[str, float], salt: str = "") -> str:
    """The arm of a subject: of any number of subjects each arm gets its share. Another salt deals anew."""
    key = _key(subject, salt)
    return min(shares, key=lambda arm: -math.log(_drawn(arm, key)) / shares[arm])


def bucket_of(subject: str, salt: str = "") -> int:
    """The group of a subject, which says nothing about its arm."""
    return int.from_bytes(_key(subject, salt)[:2]) % BUCKETS


def _key(subject: str, salt: str) -> bytes:
    return blake2b(subject.encode(), digest_size=32, salt=salt.encode()).digest()


def _drawn(arm: str, key: bytes) -> float:
    """The number in (0, 1] that an arm drew for a subject."""
    digest = blake2b(arm.encode(), key=key, digest_size=8).digest()
    return (int.from_bytes(digest) + 1) / 2**64
