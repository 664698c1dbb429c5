"""How callers are divided among versions: in their shares, each always alike, moved as little as can be."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from inference.circuit import FAILURES, circuits
from inference.engine import engine
from inference.errors import (
    DeploymentMoved,
    ShareNotSettable,
    ShareOutOfRange,
    ShareTooLarge,
    UnknownModel,
)
from inference.models import Deployment, ModelVersion
from inference.services import deployment_set, deployment_share, version_register
from inference.shares import arm_of, shares_of
from tests.bundles import tiny_bundle
from tests.inference.conftest import Post

SUBJECTS = [f"user-{number}" for number in range(100_000)]


def test_of_many_subjects_each_arm_gets_its_share() -> None:
    shares = {"champion": 90.0, "speed": 8.0, "backup": 2.0}
    got = Counter(arm_of(subject, shares) for subject in SUBJECTS)
    assert {arm: pytest.approx(share, abs=0.5) for arm, share in shares.items()} == {
        arm: 100 * count / len(SUBJECTS) for arm, count in got.items()
    }


def test_raising_a_share_moves_nobody_out_and_nobody_between_others() -> None:
    before = {"champion": 85.0, "challenger": 5.0, "speed": 10.0}
    after = {"champion": 80.0, "challenger": 10.0, "speed": 10.0}
    moved = {
        (arm_of(subject, before), arm_of(subject, after))
        for subject in SUBJECTS[:20_000]
        if arm_of(subject, before) != arm_of(subject, after)
    }
    assert moved
    assert all(then != "challenger" for then, _now in moved)
    assert ("speed", "champion") not in moved


@pytest.mark.parametrize(
    ("slots", "shares"),
    [
        ({"champion": None}, {"champion": 100}),
        ({"champion": None, "speed": None}, {"champion": 100}),
        ({"champion": None, "speed": None, "backup": None}, {"champion": 90, "speed": 8, "backup": 2}),
        ({"champion": None, "speed": 0.0, "backup": None}, {"champion": 98, "backup": 2}),
        ({"champion": None, "challenger": 5.0, "shadow": None}, {"champion": 95, "challenger": 5}),
        ({"champion": None, "challenger": 100.0}, {"challenger": 100}),
    ],
)
def test_the_champion_has_what_the_others_leave(
    slots: dict[str, float | None], shares: dict[str, float]
) -> None:
    assert shares_of(slots) == shares


@pytest.fixture
def challenger(project: Project, champion: ModelVersion, tmp_path: Path) -> ModelVersion:
    """A version in the challenger slot, with a fifth of the callers."""
    version = version_register(
        path=tiny_bundle(tmp_path / "new", f1=0.95), name="new", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="challenger", version=version, actor=SYSTEM, reason="try")
    share_set(project, 20.0)
    return version


def share_set(project: Project, share: float | None, **changed: Any) -> Deployment:
    asked = {"slot": "challenger", "actor": SYSTEM, "reason": "more", "share": share} | changed
    return deployment_share(project=project, **asked)


def answered_by(post: Post, **asked: Any) -> str:
    answer = post("predict", {"text": "Ada went to Paris.", **asked}).json()
    return str(answer["routing_decision"]["slot"])


def test_a_subject_always_gets_the_same_version_and_the_answer_says_why(
    post: Post, challenger: ModelVersion
) -> None:
    slots = {subject: answered_by(post, subject=subject) for subject in SUBJECTS[:60]}
    assert set(slots.values()) == {"champion", "challenger"}
    assert all(answered_by(post, subject=subject) == slot for subject, slot in slots.items())
    lucky = next(subject for subject, slot in slots.items() if slot == "challenger")
    answer = post("predict", {"text": "Grace Hopper.", "subject": lucky}).json()
    assert answer["model_version"] == "new@1"
    assert answer["routing_decision"]["reason"] == (
        "the slot challenger answers 20 % of the callers, and this is one"
    )


def test_without_a_subject_one_text_always_gets_the_same_version(
    post: Post, challenger: ModelVersion
) -> None:
    texts = [f"Ada went to town {number}." for number in range(40)]
    first = [answered_by(post, text=text) for text in texts]
    assert set(first) == {"champion", "challenger"}
    assert [answered_by(post, text=text) for text in texts] == first


def test_a_batch_is_answered_by_one_version(post: Post, challenger: ModelVersion) -> None:
    slots = {
        post("predict/batch", {"texts": ["Ada.", "Grace."], "subject": subject}).json()["routing_decision"][
            "slot"
        ]
        for subject in SUBJECTS[:60]
    }
    assert slots == {"champion", "challenger"}


def test_a_process_that_follows_notices_a_new_share(
    post: Post, project: Project, challenger: ModelVersion
) -> None:
    engine.follows = True
    engine.refresh()
    assert {answered_by(post, subject=subject) for subject in SUBJECTS[:60]} == {"champion", "challenger"}
    share_set(project, 0.0)
    engine.refresh()
    assert {answered_by(post, subject=subject) for subject in SUBJECTS[:60]} == {"champion"}


def test_a_challenger_with_all_callers_answers_all(
    post: Post, project: Project, challenger: ModelVersion
) -> None:
    share_set(project, 100.0)
    assert {answered_by(post, subject=subject) for subject in SUBJECTS[:20]} == {"challenger"}


def test_a_challenger_that_fails_and_fails_has_no_share_meanwhile(
    post: Post, challenger: ModelVersion
) -> None:
    for _ in range(FAILURES):
        circuits.failed(challenger.sha256)
    assert {answered_by(post, subject=subject) for subject in SUBJECTS[:60]} == {"champion"}


def test_the_canary_header_asks_for_the_challenger(post: Post, challenger: ModelVersion) -> None:
    answer = post("predict", {"text": "Ada."}, headers={"X-Canary": "true"}).json()
    assert answer["routing_decision"]["slot"] == "challenger"
    assert post("predict", {"text": "Ada.", "model": "champion"}, headers={"X-Canary": "true"}).json()[
        "routing_decision"
    ]["slot"] == ("champion")


def test_the_canary_header_needs_the_scope_and_a_challenger(
    post: Post, project: Project, champion: ModelVersion
) -> None:
    from inference.services import api_key_create

    _, secret = api_key_create(project=project, name="plain", scopes=["predict"], actor=SYSTEM)
    refused = post(
        "predict", {"text": "Ada."}, headers={"X-Canary": "1", "Authorization": f"Bearer {secret}"}
    )
    assert refused.status_code == 200, "only the word true asks"
    refused = post(
        "predict", {"text": "Ada."}, headers={"X-Canary": "true", "Authorization": f"Bearer {secret}"}
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    missing = post("predict", {"text": "Ada."}, headers={"X-Canary": "true"})
    assert (missing.status_code, missing.json()["code"]) == (404, "unknown_model")


def test_a_share_is_changed_with_its_reason_in_the_audit_log(
    project: Project, challenger: ModelVersion
) -> None:
    assert share_set(project, 35.0, reason="a good night").share == 35.0
    event = AuditEvent.objects.filter(action="deployment.share").latest("id")
    assert event.reason == "a good night"
    assert (event.data["share_before"], event.data["share"]) == (20.0, 35.0)


def test_a_share_was_given_to_a_version_and_not_to_the_next_one(
    project: Project, challenger: ModelVersion, champion: ModelVersion
) -> None:
    moved = deployment_set(
        project=project, slot="challenger", version=champion, actor=SYSTEM, reason="another"
    )
    assert moved.share is None


def test_what_cannot_be_is_refused(project: Project, challenger: ModelVersion) -> None:
    deployment_set(project=project, slot="speed", version=challenger, actor=SYSTEM, reason="quick")
    share_set(project, 60.0, slot="speed")
    with pytest.raises(ShareTooLarge) as refused:
        share_set(project, 41.0)
    assert "60 % of the callers: this one can have 40 %" in refused.value.detail
    with pytest.raises(ShareOutOfRange):
        share_set(project, 101.0)
    with pytest.raises(ShareOutOfRange):
        share_set(project, float("nan"))
    with pytest.raises(ShareNotSettable):
        share_set(project, 5.0, slot="champion")
    with pytest.raises(UnknownModel):
        share_set(project, 5.0, slot="backup")
    with pytest.raises(DeploymentMoved):
        share_set(project, 5.0, expected_generation=1)


def test_an_answer_tells_where_its_time_went_when_asked(post: Post, champion: ModelVersion) -> None:
    plain = post("predict", {"text": "Ada went to Rome."}).json()
    assert "metrics" not in plain
    told = post("predict", {"text": "Ada went to Oslo.", "include_metrics": True}).json()
    metrics = told["metrics"]
    assert metrics.keys() == {"routing_ms", "recognition_ms", "recording_ms", "p50_ms", "p95_ms"}
    parts = metrics["routing_ms"] + metrics["recognition_ms"] + metrics["recording_ms"]
    assert 0 < parts <= told["processing_time_ms"] + 0.01


def test_a_slot_is_filled_and_shared_from_the_command_line(
    project: Project, champion: ModelVersion, tmp_path: Path
) -> None:
    version_register(path=tiny_bundle(tmp_path / "new", f1=0.95), name="new", project=project, actor=SYSTEM)
    printed = StringIO()
    call_command(
        "deployment_set",
        project=project.slug,
        slot="challenger",
        model="new@1",
        share=5.0,
        reason="try",
        stdout=printed,
    )
    assert [line.split() for line in printed.getvalue().splitlines()] == [
        ["challenger", "new@1", "5", "%"],
        ["champion", "tiny@1", "95", "%"],
    ]
    with pytest.raises(CommandError, match="kept in the audit log"):
        call_command("deployment_set", project=project.slug, slot="challenger", share=6.0)
    with pytest.raises(CommandError, match="which --slot"):
        call_command("deployment_set", project=project.slug, share=6.0)
