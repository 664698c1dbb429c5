"""The single criteria of a rollout: a number, what is asked of it, what follows, and a sentence that says so.

Somebody looks every few seconds, so a limit counts as broken only where chance would do it once in a thousand
looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ner.certainty import ALPHA, Z, difference_low, surely_above
from ner.intervals import Share, wilson
from ner.said import Facts, Number, Said
from ner.said import Said as _
from ner.sequential import Sample, compare


class State(StrEnum):
    """What one criterion says of a step."""

    MET = "met"
    WAITING = "waiting"
    HELD = "held"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion: what was measured, what is asked, and what follows, in words."""

    code: str
    state: State
    words: Said
    value: float | None = None
    limit: float | None = None
    samples: int = 0
    low: float | None = None
    high: float | None = None
    seconds_left: float | None = None
    """Until it is met at the present rate, where that can be said."""

    def to_json(self) -> dict[str, Any]:
        """As it is kept in a row: the words as they were decided, and what says them in other languages."""
        rounded = {
            name: None if (number := getattr(self, name)) is None else round(number, 6)
            for name in ("value", "limit", "low", "high", "seconds_left")
        }
        return {
            "code": self.code,
            "state": self.state.value,
            "words": str(self.words),
            "sentence": self.words.to_json(),
            "samples": self.samples,
        } | rounded


def time(seconds: float, asked: float) -> Finding:
    """Has it stood here for long enough?"""
    left = max(asked - seconds, 0.0)
    facts: Facts = {"seconds": Number(seconds, ".0f"), "asked": Number(asked, "g")}
    if left:
        words = _("{seconds} of {asked} s are over", **facts)
    else:
        words = _("{seconds} of {asked} s and more are over", **facts)
    state = State.WAITING if left else State.MET
    return Finding("time", state, words, value=seconds, limit=asked, seconds_left=left)


def samples(count: int, asked: int, per_second: float, *, is_shadow: bool = False) -> Finding:
    """Were there enough answers (in the shadow: comparisons) to judge by?"""
    missing = max(asked - count, 0)
    left = missing / per_second if per_second > 0 else None
    facts: Facts = {"count": count, "asked": asked}
    if is_shadow:
        words = _("{count} of {asked} comparisons", **facts)
    else:
        words = _("{count} of {asked} answers", **facts)
    if missing and left is None:
        words = _("{so_far}, and none is coming in now", so_far=words)
    return Finding(
        "samples",
        State.WAITING if missing else State.MET,
        words,
        value=count,
        limit=asked,
        samples=count,
        seconds_left=left if missing else 0.0,
    )


def rate(
    code: str,
    limit: float,
    windows: Sequence[tuple[Share, Share]],
    bar: float | None = None,
    measured: float | None = None,
) -> Finding:
    """A share that must stay below a limit, in each window; `bar` is what makes an answer one of them.

    Where the champion breaks the limit, too, the machine is slow: it is held, unless it exceeds the champion
    by more than the limit itself.
    """
    shown, most = windows[0][0], _percent(limit)
    state, why = State.MET, _("at most {most} %", most=most)
    if shown.value > limit:
        state, why = State.WAITING, _("above {most} %, but that may be chance", most=most)
    for is_now, (mine, theirs) in enumerate(windows):
        if not surely_above(mine.part, mine.whole, limit):
            continue
        shown = mine
        if theirs and theirs.value > limit and difference_low(mine, theirs) <= limit:
            state, also = State.HELD, _percent(theirs.value)
            why = _("above {most} %; but {also} % of the champion's, too", most=most, also=also)
        else:
            state, why = State.BROKEN, _("surely above {most} %", most=most)
        if is_now:
            why = _("{why}, in the last minute", why=why)
        if state == State.BROKEN:
            break
    facts: Facts = {"share": _percent(shown.value), "part": shown.part, "whole": shown.whole, "why": why}
    if bar is None:
        words = _("{share} % of the answers failed ({part} of {whole}; {why})", **facts)
        return Finding(code, state, words, shown.value, limit, shown.whole, shown.low, shown.high)
    words = _(
        "{share} % of the answers took more than {bar} ms ({part} of {whole}; {why})",
        bar=Number(bar, "g"),
        **facts,
    )
    return Finding(code, state, words, measured, bar, shown.whole)


def unsure(limit: float, windows: Sequence[tuple[Share, Share]], *, must_compare: bool) -> Finding:
    """Is it unsure of more answers than the champion?"""
    mine, theirs = windows[0]
    rise = mine.value - theirs.value if mine and theirs else 0.0
    state, why = State.MET, _("at most {most} points more", most=_points(limit))
    if must_compare and not theirs:
        state = State.WAITING
    if rise > limit:
        state, why = State.WAITING, _maybe_more(limit)
    for is_now, (now, other) in enumerate(windows):
        if now and other and difference_low(now, other) > limit:
            state, mine, theirs, why = State.BROKEN, now, other, _surely_more(limit)
            if is_now:
                why = _("{why}, in the last minute", why=why)
            break
    if theirs:
        words = _(
            "{share} % of the answers are unsure, of the champion's {champion} % ({why})",
            share=_percent(mine.value),
            champion=_percent(theirs.value),
            why=why,
        )
    else:
        words = _("no answer of the champion to compare its sureness with")
    return Finding("low_confidence", state, words, mine.value - theirs.value, limit, mine.whole)


def labels(limit: float, windows: Sequence[tuple[float, float, int]], *, expected: float = 0.0) -> Finding:
    """Does it label differently? In each window: how far, how much of it is chance, of how many texts.

    `expected` is how differently it labels where that was found to be no fault, and comes on top: a candidate
    that leaves out what the champion finds wrongly must not be taken back for it.
    """
    index, chance, count = windows[0]
    limit += expected
    most = Number(limit, ".3g")
    state, why = State.MET, _("at most {most}", most=most)
    if index > limit:
        state, why = State.WAITING, _("above {most}, but that may be chance", most=most)
    for is_now, (found, chance, texts) in enumerate(windows):
        if found - chance > limit:
            state, index, count = State.BROKEN, found, texts
            why = _("surely above {most}", most=most)
            if is_now:
                why = _("{why}, in the last minute", why=why)
            break
    facts: Facts = {"index": Number(index, ".2f"), "why": why}
    if expected:
        words = _(
            "the mix of labels differs from the champion's by {index} ({why}; "
            "by {expected} in an exam in which it did no worse)",
            expected=Number(expected, ".2f"),
            **facts,
        )
    else:
        words = _("the mix of labels differs from the champion's by {index} ({why})", **facts)
    return Finding("label_drift", state, words, index, limit, count)


def edits(limit: float, mine: Sample, champion: Sample) -> Finding:
    """Do people edit more of it than of the champion's?"""
    found = compare(champion, mine, alpha=ALPHA, tau=max(limit, 0.01))
    if not found.is_said:
        words = _(
            "{count} of its texts and {champion} of the champion's were reviewed at random, "
            "too few to compare how much of them is edited",
            count=mine.count,
            champion=champion.count,
        )
        return Finding("edit_rate", State.MET, words, limit=limit, samples=mine.count)
    state, why = State.MET, _("at most {most} points more", most=_points(limit))
    if found.low > limit:
        state, why = State.BROKEN, _surely_more(limit)
    elif found.difference > limit:
        state, why = State.WAITING, _maybe_more(limit)
    words = _(
        "people edit {share} % of its entities and {champion} % of the champion's ({why})",
        share=_percent(mine.mean),
        champion=_percent(champion.mean),
        why=why,
    )
    return Finding("edit_rate", state, words, found.difference, limit, mine.count, found.low, found.high)


def reviews(count: int, asked: int) -> Finding:
    """Did people review enough of it?"""
    words = _("{count} of {asked} random reviews", count=count, asked=asked)
    state = State.WAITING if count < asked else State.MET
    return Finding("reviews", state, words, count, asked, count)


def agreement(found: float | None, compared: int, asked: float) -> Finding:
    """Does it answer as the champion does?"""
    if found is None:
        return Finding("agreement", State.WAITING, _("nothing was compared yet"), limit=asked)
    # No mean of shares varies more than a share does.
    low, high = wilson(min(found, 1.0), compared, Z)
    least = _percent(asked)
    state, why = State.MET, _("at least {least} %", least=least)
    if high < asked:
        state, why = State.BROKEN, _("surely below {least} %", least=least)
    elif found < asked:
        state, why = State.WAITING, _("below {least} %, but that may be chance", least=least)
    words = _("it agrees with the champion to {share} % ({why})", share=_percent(found), why=why)
    return Finding("agreement", state, words, found, asked, compared, low, high)


def bundle_refused(why: str) -> Finding:
    """A process would not load it."""
    return Finding("bundle", State.BROKEN, _("a process refused to load it: {why}", why=why))


def shadow_refused(problem: str, compared: int) -> Finding:
    """The shadow cannot read with it."""
    words = _("the shadow cannot read: {problem}", problem=problem)
    return Finding("bundle", State.BROKEN, words, samples=compared)


def _surely_more(limit: float) -> Said:
    return _("surely more than {most} points more", most=_points(limit))


def _maybe_more(limit: float) -> Said:
    return _("more than {most} points more, but that may be chance", most=_points(limit))


def _percent(share: float) -> Number:
    return Number(100 * share, ".2g" if share < 0.1 else ".0f")


def _points(share: float) -> Number:
    return Number(100 * share, "g")
