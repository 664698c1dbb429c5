"""A version goes from the shadow to all callers, and comes back, by itself; a person can always act."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from audit.models import AuditEvent
from corpus.models import Project
from inference.models import ArmFailure, ArmUnkept, Deployment, ModelVersion
from inference.selectors import shares_in
from inference.services import (
    deployment_clear,
    deployment_set,
    deployment_share,
    version_promote,
)
from retraining.errors import (
    AlreadyChampion,
    NothingToApprove,
    ReasonRequired,
    RolloutMoved,
    RolloutOver,
    TrafficBusy,
)
from retraining.models import Rollout
from retraining.services import (
    rollout_approve,
    rollout_check,
    rollout_moves,
    rollout_pause,
    rollout_policy_change,
    rollout_resume,
    rollout_roll_back,
    rollout_start,
    rollouts_check,
)
from tests.retraining.conftest import Made
from tests.retraining.rollouts import (
    MIA,
    Killed,
    actions,
    answers_make,
    backdated,
    begun,
    killed,
    looked,
    served,
    shadowed,
    slots,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]
Status = Rollout.Status


def test_a_good_version_goes_from_the_shadow_to_all_callers_by_itself(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[0, 5, 50, 100])
    assert slots(project) == {"champion": "old@1", "shadow": "new@1"}
    shadowed(rollout)
    for share in (5.0, 50.0):
        rollout = looked(rollout)
        assert (rollout.status, rollout.share) == (Status.ACTIVE, share)
        assert slots(project) == {"champion": "old@1", "challenger": "new@1"}
        assert shares_in(project) == {"challenger": share, "champion": 100 - share}
        served(backdated(rollout))
    rollout = looked(rollout)
    assert (rollout.status, rollout.share) == (Status.ACTIVE, 100.0)
    assert slots(project) == {"champion": "new@1"}
    rollout = looked(rollout)
    assert rollout.status == Status.DONE
    assert rollout.ended_at
    assert actions() == ["rollout.start", *["rollout.advance"] * 3, "rollout.finish"]
    last = rollout.events.filter(kind="advance").last()
    assert last is not None
    assert (last.share_before, last.share) == (50.0, 100.0)
    assert {one["code"] for one in last.findings} >= {"error_rate", "p95_ms", "samples", "label_drift"}


def test_it_waits_and_says_why(project: Project, old: ModelVersion, new: ModelVersion) -> None:
    rollout = begun(project, new)
    shadowed(rollout, compared=30)
    rollout = looked(rollout)
    assert (rollout.status, rollout.share) == (Status.ACTIVE, 0.0)
    assert "30 of 100 comparisons" in rollout.waits_for
    assert rollout.seconds_left == pytest.approx(70 / (30 / 600), rel=0.1)
    assert rollout.checked_at
    assert actions() == ["rollout.start"]


@pytest.mark.parametrize(
    ("share", "worse", "code"),
    [
        (5, {"latency_ms": 900.0}, "p95_ms"),
        (5, {"confidence": 0.3}, "low_confidence"),
        (5, {"uncertainty": 0.8}, "low_confidence"),
        (5, {"label": "pest"}, "label_drift"),
        (100, {"latency_ms": 900.0}, "p95_ms"),
        (100, {"uncertainty": 0.8}, "low_confidence"),
    ],
)
def test_a_worse_version_comes_back_by_itself(
    project: Project, old: ModelVersion, new: ModelVersion, share: int, worse: dict[str, Any], code: str
) -> None:
    rollout = begun(project, new, steps=[share, 100] if share < 100 else [100], watch_seconds=3600)
    if share == 100:
        answers_make(project, old, "champion", 150, at=rollout.step_started_at - timedelta(seconds=1))
        Rollout.objects.update(started_at=rollout.step_started_at - timedelta(minutes=5))
    served(rollout, **worse)
    rollout = looked(rollout)
    assert rollout.status == Status.ROLLED_BACK
    assert slots(project) == {"champion": "old@1"}
    event = rollout.events.get(kind="roll_back")
    assert code in [one["code"] for one in event.findings if one["state"] == "broken"]
    assert event.reason == rollout.outcome
    audited = AuditEvent.objects.get(action="rollout.roll_back")
    assert (audited.actor, audited.reason) == ("system", event.reason)


def test_answers_that_it_owed_take_it_back(project: Project, old: ModelVersion, new: ModelVersion) -> None:
    rollout = begun(project, new, steps=[5, 100])
    ArmFailure.objects.create(project=project, version=new, slot="challenger", kind="unsound", count=4)
    rollout = looked(rollout)
    assert rollout.status == Status.ROLLED_BACK
    assert "100 % of the answers failed (4 of 4" in rollout.outcome


def test_answers_that_were_not_kept_were_owed_too(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    turn: dict[str, Any] = {"project": project, "version": new, "slot": "challenger"}
    ArmUnkept.objects.create(**turn, count=996)
    ArmFailure.objects.create(**turn, kind="unsound", count=4)
    rollout = looked(rollout)
    assert rollout.status == Status.ACTIVE
    [found] = [one for one in rollout.findings if one["code"] == "error_rate"]
    assert (found["value"], found["samples"]) == (0.004, 1000)
    assert "4 of 100 answers" in rollout.waits_for, "of those not kept nothing else is known"


def test_failures_are_held_against_the_answers_of_their_own_time(
    project: Project, old: ModelVersion, new: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retraining.arms.MOST", 50)
    rollout = begun(project, new, steps=[5, 100])
    answers_make(project, new, "challenger", 90)
    ArmFailure.objects.create(
        project=project,
        version=new,
        slot="challenger",
        kind="unsound",
        count=9,
        at=timezone.now() - timedelta(minutes=2),
    )
    rollout = looked(rollout)
    [found] = [one for one in rollout.findings if one["code"] == "error_rate"]
    assert (found["value"], found["samples"]) == (0.0, 50)


def test_a_bundle_that_a_process_refused_takes_it_back(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    ArmFailure.objects.create(
        project=project, version=new, slot="challenger", kind="refused", count=1, reason="bundle_changed"
    )
    assert looked(rollout).status == Status.ROLLED_BACK


def test_a_shadow_that_contradicts_the_champion_answers_nobody(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new)
    shadowed(rollout, agreement=0.1)
    rollout = looked(rollout)
    assert rollout.status == Status.ROLLED_BACK
    assert slots(project) == {"champion": "old@1"}
    assert "agrees with the champion to 10 %" in rollout.outcome


def test_failures_of_the_step_before_are_not_held_against_this_one(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    before = rollout.step_started_at - timedelta(minutes=1)
    ArmFailure.objects.create(
        project=project, version=new, slot="challenger", kind="unsound", count=9, at=before
    )
    assert looked(rollout).status == Status.ACTIVE


def test_answers_of_files_and_of_others_are_not_counted(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    answers_make(project, new, "challenger", 150, latency_ms=900.0, request_id="job-1")
    answers_make(project, new, "", 150, latency_ms=900.0)
    rollout = looked(rollout)
    assert rollout.status == Status.ACTIVE
    assert "0 of 100 answers" in rollout.waits_for


def test_the_last_step_waits_for_approval_where_the_policy_says_so(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[0, 10, 100], approval="last")
    shadowed(rollout)
    rollout = backdated(looked(rollout))
    assert rollout.share == 10
    served(rollout)
    rollout = looked(looked(rollout))
    assert (rollout.status, rollout.share) == (Status.WAITING, 10.0)
    assert actions().count("rollout.ask") == 1
    with pytest.raises(RolloutMoved):
        rollout_approve(rollout=rollout, actor=MIA, expected_generation=rollout.generation - 1)
    rollout = rollout_approve(
        rollout=rollout, actor=MIA, reason="looks good", expected_generation=rollout.generation
    )
    assert (rollout.status, rollout.share) == (Status.ACTIVE, 100.0)
    assert slots(project) == {"champion": "new@1"}
    assert actions()[-2:] == ["rollout.approve", "rollout.advance"]
    with pytest.raises(NothingToApprove):
        rollout_approve(rollout=rollout, actor=MIA)


def test_each_step_waits_for_approval_where_the_policy_says_so(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, approval="each")
    shadowed(rollout)
    rollout = looked(rollout)
    assert (rollout.status, rollout.share) == (Status.WAITING, 0.0)
    assert rollout_approve(rollout=rollout, actor=MIA).share == 5


def test_a_paused_one_stays_and_still_comes_back(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    served(rollout)
    rollout_pause(rollout=rollout, actor=MIA, reason="a holiday")
    rollout = looked(rollout)
    assert (rollout.status, rollout.share) == (Status.PAUSED, 5.0)
    rollout_resume(rollout=rollout, actor=MIA)
    rollout_pause(rollout=rollout, actor=MIA, reason="another one")
    ArmFailure.objects.create(project=project, version=new, slot="challenger", kind="unsound", count=90)
    assert looked(rollout).status == Status.ROLLED_BACK
    assert actions()[1:] == ["rollout.pause", "rollout.resume", "rollout.pause", "rollout.roll_back"]


@pytest.mark.parametrize("share", [0, 25, 100])
def test_a_person_takes_it_back_at_any_step(
    project: Project, old: ModelVersion, new: ModelVersion, share: int
) -> None:
    rollout = begun(project, new, steps=[share, 100] if share < 100 else [100])
    with pytest.raises(ReasonRequired):
        rollout_roll_back(rollout=rollout, actor=MIA, reason=" ")
    rollout = rollout_roll_back(rollout=rollout, actor=MIA, reason="a caller complained")
    assert (rollout.status, rollout.outcome) == (Status.ROLLED_BACK, "a caller complained")
    assert slots(project) == {"champion": "old@1"}
    for act in (rollout_pause, rollout_resume, rollout_roll_back):
        with pytest.raises(RolloutOver):
            act(rollout=rollout, actor=MIA, reason="again")


def test_two_at_once_are_refused(project: Project, old: ModelVersion, new: ModelVersion, made: Made) -> None:
    begun(project, new)
    with pytest.raises(TrafficBusy, match="new@1 is being rolled out"):
        rollout_start(project=project, version=made("third"), actor=MIA, reason="better still")
    assert Rollout.objects.count() == 1


def test_a_slot_that_somebody_uses_is_not_taken(
    project: Project, old: ModelVersion, new: ModelVersion, made: Made
) -> None:
    deployment_set(project=project, slot="challenger", version=made("third"), actor=MIA, reason="mine")
    with pytest.raises(TrafficBusy, match="third@1 stands in the slot challenger"):
        rollout_start(project=project, version=new, actor=MIA, reason="better")
    assert not Rollout.objects.exists()
    assert slots(project) == {"champion": "old@1", "challenger": "third@1"}


def test_a_version_that_stands_in_the_shadow_already_is_taken_from_there(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    deployment_set(project=project, slot="shadow", version=new, actor=MIA, reason="to see")
    rollout = begun(project, new)
    assert slots(project)["shadow"] == "new@1"
    assert not rollout_moves.moved_by_hand(rollout)


def test_the_champion_itself_is_not_rolled_out(project: Project, old: ModelVersion) -> None:
    with pytest.raises(AlreadyChampion):
        rollout_start(project=project, version=old, actor=MIA, reason="again")


def test_it_never_fights_with_a_person(
    project: Project, old: ModelVersion, new: ModelVersion, made: Made
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    deployment_share(project=project, slot="challenger", share=30, actor=MIA, reason="faster")
    rollout = looked(rollout)
    assert rollout.status == Status.STOPPED
    assert rollout.outcome == "somebody moved the slot challenger meanwhile"
    assert shares_in(project) == {"challenger": 30.0, "champion": 70.0}

    deployment_clear(project=project, slot="challenger", actor=MIA, reason="enough")
    rollout = begun(project, new, steps=[5, 100])
    third = made("third")
    generation = Deployment.objects.get(slot="champion").generation
    version_promote(
        project=project, version=third, expected_generation=generation, actor=MIA, reason="best of all"
    )
    rollout = looked(rollout)
    assert rollout.status == Status.STOPPED
    # What only the rollout had put there is put back; what the person did stays.
    assert slots(project) == {"champion": "third@1"}


def test_a_slot_filled_by_hand_stops_it_at_its_next_step(
    project: Project, old: ModelVersion, new: ModelVersion, made: Made
) -> None:
    rollout = begun(project, new)
    shadowed(rollout)
    deployment_set(project=project, slot="challenger", version=made("third"), actor=MIA, reason="mine")
    rollout = looked(rollout)
    assert (rollout.status, rollout.share) == (Status.STOPPED, 0.0)
    assert slots(project) == {"champion": "old@1", "challenger": "third@1"}


def test_where_other_slots_leave_too_little_it_waits_and_says_so(
    project: Project, old: ModelVersion, new: ModelVersion, made: Made
) -> None:
    deployment_set(project=project, slot="speed", version=made("quick"), actor=MIA, reason="mine")
    deployment_share(project=project, slot="speed", share=80, actor=MIA, reason="mine")
    rollout = begun(project, new, steps=[5, 50, 100])
    served(rollout)
    rollout = looked(rollout)
    assert (rollout.status, rollout.share) == (Status.ACTIVE, 5.0)
    assert "The other slots have 80 % of the callers" in rollout.waits_for
    assert shares_in(project)["challenger"] == 5


def test_a_kill_in_the_middle_of_a_step_leaves_what_was_before(
    project: Project, old: ModelVersion, new: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    served(rollout)
    with monkeypatch.context() as patched:
        patched.setattr(rollout_moves, "change", killed)
        with pytest.raises(Killed):
            rollout_check(rollout_id=rollout.pk)
    assert slots(project) == {"champion": "old@1", "challenger": "new@1"}
    rollout = looked(rollout)
    assert rollout.share == 100
    assert actions().count("rollout.advance") == 1


def test_a_policy_leads_to_all_callers(project: Project) -> None:
    from django.core.exceptions import ValidationError

    for steps in ([], [5, 50], [5, 5, 100], [50, 5, 100], [0, 120]):
        with pytest.raises(ValidationError):
            rollout_policy_change(project=project, actor=MIA, steps=steps)


@pytest.mark.django_db(transaction=True)
def test_two_that_look_at_once_move_it_once(project: Project, old: ModelVersion, new: ModelVersion) -> None:
    rollout = begun(project, new, steps=[5, 25, 100])
    served(rollout)
    barrier = threading.Barrier(3)

    def look() -> None:
        try:
            barrier.wait()
            rollouts_check()
        finally:
            connection.close()

    threads = [threading.Thread(target=look) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rollout.refresh_from_db()
    assert rollout.share == 25
    assert actions() == ["rollout.start", "rollout.advance"]
