"""Which split a document belongs to: decided by its hash, so that nobody chooses and nothing moves."""

from __future__ import annotations

from feedback.models import Stratum
from retraining.models import TrainingSetItem

Split = TrainingSetItem.Split

#: Upper ends, in percent of the hashes, of the (test, dev) slots; the rest trains. Documents drawn at random
#: are few and the only honest exam, so most of them sit it; the others may never.
SLOTS: dict[bool, tuple[int, int]] = {True: (60, 80), False: (0, 20)}


def split_of(*, text_hash: str, stratum: str) -> Split:
    """The split of a document that has none yet."""
    slot = int(text_hash[:8], 16) % 100
    test, dev = SLOTS[stratum == Stratum.RANDOM]
    if slot < test:
        return Split.TEST
    return Split.DEV if slot < dev else Split.TRAIN
