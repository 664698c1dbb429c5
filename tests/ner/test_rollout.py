"""A version goes on, waits or comes back by its numbers, and chance alone takes none back."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from math import comb
from typing import Any

import pytest

from ner.certainty import ALPHA, difference_low, surely_above
from ner.intervals import Share
from ner.rollout import (
    NOTHING,
    Arm,
    Finding,
    Judgement,
    Plan,
    Seen,
    ShadowSeen,
    State,
    agreement_asked,
    exam_arm,
    judge_shadow,
    judge_share,
    judge_watch,
    label_drift,
)
from ner.sequential import Sample

PLAN = Plan(
    steps=(0, 5, 50, 100),
    approval="never",
    min_samples=200,
    min_seconds=60,
    watch_seconds=300,
    shadow_percent=25,
    max_error_rate=0.01,
    max_p95_ms=200,
    max_p99_ms=500,
    min_agreement=0.5,
    max_low_confidence_rise=0.15,
    max_label_drift=0.25,
    max_edit_rate_rise=0.05,
    min_reviews=0,
)
LABELS = {"per": 300, "geo": 200, "org": 100, NOTHING: 100}
GOOD = Arm(answers=500, labels=LABELS, labelled=500, p95_ms=20.0, p99_ms=40.0, unsure=30)


def seen(candidate: Arm = GOOD, champion: Arm = GOOD, **more: Any) -> Seen:
    """Both arms for two minutes, the last minute as all of it."""
    parts: dict[str, Any] = {"candidate_now": candidate, "champion_now": champion} | more
    return Seen(seconds=120, candidate=candidate, champion=champion, window_seconds=60, **parts)


def found(judgement: Judgement, code: str) -> Finding:
    return next(one for one in judgement.findings if one.code == code)


def states(judgement: Judgement) -> dict[str, State]:
    return {one.code: one.state for one in judgement.findings if one.state != State.MET}


def test_a_version_as_good_as_the_champion_goes_on() -> None:
    judgement = judge_share(PLAN, seen())
    assert judgement.is_met
    assert (judgement.why_not, judgement.why_back, judgement.seconds_left) == ("", "", 0.0)


def test_it_waits_for_answers_and_says_how_long_at_the_present_rate() -> None:
    few = replace(GOOD, answers=50, labelled=50, unsure=3)
    judgement = judge_share(PLAN, seen(few))
    assert states(judgement) == {"samples": State.WAITING}
    assert "50 of 200 answers" in judgement.why_not
    assert judgement.seconds_left == pytest.approx(150 / (50 / 60))


def test_where_no_answers_come_nobody_can_say_how_long() -> None:
    few = replace(GOOD, answers=50, labelled=50, unsure=3)
    judgement = judge_share(PLAN, seen(few, candidate_now=Arm()))
    assert "none is coming in" in judgement.why_not
    assert judgement.seconds_left is None


def test_it_waits_for_the_time_of_a_step() -> None:
    judgement = judge_share(PLAN, replace(seen(), seconds=20))
    assert states(judgement) == {"time": State.WAITING}
    assert judgement.seconds_left == 40


@pytest.mark.parametrize(
    ("worse", "code"),
    [
        ({"failures": 25}, "error_rate"),
        ({"slow": 80}, "p95_ms"),
        ({"very_slow": 30}, "p99_ms"),
        ({"unsure": 250}, "low_confidence"),
        ({"labels": {"org": 300, "per": 200, "geo": 2, NOTHING: 198}}, "label_drift"),
        ({"labels": {NOTHING: 500}}, "label_drift"),
        ({"refused": "bundle_changed"}, "bundle"),
    ],
)
def test_what_is_surely_worse_takes_it_back(worse: dict[str, Any], code: str) -> None:
    judgement = judge_share(PLAN, seen(replace(GOOD, **worse)))
    assert [one.code for one in judgement.broken] == [code]
    assert judgement.why_back


def test_what_it_labels_differently_for_good_reason_does_not_take_it_back() -> None:
    """The champion finds organisations where there are none."""
    without = replace(GOOD, labels={"per": 300, "geo": 200, "org": 4, NOTHING: 196})
    assert [one.code for one in judge_share(PLAN, seen(without)).broken] == ["label_drift"]

    in_exam = exam_arm([{"per": (1, 0, 0), "geo": (0, 0, 1)}, {"org": (0, 0, 1)}])
    assert (in_exam.labels, in_exam.labelled) == ({"per": 1, NOTHING: 1}, 2)
    found_more = replace(seen(without), drift_expected=label_drift(without, GOOD)[0])
    judgement = judge_share(PLAN, found_more)
    assert judgement.is_met
    assert "in an exam in which it did no worse" in found(judgement, "label_drift").words


def test_a_bad_minute_is_not_hidden_by_good_hours() -> None:
    hours = replace(GOOD, answers=10_000, failures=30)
    minute = replace(GOOD, answers=100, failures=30)
    judgement = judge_share(PLAN, seen(hours, candidate_now=minute))
    assert [one.code for one in judgement.broken] == ["error_rate"]
    assert "in the last minute" in judgement.why_back


def test_above_a_limit_by_what_may_be_chance_waits() -> None:
    judgement = judge_share(PLAN, seen(replace(GOOD, failures=7)))
    assert states(judgement) == {"error_rate": State.WAITING}
    assert "may be chance" in judgement.why_not


FEW = Arm(answers=500, labels={"per": 8, "geo": 2}, labelled=10)


@pytest.mark.parametrize(
    ("above", "code"),
    [
        (seen(replace(GOOD, unsure=110)), "low_confidence"),
        (seen(FEW, replace(FEW, labels={"per": 4, "geo": 6})), "label_drift"),
        (seen(edits=Sample(400, 0.16, 0.05), champion_edits=Sample(400, 0.10, 0.05)), "edit_rate"),
    ],
    ids=["low_confidence", "label_drift", "edit_rate"],
)
def test_what_may_be_chance_neither_goes_on_nor_comes_back(above: Seen, code: str) -> None:
    judgement = judge_share(PLAN, above)
    assert states(judgement) == {code: State.WAITING}
    assert not judgement.is_met
    assert not judgement.broken


@pytest.mark.parametrize(
    ("minute", "code"),
    [
        (replace(GOOD, unsure=300), "low_confidence"),
        (replace(GOOD, labels={NOTHING: 500}), "label_drift"),
    ],
    ids=["low_confidence", "label_drift"],
)
def test_what_goes_wrong_in_the_last_minute_alone_takes_it_back(minute: Arm, code: str) -> None:
    judgement = judge_share(PLAN, seen(candidate_now=minute))
    assert [one.code for one in judgement.broken] == [code]
    assert "in the last minute" in judgement.why_back


def test_a_shadow_waits_for_the_time_of_its_step() -> None:
    soon = ShadowSeen(20, compared=300, agreement=0.8, timed=300)
    assert states(judge_shadow(PLAN, soon)) == {"time": State.WAITING}


def test_what_it_owed_and_never_answered_counts() -> None:
    nothing_but_failures = seen(Arm(failures=4), GOOD)
    assert "error_rate" in [one.code for one in judge_share(PLAN, nothing_but_failures).broken]


def test_a_slow_machine_is_waited_for() -> None:
    slow = replace(GOOD, slow=100)
    judgement = judge_share(PLAN, seen(slow, slow))
    assert not judgement.is_met
    assert states(judgement) == {"p95_ms": State.HELD}
    assert "the champion's, too" in judgement.why_not


def test_clearly_slower_than_the_champion_on_a_slow_machine_comes_back() -> None:
    judgement = judge_share(PLAN, seen(replace(GOOD, slow=300), replace(GOOD, slow=50)))
    assert [one.code for one in judgement.broken] == ["p95_ms"]


def test_without_answers_of_the_champion_beside_its_own_it_waits() -> None:
    judgement = judge_share(PLAN, seen(champion=Arm()))
    assert states(judgement) == {"low_confidence": State.WAITING}
    assert "no answer of the champion" in judgement.why_not
    assert judge_watch(PLAN, replace(seen(champion=Arm()), seconds=301)).is_met


def test_more_edits_than_of_the_champion_take_it_back() -> None:
    worse = seen(edits=Sample(400, 0.30, 0.05), champion_edits=Sample(400, 0.10, 0.05))
    assert [one.code for one in judge_share(PLAN, worse).broken] == ["edit_rate"]


def test_of_few_reviews_nothing_is_said_unless_they_are_asked_for() -> None:
    few = seen(edits=Sample(20, 0.9, 0.05), champion_edits=Sample(20, 0.1, 0.05))
    assert judge_share(PLAN, few).is_met
    judgement = judge_share(replace(PLAN, min_reviews=50), few)
    assert states(judgement) == {"reviews": State.WAITING}
    assert judgement.seconds_left is None


def test_after_the_last_step_it_is_watched_without_waiting_for_answers() -> None:
    nobody = seen(Arm(), GOOD)
    assert judge_watch(PLAN, replace(nobody, seconds=301)).is_met
    assert states(judge_watch(PLAN, nobody)) == {"time": State.WAITING}
    failing = Arm(answers=100, failures=20)
    assert judge_watch(PLAN, seen(failing)).broken
    edited = seen(edits=Sample(400, 0.30, 0.05), champion_edits=Sample(400, 0.10, 0.05))
    assert [one.code for one in judge_watch(PLAN, edited).broken] == ["edit_rate"]


def test_a_shadow_that_agrees_goes_on_and_one_that_does_not_comes_back() -> None:
    good = ShadowSeen(100, compared=300, agreement=0.8, timed=300)
    assert judge_shadow(PLAN, good).is_met
    judgement = judge_shadow(PLAN, replace(good, agreement=0.2))
    assert [one.code for one in judgement.broken] == ["agreement"]
    assert states(judge_shadow(PLAN, replace(good, compared=5, agreement=0.4, timed=5))) == {
        "samples": State.WAITING,
        "agreement": State.WAITING,
    }


def test_a_shadow_without_sound_answers_comes_back() -> None:
    judgement = judge_shadow(PLAN, ShadowSeen(100, compared=30, agreement=0.9, failed=30, timed=30))
    assert [one.code for one in judgement.broken] == ["error_rate"]
    assert judge_shadow(PLAN, ShadowSeen(100, problem="model_unusable")).broken
    assert judge_shadow(PLAN, ShadowSeen(100, compared=40, agreement=0.9, slow=40, timed=40)).broken


def test_a_champion_that_knows_little_is_no_measure_of_agreement() -> None:
    assert agreement_asked(PLAN, ShadowSeen(1, champion_f1=0.9, candidate_f1=0.92)) == 0.5
    assert agreement_asked(PLAN, ShadowSeen(1, champion_f1=0.3, candidate_f1=0.8)) == pytest.approx(0.24)
    assert agreement_asked(PLAN, ShadowSeen(1, champion_f1=0.0, candidate_f1=0.8)) == 0.0
    # A candidate that is bad itself makes nothing easier.
    assert agreement_asked(PLAN, ShadowSeen(1, champion_f1=0.9, candidate_f1=0.05)) == 0.5
    assert agreement_asked(PLAN, ShadowSeen(1)) == 0.5


def test_surely_above_is_the_exact_tail() -> None:
    for whole, limit in ((10, 0.01), (50, 0.05), (200, 0.01)):
        for part in range(whole + 1):
            tail = sum(
                comb(whole, count) * limit**count * (1 - limit) ** (whole - count)
                for count in range(part, whole + 1)
            )
            assert surely_above(part, whole, limit) == (tail < ALPHA and part > limit * whole), (part, whole)


def test_one_failure_of_one_is_no_certainty_but_two_of_two_are() -> None:
    assert not surely_above(1, 1, 0.01)
    assert surely_above(2, 2, 0.01)
    assert not surely_above(0, 0, 0.01)
    assert surely_above(1, 1000, 0.0)
    assert surely_above(60_000, 1_000_000, 0.05)
    assert not surely_above(50_100, 1_000_000, 0.05)


def test_chance_takes_hardly_ever_back_what_fails_just_as_often_as_it_may() -> None:
    """At the limit itself, looked at after every tenth of 500 answers."""
    draw = random.Random(5)
    taken_back = 0
    for _ in range(400):
        failed = 0
        for look in range(1, 51):
            failed += sum(draw.random() < 0.01 for _ in range(10))
            if surely_above(failed, 10 * look, 0.01):
                taken_back += 1
                break
    assert taken_back / 400 < 0.02


def test_drift_of_two_samples_of_one_mix_is_explained_by_chance() -> None:
    draw, names, weights = random.Random(7), ["per", "geo", "org", "tim"], [5, 3, 2, 1]
    beyond = 0
    for _ in range(300):
        first, second = (
            Arm(labels={name: drawn.count(name) for name in names}, labelled=count)
            for count in (150, 400)
            for drawn in [draw.choices(names, weights, k=count)]
        )
        index, chance = label_drift(first, second)
        beyond += index > chance
    assert beyond <= 3


def test_the_difference_of_shares_is_unsure_for_few() -> None:
    assert difference_low(Share(5, 10), Share(1, 10)) < 0.15
    assert difference_low(Share(500, 1000), Share(100, 1000)) > 0.3


def test_a_finding_can_be_kept() -> None:
    bodies = [one.to_json() for one in judge_share(PLAN, seen()).findings]
    assert json.loads(json.dumps(bodies)) == bodies
    assert {"code", "state", "words", "value", "limit", "samples", "low", "high"} < set(bodies[0])
