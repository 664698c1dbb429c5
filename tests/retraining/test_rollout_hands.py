"""Whose hand moves the callers: one at a time, whatever comes in between, and all of a step or nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import IntegrityError, connection, transaction

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from inference.engine import engine
from inference.errors import DeploymentMoved
from inference.models import Deployment, ModelVersion
from inference.selectors import shares_in
from inference.services import (
    deployment_clear,
    deployment_set,
    deployment_share,
    version_promote,
    version_register,
)
from ner.bundle import MANIFEST
from retraining.errors import NoChampion, ReasonRequired, RolloutMoved, TrafficBusy
from retraining.models import Rollout
from retraining.services import (
    rollout_approve,
    rollout_check,
    rollout_moves,
    rollout_pause,
    rollout_resume,
    rollout_roll_back,
    rollout_start,
    rollouts_check,
)
from retraining.services.traffic import traffic_claim
from tests.bundles import tiny_bundle
from tests.retraining.conftest import Made
from tests.retraining.rollouts import (
    MIA,
    Killed,
    actions,
    begun,
    killed,
    looked,
    plan,
    served,
    shadowed,
    slots,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_broker")]
Status = Rollout.Status
Act = Callable[[], object]


@contextmanager
def elsewhere(act: Act) -> Iterator[threading.Event]:
    """Another process that does something in a transaction, and commits once it is told to."""
    done, go = threading.Event(), threading.Event()

    def run() -> None:
        try:
            with transaction.atomic():
                act()
                done.set()
                go.wait(10)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert done.wait(10)
    try:
        yield go
    finally:
        go.set()
        thread.join(10)


def impatient() -> None:
    """Whoever would wait for a lock fails instead."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '200ms'")


# --- Two at once -------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_check_leaves_to_another_what_it_has_in_hand(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 25, 100])
    served(rollout)
    held = elsewhere(lambda: Rollout.objects.select_for_update(no_key=True).get(pk=rollout.pk))
    with held, transaction.atomic():
        impatient()
        assert not rollout_check(rollout_id=rollout.pk)
    assert looked(rollout).share == 25


@pytest.mark.django_db(transaction=True)
def test_a_person_waits_for_the_check_that_has_it_and_then_takes_it_back(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new, steps=[5, 25, 100])
    served(rollout)
    with elsewhere(lambda: rollout_check(rollout_id=rollout.pk)) as commit:
        threading.Timer(0.2, commit.set).start()
        ended = rollout_roll_back(rollout=rollout, actor=MIA, reason="a caller complained")
    assert ended.status == Status.ROLLED_BACK
    assert slots(project) == {"champion": "old@1"}
    assert actions() == ["rollout.start", "rollout.advance", "rollout.roll_back"]


@pytest.mark.django_db(transaction=True)
def test_of_two_that_begin_at_once_the_second_is_told_that_callers_are_moved_already(
    project: Project, old: ModelVersion, new: ModelVersion, made: Made
) -> None:
    plan(project)
    third = made("third")
    first = elsewhere(lambda: rollout_start(project=project, version=new, actor=MIA, reason="better"))
    with first as commit:
        threading.Timer(0.2, commit.set).start()
        with pytest.raises(TrafficBusy, match="new@1 is being rolled out"):
            rollout_start(project=project, version=third, actor=MIA, reason="better still")
    assert Rollout.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_who_claims_the_callers_has_them_until_the_transaction_ends(project: Project) -> None:
    with elsewhere(lambda: traffic_claim(project=project)), transaction.atomic():
        impatient()
        with pytest.raises(Exception, match="lock timeout"):
            traffic_claim(project=project)


def test_the_database_holds_one_rollout_of_a_project_under_way(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new)
    rollout.pk = None
    with pytest.raises(IntegrityError, match="rollout_one_at_a_time"), transaction.atomic():
        rollout.save(force_insert=True)


def test_of_two_who_saw_the_same_only_one_changes_it(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    mine = begun(project, new)
    theirs = Rollout.objects.get()
    rollout_moves.change(mine, kind="pause", actor=MIA, reason="a holiday", status=Status.PAUSED)
    with pytest.raises(RolloutMoved):
        rollout_moves.change(theirs, kind="pause", actor=MIA, reason="lunch", status=Status.PAUSED)
    assert actions() == ["rollout.start", "rollout.pause"]
    assert [event.reason for event in mine.events.filter(kind="pause")] == ["a holiday"]


def test_what_is_over_stays_over(project: Project, old: ModelVersion, new: ModelVersion) -> None:
    rollout = begun(project, new)
    rollout_roll_back(rollout=rollout, actor=MIA, reason="no")
    rollout.refresh_from_db()
    with pytest.raises(RolloutMoved):
        rollout_moves.change(rollout, kind="resume", actor=MIA, reason="after all", status=Status.ACTIVE)
    assert not rollout_check(rollout_id=rollout.pk)
    rollout.refresh_from_db()
    assert rollout.status == Status.ROLLED_BACK


# --- A person's hand ---------------------------------------------------------------------------------


def test_without_a_champion_or_a_reason_none_begins(project: Project, made: Made, old: ModelVersion) -> None:
    version = made("new")
    with pytest.raises(ReasonRequired):
        rollout_start(project=project, version=version, actor=MIA, reason=" ")
    Deployment.objects.all().delete()
    with pytest.raises(NoChampion):
        rollout_start(project=project, version=version, actor=MIA, reason="better")
    assert not Rollout.objects.exists()


def test_pausing_twice_is_pausing_once_and_needs_a_reason(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = begun(project, new)
    with pytest.raises(ReasonRequired):
        rollout_pause(rollout=rollout, actor=MIA, reason="")
    rollout_resume(rollout=rollout, actor=MIA)
    rollout_pause(rollout=rollout, actor=MIA, reason="a holiday")
    rollout_pause(rollout=rollout, actor=MIA, reason="another one")
    assert actions() == ["rollout.start", "rollout.pause"]


def test_a_slot_emptied_by_hand_stops_it(project: Project, old: ModelVersion, new: ModelVersion) -> None:
    rollout = begun(project, new, steps=[5, 100])
    served(rollout)
    deployment_clear(project=project, slot="challenger", actor=MIA, reason="enough")
    rollout = looked(rollout)
    assert (rollout.status, rollout.outcome) == (
        Status.STOPPED,
        "somebody emptied the slot challenger meanwhile",
    )
    assert slots(project) == {"champion": "old@1"}


def test_a_champion_that_left_and_came_back_was_moved_by_hand(
    project: Project, old: ModelVersion, new: ModelVersion, made: Made
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    for version in (made("third"), old):
        deployment_set(project=project, slot="champion", version=version, actor=MIA, reason="a look")
    assert looked(rollout).outcome == "somebody else made old@1 the champion meanwhile"


def test_taking_it_back_leaves_what_a_person_put_in_its_place(
    project: Project, old: ModelVersion, new: ModelVersion, made: Made
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    deployment_set(project=project, slot="challenger", version=made("third"), actor=MIA, reason="mine")
    assert rollout_roll_back(rollout=rollout, actor=MIA, reason="no").status == Status.ROLLED_BACK
    assert slots(project) == {"champion": "old@1", "challenger": "third@1"}


def test_a_champion_chosen_by_hand_after_the_last_step_stays(
    project: Project, old: ModelVersion, new: ModelVersion, made: Made
) -> None:
    rollout = begun(project, new, steps=[100], watch_seconds=3600)
    deployment_set(project=project, slot="champion", version=made("third"), actor=MIA, reason="best")
    assert looked(rollout).status == Status.STOPPED
    assert slots(project) == {"champion": "third@1"}


@pytest.mark.parametrize(
    ("steps", "slot"), [([0, 5, 100], "shadow"), ([5, 25, 100], "challenger"), ([5, 100], "champion")]
)
def test_a_hand_between_the_look_and_the_step_has_the_last_word(
    project: Project,
    old: ModelVersion,
    new: ModelVersion,
    made: Made,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[float],
    slot: str,
) -> None:
    rollout, third = begun(project, new, steps=steps), made("third")
    shadowed(rollout)
    served(rollout)

    def hand(_: Rollout) -> str:
        """It looks, sees nothing, and then somebody acts."""
        if slot == "champion":
            generation = Deployment.objects.get(slot="champion").generation
            version_promote(
                project=project, version=third, expected_generation=generation, actor=MIA, reason="best"
            )
        else:
            deployment_share(project=project, slot=slot, share=70, actor=MIA, reason="faster")
        return ""

    monkeypatch.setattr(rollout_moves, "moved_by_hand", hand)
    rollout = looked(rollout)
    assert (rollout.status, rollout.share) == (Status.STOPPED, steps[0])
    if slot == "champion":
        assert slots(project) == {"champion": "third@1"}
    else:
        assert (slots(project)[slot], Deployment.objects.get(slot=slot).share) == ("new@1", 70)


# --- All of a step or nothing ------------------------------------------------------------------------


def test_an_approval_that_cannot_be_followed_is_none(
    project: Project, old: ModelVersion, new: ModelVersion, made: Made
) -> None:
    rollout = begun(project, new, approval="each")
    shadowed(rollout)
    rollout = looked(rollout)
    deployment_set(project=project, slot="challenger", version=made("third"), actor=MIA, reason="mine")
    with pytest.raises(DeploymentMoved):
        rollout_approve(rollout=rollout, actor=MIA)
    rollout.refresh_from_db()
    assert (rollout.status, rollout.share) == (Status.WAITING, 0)
    assert "rollout.approve" not in actions()
    assert slots(project) == {"champion": "old@1", "shadow": "new@1", "challenger": "third@1"}


def test_a_step_that_is_refused_half_way_leaves_it_in_the_shadow(
    project: Project, old: ModelVersion, new: ModelVersion, made: Made
) -> None:
    deployment_set(project=project, slot="speed", version=made("quick"), actor=MIA, reason="mine")
    deployment_share(project=project, slot="speed", share=98, actor=MIA, reason="mine")
    rollout = begun(project, new)
    shadowed(rollout)
    rollout = looked(rollout)
    assert (rollout.status, rollout.share) == (Status.ACTIVE, 0)
    assert "98 %" in rollout.waits_for
    assert slots(project) == {"champion": "old@1", "shadow": "new@1", "speed": "quick@1"}


def test_a_bundle_that_broke_meanwhile_is_taken_back_at_its_next_step(
    project: Project, old: ModelVersion, new: ModelVersion, settings: LazySettings
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    served(rollout)
    (bundle,) = (one.parent for one in Path(settings.DATA_DIR).rglob(f"*{new.sha256[:12]}*/{MANIFEST}"))
    for file in bundle.glob("*.onnx"):
        file.write_bytes(file.read_bytes() + b"!")
    engine.forget()
    rollout = looked(rollout)
    assert rollout.status == Status.ROLLED_BACK
    assert "new@1" in rollout.outcome
    assert slots(project) == {"champion": "old@1"}


@pytest.mark.parametrize("died_at", ["deployment_clear", "_end", "_told"])
def test_a_kill_in_the_middle_of_taking_back_leaves_what_was_before(
    project: Project, old: ModelVersion, new: ModelVersion, monkeypatch: pytest.MonkeyPatch, died_at: str
) -> None:
    rollout = begun(project, new, steps=[5, 100])
    with monkeypatch.context() as patched:
        patched.setattr(rollout_moves, died_at, killed)
        with pytest.raises(Killed):
            rollout_roll_back(rollout=rollout, actor=MIA, reason="no")
    rollout.refresh_from_db()
    assert (rollout.status, shares_in(project)["challenger"]) == (Status.ACTIVE, 5)
    assert actions() == ["rollout.start"]
    assert not AuditEvent.objects.filter(action="deployment.clear").exists()


def test_one_that_cannot_be_judged_keeps_no_other_from_it(
    project: Project, old: ModelVersion, new: ModelVersion, tmp_path: Path
) -> None:
    """Its plan is of a release that knew other criteria."""
    unreadable = begun(project, new)
    del unreadable.plan["max_edit_rate_rise"]
    unreadable.save()
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    first, second = (
        version_register(
            path=tiny_bundle(tmp_path / word, {word: "B-per"}), name=word, project=other, actor=SYSTEM
        )
        for word in ("base", "better")
    )
    deployment_set(project=other, slot="champion", version=first, actor=SYSTEM, reason="a start")
    rollout = begun(other, second, steps=[5, 25, 100])
    served(rollout)
    assert rollouts_check() == 1
    rollout.refresh_from_db()
    assert rollout.share == 25


def test_it_is_written_down_what_was_measured_why_and_by_whom(
    project: Project, old: ModelVersion, new: ModelVersion
) -> None:
    rollout = looked(begun(project, new, steps=[5, 25, 100]))
    assert rollout.findings
    assert rollout.waits_for
    served(rollout)
    rollout = looked(rollout)
    assert (rollout.findings, rollout.waits_for, rollout.seconds_left) == ([], "", None), (
        "a new step is measured anew"
    )
    assert rollout.step_started_at > rollout.started_at
    event: Any = rollout.events.get(kind="advance")
    audited = AuditEvent.objects.get(action="rollout.advance")
    assert audited.data["findings"] == event.findings
    assert {one["code"] for one in event.findings} >= {"error_rate", "samples"}
    assert (event.by, audited.actor) == ("nerapp", "system")
    assert audited.data["share_before"] == event.share_before == 5
    assert audited.data["share"] == event.share == 25
