"""What a rollout is judged by: the answers of this step, of callers, beside the champion's."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from feedback.models import Correction, Stratum
from inference.models import (
    ArmFailure,
    Deployment,
    Evaluation,
    ModelVersion,
    Prediction,
    ShadowComparison,
    ShadowTest,
)
from inference.services import api_key_create, deployment_set, version_register
from retraining import arms
from retraining.arms import Place, Span, arm_counted, edits_sampled
from retraining.models import Rollout
from tests.bundles import tiny_bundle
from tests.retraining.conftest import Made
from tests.retraining.experiments import Lab
from tests.retraining.rollouts import answers_make, begun, looked, served, shadowed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]
Status = Rollout.Status


def ago(minutes: float) -> datetime:
    return timezone.now() - timedelta(minutes=minutes)


def counted(rollout: Rollout, slot: str = "challenger") -> Any:
    place = Place(rollout.project, slot, rollout.version)
    return arm_counted(place=place, during=Span(rollout.step_started_at), plan=rollout.plan_of())


def broken(rollout: Rollout) -> list[str]:
    """What took it back."""
    if rollout.status != Status.ROLLED_BACK:
        return []
    findings = rollout.events.get(kind="roll_back").findings
    return [one["code"] for one in findings if one["state"] == "broken"]


def failing(rollout: Rollout, count: int, **more: Any) -> None:
    """Answers that it owed and did not give."""
    ArmFailure.objects.create(
        **{
            "project": rollout.project,
            "version": rollout.version,
            "slot": "challenger",
            "kind": "unsound",
            "count": count,
        }
        | more
    )


# --- Which answers -----------------------------------------------------------------------------------


def test_a_bad_minute_is_not_hidden_by_good_ones_before(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 100], max_error_rate=0.2)
    answers_make(project, new, "challenger", 150, at=ago(3))
    failing(rollout, 20)
    rollout = looked(rollout)
    assert broken(rollout) == ["error_rate"]
    assert "in the last minute" in rollout.outcome


def test_a_step_is_judged_by_its_own_answers(project: Project, old: ModelVersion, new: ModelVersion) -> None:
    rollout = begun(project, new, steps=[5, 100])
    Rollout.objects.update(started_at=ago(30))
    answers_make(project, new, "challenger", 150, at=ago(20), latency_ms=900.0)
    failing(rollout, 90, at=ago(20))
    rollout = looked(rollout)
    assert rollout.status == Status.ACTIVE
    assert "0 of 100 answers" in rollout.waits_for


def test_it_is_held_to_what_the_champion_answers_in_the_same_step(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    """The champion was just as unsure before; now it is not."""
    rollout = begun(project, new, steps=[5, 100])
    Rollout.objects.update(started_at=ago(30))
    answers_make(project, old, "champion", 450, at=ago(20), uncertainty=0.9)
    answers_make(project, old, "champion", 40, at=ago(3))
    answers_make(project, new, "challenger", 150, at=ago(3), uncertainty=0.9)
    assert broken(looked(rollout)) == ["low_confidence"]


def examined(version: ModelVersion, f1: float, *found: str) -> None:
    """An exam of a hundred texts, in which it found these labels again and again."""
    documents = [{label: [1, 0, 0]} if (label := found[n % len(found)]) else {} for n in range(100)]
    scores = {"precision": f1, "recall": f1, "f1": f1, "support": 100, "tp": 0, "fp": 0, "fn": 0}
    report = {"micro": scores, "labels": {}, "errors": {}, "documents": documents, "uncertainties": [0.1]}
    Evaluation.objects.create(
        version=version,
        project=version.project,
        kind="test",
        set_fingerprint="the same texts",
        documents=100,
        precision=f1,
        recall=f1,
        f1=f1,
        report=report,
    )


@pytest.mark.parametrize(("f1", "taken_back_for"), [(0.9, []), (0.7, ["label_drift"])])
def test_a_better_version_may_label_callers_texts_as_differently_as_those_of_its_exam(
    project: Project, old: ModelVersion, new: ModelVersion, f1: float, taken_back_for: list[str]
) -> None:
    examined(old, 0.8, "per", "per", "geo", "")
    examined(new, f1, "per")
    rollout = begun(project, new, steps=[5, 100])
    answers_make(project, old, "champion", 400)
    answers_make(project, new, "challenger", 150, label="per")
    assert broken(looked(rollout)) == taken_back_for


@pytest.mark.parametrize(
    "other",
    [
        {"slot": "shadow"},
        {"kind": "refused", "reason": ""},
        {"slot": "champion"},
    ],
    ids=str,
)
def test_failures_of_other_places_are_not_its_own(
    project: Project, old: ModelVersion, new: ModelVersion, other: dict[str, Any]
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    failing(rollout, 50, **other)
    assert counted(rollout).failures == 0


def test_another_projects_answers_and_failures_of_the_same_version_are_not_its_own(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    rollout = begun(project, new, steps=[5, 100])
    answers_make(project, new, "challenger", 4)
    Prediction.objects.update(project=other)
    answers_make(project, new, "challenger", 3)
    failing(rollout, 50, project=other)
    assert (counted(rollout).answers, counted(rollout).failures) == (3, 0)


def test_a_stretch_of_time_ends_where_it_ends(project: Project, old: ModelVersion, new: ModelVersion) -> None:
    rollout = begun(project, new, steps=[5, 100])
    for minutes, count in ((6, 3), (2, 5)):
        answers_make(project, new, "challenger", count, at=ago(minutes))
        failing(rollout, count, at=ago(minutes))
    place = Place(project, "challenger", new)
    arm = arm_counted(place=place, during=Span(ago(8), ago(4)), plan=rollout.plan_of())
    assert (arm.answers, arm.failures) == (3, 3)


def test_however_many_there_are_the_newest_are_read(
    project: Project, old: ModelVersion, new: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arms, "MOST", 20)
    rollout = begun(project, new, steps=[5, 100])
    answers_make(project, new, "challenger", 50, at=ago(5), uncertainty=0.9)
    answers_make(project, new, "challenger", 20)
    arm = counted(rollout)
    assert (arm.answers, arm.unsure) == (20, 0)


def test_failures_of_the_champion_are_not_its_own(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    failing(rollout, 50, version=old)
    assert looked(rollout).status == Status.ACTIVE


def test_internal_keys_and_people_of_the_house_are_not_counted(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    answers_make(project, new, "challenger", 3)
    ours, _ = api_key_create(project=project, name="ours", scopes=["predict"], internal=True, actor=SYSTEM)
    Prediction.objects.update(api_key=ours)
    assert counted(rollout).answers == 0
    Prediction.objects.update(api_key=None)
    assert counted(rollout).answers == 0


def test_answers_of_other_places_are_not_its_own(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    answers_make(project, new, "", 3)
    answers_make(project, new, "champion", 5)
    answers_make(project, old, "challenger", 7)
    answers_make(project, new, "challenger", 9)
    answers_make(project, new, "challenger", 11, at=ago(20))
    assert counted(rollout).answers == 9


def test_entities_below_the_bar_and_unsure_texts_are_unsure_answers(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    answers_make(project, new, "challenger", 4, label="per", confidence=0.49)
    answers_make(project, new, "challenger", 5, label="per", confidence=0.5)
    answers_make(project, new, "challenger", 6, uncertainty=0.5)
    arm = counted(rollout)
    assert (arm.answers, arm.unsure) == (15, 10)


# --- What people edit --------------------------------------------------------------------------------


def test_what_people_edit_takes_it_back(lab: Lab) -> None:
    rollout = begun(lab.project, lab.version("new"), steps=[5, 100])
    for slot, edited in (("challenger", 0.9), ("champion", 0.1)):
        lab.review(lab.answers(None, slot, 120, at=ago(3)), edited=edited)
    assert broken(looked(rollout)) == ["edit_rate"]


def test_only_first_reviews_of_answers_that_were_drawn_at_random_count(lab: Lab) -> None:
    rollout = begun(lab.project, lab.version("new"), steps=[5, 100])
    drawn = lab.answers(None, "challenger", 3, at=ago(3))
    lab.review(drawn, edited=0)
    lab.review(lab.answers(None, "challenger", 5, at=ago(3)), edited=1, stratum=Stratum.UNCERTAIN)
    lab.review(lab.answers(None, "challenger", 5, at=ago(30)), edited=1)
    lab.review(lab.answers(None, "champion", 5, at=ago(3)), edited=1)
    asked_by_name = lab.answers(None, "challenger", 5, at=ago(3))
    Prediction.objects.filter(pk__in=[one.pk for one in asked_by_name]).update(slot="")
    lab.review(asked_by_name, edited=1)
    again = Correction.objects.get(prediction=drawn[0])
    again.pk, again.number, again.idempotency_key = None, 2, "again"
    again.save(force_insert=True)
    sample = edits_sampled(project=lab.project, version=rollout.version, since=rollout.started_at)
    assert (sample.count, sample.mean) == (3, 0.0)
    # Whoever else uses that version reviews for themselves.
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    assert edits_sampled(project=other, version=rollout.version, since=rollout.started_at).count == 0


# --- What cannot be measured -------------------------------------------------------------------------


def test_without_an_answer_of_the_champion_to_compare_with_it_does_not_go_on(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    """One caller, who was given to the new version: nothing says that it is sure of the right things."""
    rollout = begun(project, new, steps=[50, 100])
    answers_make(project, new, "challenger", 150)
    rollout = looked(rollout)
    assert (rollout.status, rollout.share) == (Status.ACTIVE, 50)
    assert "no answer of the champion to compare" in rollout.waits_for
    answers_make(project, old, "champion", 60)
    assert looked(rollout).share == 100


def test_at_the_last_step_the_champions_answers_of_before_stand_in(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[100], watch_seconds=3600)
    Rollout.objects.update(started_at=ago(30))
    answers_make(project, old, "champion", 150, at=ago(20))
    answers_make(project, new, "champion", 150, uncertainty=0.9)
    assert broken(looked(rollout)) == ["low_confidence"]


# --- In the shadow -----------------------------------------------------------------------------------


def test_a_shadow_that_nothing_is_known_of_answers_nobody(
    project: Project, old: ModelVersion, new: ModelVersion, made: Made
) -> None:
    """Neither what it read for another champion, nor what it read before, says anything of it now."""
    rollout = begun(project, new, min_samples=1)
    shadowed(rollout)
    ShadowTest.objects.update(ended_at=timezone.now())
    rollout = looked(rollout)
    assert (rollout.status, rollout.share) == (Status.ACTIVE, 0)
    assert "nothing was compared yet" in rollout.waits_for
    ShadowTest.objects.update(ended_at=None, champion=made("third"))
    assert looked(rollout).share == 0


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        ({"failed": 60}, "error_rate"),
        ({"problem": "model_unusable"}, "bundle"),
        ({"problem": "loading"}, None),
    ],
    ids=str,
)
def test_a_shadow_that_cannot_read_comes_back_and_one_that_is_being_loaded_is_waited_for(
    project: Project, old: ModelVersion, new: ModelVersion, seen: dict[str, Any], code: str | None
) -> None:
    rollout = begun(project, new, min_seconds=3600)
    shadowed(rollout, **seen)
    assert broken(looked(rollout)) == ([code] if code else [])


@pytest.mark.parametrize(
    ("latency_ms", "codes"), [(5.0, []), (300.0, ["p95_ms"]), (900.0, ["p95_ms", "p99_ms"])]
)
def test_a_slow_shadow_answers_nobody(
    project: Project, old: ModelVersion, new: ModelVersion, latency_ms: float, codes: list[str]
) -> None:
    rollout = begun(project, new, min_seconds=3600)
    shadowed(rollout)
    answers_make(project, old, "champion", 30)
    test = ShadowTest.objects.get()
    ShadowComparison.objects.bulk_create(
        ShadowComparison(test=test, prediction=read, spans=[], agreement=1.0, latency_ms=latency_ms)
        for read in Prediction.objects.all()
    )
    assert broken(looked(rollout)) == codes


def test_a_weak_champion_is_no_measure_of_agreement(
    project: Project, tmp_path: Path, own_folders: None
) -> None:
    """Two versions of F1 0.3 that err each in its own way agree on a tenth."""
    weak, other = (
        version_register(
            path=tiny_bundle(tmp_path / word, {word: "B-geo"}, f1=0.3),
            name=word,
            project=project,
            actor=SYSTEM,
        )
        for word in ("weak", "other")
    )
    deployment_set(project=project, slot="champion", version=weak, actor=SYSTEM, reason="a start")
    rollout = begun(project, other)
    shadowed(rollout, agreement=0.12)
    assert looked(rollout).share == 5


def test_the_shadow_reads_as_many_answers_as_the_policy_says(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    begun(project, new, shadow_percent=40)
    assert Deployment.objects.get(project=project, slot="shadow").share == 40


def test_a_plan_is_kept_whatever_becomes_of_the_policy(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 100], max_p95_ms=100.0)
    project.rollout_policy.max_p95_ms = 5000.0
    project.rollout_policy.save()
    served(rollout, latency_ms=300.0)
    assert broken(looked(rollout)) == ["p95_ms"]
