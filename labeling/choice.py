"""Which stratum a text belongs to and which one is served next: arithmetic, no rows.

The draw is the document's keyed hash: the same at every attempt, independent of what any model thinks
of the text, and not to be steered by whoever sends the text.
"""

from __future__ import annotations

from collections.abc import Sequence

from corpus.models import Project
from feedback.models import Stratum

_DRAW_DIGITS = 13  # hexadecimal digits of the hash: 52 bits, exact in a float


def draw(text_hash: str, *, nth: int = 0) -> float:
    """The number in [0, 1) that a text drew; draws of another `nth` are independent of it."""
    digits = text_hash[nth * _DRAW_DIGITS : (nth + 1) * _DRAW_DIGITS]
    return float(int(digits, 16) / 16**_DRAW_DIGITS)


def stratum_of(drawn: float, *, project: Project) -> Stratum:
    """The stratum of a document by the number that it drew."""
    if drawn < project.random_share:
        return Stratum.RANDOM
    if drawn < project.random_share + project.diverse_share:
        return Stratum.DIVERSE
    return Stratum.UNCERTAIN


def strata_shares(project: Project) -> dict[Stratum, float]:
    """Each stratum's share of what is handed out. What random and diverse leave, callers' texts share."""
    random = project.random_share
    diverse = min(project.diverse_share, 1 - random)
    rest = max(1 - random - diverse, 0.0)
    return {
        Stratum.RANDOM: random,
        Stratum.DIVERSE: diverse,
        Stratum.API: rest / 2,
        Stratum.UNCERTAIN: rest,
        Stratum.IMPORT: 0.0,
    }


def strata_in_turn(served: Sequence[str], *, shares: dict[Stratum, float]) -> list[Stratum]:
    """All strata, first those that are behind their share of what was `served` last.

    Behind: one more would not exceed the share, rounding up. The order of `shares` decides between two of
    them, and its reverse among the others, so that random checks are neither late nor more than wanted.
    """
    behind = [
        stratum for stratum, share in shares.items() if served.count(stratum) < share * (len(served) + 1)
    ]
    return [*behind, *(stratum for stratum in reversed(shares) if stratum not in behind)]


def annotators_of(text_hash: str, *, project: Project) -> int:
    """How many people annotate a text, by a draw of its own: independent of its stratum."""
    wanted = int(project.annotators_per_document)
    return wanted if wanted > 1 and draw(text_hash, nth=1) < project.overlap_share else 1
