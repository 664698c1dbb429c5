"""New rows in bulk get ids that ascend, so that their entries in an index lie together."""

from __future__ import annotations

import time
import uuid

from corpus.services import ids_new


def test_ids_are_uuids_of_version_7_in_ascending_order() -> None:
    before = time.time_ns() // 1_000_000
    ids = ids_new(10_000)
    assert ids == sorted(set(ids))
    read = [uuid.UUID(text) for text in ids]
    assert [str(one) for one in read] == ids
    assert {(one.version, one.variant) for one in read} == {(7, uuid.RFC_4122)}
    assert before <= read[0].int >> 80 <= time.time_ns() // 1_000_000


def test_ids_that_are_made_at_the_same_moment_differ() -> None:
    made = [one for _ in range(100) for one in ids_new(5)]
    assert len(set(made)) == len(made)
