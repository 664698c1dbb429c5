"""The gate: each rule broken by itself, the bootstrap behind it, and sentences a person can read."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from ner.bootstrap import paired_bootstrap
from ner.errors import BadInput, BundleNotFinite
from ner.evaluate import EvalReport, evaluate
from ner.gate import GateDecision, GatePolicy, Reason, judge, refuse_bundle
from ner.spans import Example, Span

TEXT = "Ann Lee works for Acme in Oslo"
GOLD = (Span(0, 7, "per"), Span(18, 22, "org"), Span(26, 30, "geo"))
POLICY = GatePolicy()


def report(documents: int, *, right: float = 1.0, broken: str = "", shift: int = 0) -> EvalReport:
    """A model that finds everything in a share of the documents; `broken` is a label it never finds."""
    gold = [Example(TEXT, GOLD, str(i)) for i in range(documents)]
    known = round(right * documents)
    predicted = [
        [span for span in GOLD if span.label != broken] if (i + shift) % documents < known else []
        for i in range(documents)
    ]
    return evaluate(gold, predicted)


def verdict(
    champion: EvalReport, candidate: EvalReport, policy: GatePolicy = POLICY, **facts
) -> GateDecision:
    return judge(champion=champion, candidate=candidate, policy=policy, **facts)


def reason(decision: GateDecision, code: str) -> Reason:
    (found,) = [reason for reason in decision.reasons if reason.code == code]
    return found


def failed(decision: GateDecision) -> list[str]:
    assert decision.passed == all(reason.passed for reason in decision.reasons)
    return [reason.code for reason in decision.reasons if not reason.passed]


def test_a_better_candidate_passes_with_its_numbers() -> None:
    decision = verdict(report(200, right=0.6), report(200, right=0.8))
    assert failed(decision) == []
    assert decision.interval[0] > 0
    message = reason(decision, "quality").message
    assert message.startswith("F1 0.750 -> 0.889 (+13.9 points, 95 % interval +")
    assert message.endswith("better than the champion.")


def test_the_same_model_again_is_not_worse() -> None:
    same = report(100, right=0.7)
    decision = verdict(same, same)
    assert failed(decision) == []
    assert (decision.difference, decision.interval) == (0.0, (0.0, 0.0))


def test_the_same_model_again_is_not_better_where_better_is_asked_for() -> None:
    same = report(100, right=0.7)
    assert failed(verdict(same, same, replace(POLICY, must_be_better=True))) == ["quality"]


def test_a_worse_candidate_is_refused() -> None:
    decision = verdict(report(200, right=0.8), report(200, right=0.6))
    assert "quality" in failed(decision)
    assert "worse than the champion" in reason(decision, "quality").message


def test_an_equal_score_on_other_documents_could_be_luck() -> None:
    decision = verdict(report(30, right=0.5), report(30, right=0.5, shift=15))
    assert decision.difference == 0
    assert failed(decision) == ["quality"]
    assert "could be worse" in reason(decision, "quality").message


def test_a_gain_smaller_than_asked_for_is_refused() -> None:
    policy = replace(POLICY, min_difference=0.2)
    assert failed(verdict(report(200, right=0.6), report(200, right=0.8), policy)) == ["gain"]


def test_a_label_that_broke_is_refused_even_when_the_whole_got_better() -> None:
    decision = verdict(report(200, right=0.4), report(200, right=1.0, broken="org"))
    assert failed(decision) == ["label_floor"]
    assert "Label org fell from F1 0.571 to 0.000 (200 true entities)" in (
        reason(decision, "label_floor").message
    )


def test_a_label_that_fell_by_chance_is_not_held_against_the_candidate() -> None:
    decision = verdict(report(20, right=0.5), report(20, right=0.4, shift=10))
    assert reason(decision, "label_floor").value < -POLICY.max_label_drop
    assert "label_floor" not in failed(decision)


def test_a_label_with_few_examples_is_not_judged_by_itself() -> None:
    policy = replace(POLICY, min_label_support=500)
    decision = verdict(report(200, right=0.4), report(200, right=1.0, broken="org"), policy)
    assert failed(decision) == []
    assert "none is judged by itself" in reason(decision, "label_floor").message


def test_few_test_documents_are_said() -> None:
    decision = verdict(report(12, right=0.5), report(12))
    assert reason(decision, "test_documents").message == (
        "Only 12 test documents (36 entities): the interval is wide."
    )


def test_too_few_test_documents_are_refused() -> None:
    decision = verdict(report(4, right=0.5), report(4))
    assert "test_documents" in failed(decision)
    assert "Only 4 test documents, 10 are needed" in reason(decision, "test_documents").message


@pytest.mark.parametrize("documents", [0, 50])
def test_a_set_without_entities_decides_nothing(documents: int) -> None:
    empty = evaluate([Example("nothing")] * documents, [()] * documents)
    decision = verdict(empty, empty)
    assert "test_documents" in failed(decision)
    assert "no entity" in reason(decision, "test_documents").message


def test_the_first_model_is_judged_against_the_blank_one() -> None:
    blank = report(60, right=0.0)
    decision = verdict(blank, report(60, right=0.9))
    assert failed(decision) == []
    assert blank.micro.f1 == 0


def test_a_candidate_that_forgot_the_general_texts_is_refused() -> None:
    decision = verdict(
        report(100, right=0.5),
        report(100, right=0.9),
        base_champion=report(300, right=0.9),
        base_candidate=report(300, right=0.8),
    )
    assert failed(decision) == ["forgetting"]
    assert "forgotten too much" in reason(decision, "forgetting").message


def test_a_loss_of_exactly_the_limit_is_allowed() -> None:
    before, after = report(100, right=1.0), report(100, right=0.9)
    drop = before.micro.f1 - after.micro.f1
    policy = replace(POLICY, max_base_drop=drop)
    good = report(100)
    assert failed(verdict(good, good, policy, base_champion=before, base_candidate=after)) == []


def test_size_and_latency_have_limits() -> None:
    good = report(100)
    decision = verdict(good, good, size_bytes=60_000_000, p95_ms=312.5)
    assert failed(decision) == ["size", "latency"]
    assert reason(decision, "size").message == "The model takes 60.0 MB; the limit is 40 MB."
    assert "312.5 ms; the limit is 200 ms" in reason(decision, "latency").message
    assert failed(verdict(good, good, size_bytes=40_000_000, p95_ms=200.0)) == []


def test_a_limit_of_none_is_not_judged() -> None:
    good, policy = report(100), replace(POLICY, max_size_mb=None, max_p95_ms=None)
    codes = {reason.code for reason in verdict(good, good, policy, size_bytes=10**12, p95_ms=1e9).reasons}
    assert codes == {"test_documents", "quality", "label_floor"}


@pytest.mark.parametrize(
    ("golden", "right", "lost", "allowed"),
    [(30, 1.0, 3, 3), (30, 1.0, 4, 3), (5, 1.0, 1, 1), (5, 1.0, 2, 1), (30, 0.5, 1, 1), (30, 0.5, 2, 1)],
)
def test_golden_texts_that_were_right_stay_right(golden: int, right: float, lost: int, allowed: int) -> None:
    good, champion = report(100), report(golden, right=right)
    known = round(golden * right)
    decision = verdict(
        good,
        good,
        golden_champion=champion,
        golden_candidate=report(golden, right=(known - lost) / golden),
    )
    assert failed(decision) == ([] if lost <= allowed else ["golden"])
    assert reason(decision, "golden").message == (
        f"Of {golden} golden texts the champion gets {known} right, the candidate {known - lost};"
        f" {lost} of the champion's were lost, at most {allowed} may be."
    )


def test_golden_texts_won_do_not_pay_for_those_lost() -> None:
    good = report(100)
    decision = verdict(
        good,
        good,
        golden_champion=report(20, right=0.5),
        golden_candidate=report(20, right=0.8, shift=16),
    )
    assert failed(decision) == ["golden"]


def test_a_project_without_golden_texts_is_not_asked_for_any() -> None:
    good, none = report(100), evaluate([], [])
    decision = verdict(good, good, golden_champion=none, golden_candidate=none)
    assert "golden" not in {reason.code for reason in decision.reasons}


def sure(documents: int, confidence: float, *, right: float) -> EvalReport:
    """A model that says of every span that it is so sure, and is right in a share of the documents."""
    gold = [Example(TEXT, GOLD[:1], str(i)) for i in range(documents)]
    known = round(right * documents)
    spans = [GOLD[0] if i < known else GOLD[1] for i in range(documents)]
    return evaluate(gold, [[Span(s.start, s.end, s.label, confidence)] for s in spans])


def test_a_confidence_that_means_nothing_is_refused() -> None:
    decision = verdict(sure(200, 0.9, right=0.9), sure(200, 0.3, right=0.9))
    assert failed(decision) == ["calibration"]
    assert reason(decision, "calibration").message == (
        "Confidence is 60.0 points off on average over 200 predicted entities,"
        " 57.4 more than chance explains; the limit is 10.0."
    )


def test_few_entities_may_be_off_by_chance() -> None:
    passed = verdict(sure(200, 0.9, right=0.9), sure(200, 0.75, right=0.9))
    assert "calibration" in failed(passed)
    assert "calibration" not in failed(verdict(sure(12, 0.9, right=0.9), sure(12, 0.75, right=0.9)))


def test_no_candidate_need_be_better_calibrated_than_the_champion() -> None:
    assert failed(verdict(sure(200, 0.6, right=0.9), sure(200, 0.6, right=0.9))) == []


def test_a_bundle_that_cannot_be_served_is_a_refusal_with_its_reason() -> None:
    decision = refuse_bundle(BundleNotFinite(path="here", problem="word in model.onnx"))
    assert failed(decision) == ["bundle"]
    assert reason(decision, "bundle").message == (
        "The bundle cannot be served (bundle_not_finite): word in model.onnx."
    )
    assert decision.to_json()["interval"] is None


def test_a_whole_bundle_is_said_to_be() -> None:
    good = report(100)
    assert reason(verdict(good, good, parameters=1_234_567), "bundle").message == (
        "The bundle is as it was written, and all of its 1,234,567 numbers are finite."
    )


def test_reports_of_other_texts_are_refused() -> None:
    for other in (report(99), evaluate([Example("Ann", ())] * 100, [()] * 100)):
        with pytest.raises(BadInput) as caught:
            verdict(report(100), other)
        assert caught.value.code == "reports_differ"


def test_the_verdict_survives_storage_of_its_reports_and_is_repeatable() -> None:
    champion, candidate = report(80, right=0.5), report(80, right=0.7, shift=20)
    stored = [EvalReport.from_json(json.loads(json.dumps(r.to_json()))) for r in (champion, candidate)]
    assert verdict(*stored) == verdict(champion, candidate)
    assert json.loads(json.dumps(verdict(champion, candidate).to_json()))["passed"] in (True, False)


# The bootstrap


def test_the_interval_agrees_with_resampling_document_by_document() -> None:
    random = np.random.default_rng(3)
    truth = random.integers(1, 6, size=120)
    counts = []
    for share in (0.7, 0.75):
        tp = random.binomial(truth, share)
        counts.append(np.stack([tp, random.integers(0, 3, size=120), truth - tp], axis=1))
    old, new = counts

    def f1(rows: np.ndarray) -> float:
        tp, fp, fn = rows.sum(axis=0)
        return float(2 * tp / (2 * tp + fp + fn))

    draws = [random.integers(120, size=120) for _ in range(4_000)]
    low, high = np.quantile([f1(new[d]) - f1(old[d]) for d in draws], [0.025, 0.975])
    found = paired_bootstrap([tuple(r) for r in old], [tuple(r) for r in new], resamples=4_000)
    assert found.value == pytest.approx(f1(new) - f1(old))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.006)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(7)
    covered = 0
    for trial in range(200):
        # Two equal models: the true difference is 0.
        hits = random.binomial(3, 0.8, size=(2, 60))
        old, new = ([(int(h), 0, int(3 - h)) for h in row] for row in hits)
        interval = paired_bootstrap(old, new, resamples=500, seed=trial)
        covered += interval.low <= 0 <= interval.high
    assert 0.90 <= covered / 200 <= 0.99


def test_no_documents_give_no_difference() -> None:
    assert paired_bootstrap([], []).value == 0


def test_different_numbers_of_documents_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="same documents"):
        paired_bootstrap([(1, 0, 0)], [])


def test_ten_thousand_documents_are_judged_in_a_moment() -> None:
    random = np.random.default_rng(1)
    rows = [tuple(int(v) for v in row) for row in random.integers(0, [4, 2, 2], size=(10_000, 3))]
    started = time.process_time()
    paired_bootstrap(rows, rows[::-1])
    assert time.process_time() - started < 2
