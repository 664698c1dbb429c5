"""Do callers get the arms in their shares, and always the same one?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

SUBJECTS = 100_000
SPLITS: tuple[Mapping[str, float], ...] = (
    {"champion": 95.0, "challenger": 5.0},
    {"champion": 50.0, "challenger": 50.0},
    {"champion": 40.0, "challenger": 30.0, "challenger-2": 20.0, "challenger-3": 10.0},
)


def drawn(shares: Mapping[str, float], subjects: int = SUBJECTS) -> list[str]:
    """The arm of each of so many callers."""
    # Here, because Django's models are behind it: the other parts need none.
    import django

    django.setup()
    from inference.shares import arm_of

    return [arm_of(f"caller {number}", shares) for number in range(subjects)]


def split_error(arms: list[str], shares: Mapping[str, float]) -> float:
    """The largest distance of an arm from its share, in percent of the callers."""
    counts = Counter(arms)
    return max(abs(100 * counts[arm] / len(arms) - share) for arm, share in shares.items())


def stickiness(first: list[str], again: list[str]) -> float:
    """The percent of the callers who got the same arm again."""
    return 100 * sum(one == other for one, other in zip(first, again, strict=True)) / len(first)
