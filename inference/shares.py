"""How callers are divided among a project's versions: by shares, and each caller always alike.

Weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA 2005):
every arm draws a number for the subject, divides it by its share, and the least wins. An arm whose share
grows while others' shrink gains subjects and loses none, so that raising a canary from 5 to 10 % takes
nobody out of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from hashlib import blake2b

from inference.models import Deployment

Slot = Deployment.Slot

#: Percent, where champion, speed and backup are filled and nothing else was set.
BY_DEFAULT = {Slot.SPEED: 8.0, Slot.BACKUP: 2.0}
#: Slots that can have a share; what they leave is the champion's. A shadow answers nobody.
SHARED = (Slot.CHALLENGER, Slot.SPEED, Slot.BACKUP)
#: Percent of the champion's answers that a shadow reads again where nothing else was set.
SHADOW_BY_DEFAULT = 10.0


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


def arm_of(subject: str, shares: Mapping[str, float]) -> str:
    """The arm of a subject: of any number of subjects each arm gets its share."""
    key = blake2b(subject.encode(), digest_size=32).digest()
    return min(shares, key=lambda arm: -math.log(_drawn(arm, key)) / shares[arm])


def _drawn(arm: str, key: bytes) -> float:
    """The number in (0, 1] that an arm drew for a subject."""
    digest = blake2b(arm.encode(), key=key, digest_size=8).digest()
    return (int.from_bytes(digest) + 1) / 2**64
