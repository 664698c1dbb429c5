"""By what callers are dealt out, the salt that deals anew, and who is left out of it."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from inference.circuit import FAILURES, circuits
from inference.engine import engine
from inference.errors import ReasonRequired
from inference.models import ApiKey, Deployment, Division, ModelVersion, Prediction
from inference.selectors import shares_in
from inference.services import (
    api_key_create,
    callers_divide,
    deployment_set,
    deployment_share,
    version_register,
)
from inference.shares import BUCKETS, Subject, arm_of, bucket_of
from tests.bundles import tiny_bundle
from tests.inference.conftest import Post

SUBJECTS = [f"user-{number}" for number in range(100_000)]
SHARES = {"champion": 40.0, "challenger": 30.0, "challenger-2": 20.0, "challenger-3": 10.0}


def test_with_a_salt_each_arm_gets_its_share_too() -> None:
    got = Counter(arm_of(subject, SHARES, "0123456789abcdef") for subject in SUBJECTS)
    assert {arm: pytest.approx(share, abs=0.5) for arm, share in SHARES.items()} == {
        arm: 100 * count / len(SUBJECTS) for arm, count in got.items()
    }


def test_another_salt_deals_anew() -> None:
    first, second = ([arm_of(one, SHARES, salt) for one in SUBJECTS[:20_000]] for salt in ("a", "b"))
    same = sum(one == other for one, other in zip(first, second, strict=True)) / len(first)
    # Two independent deals agree as often as the squares of the shares add up to.
    assert same == pytest.approx(0.16 + 0.09 + 0.04 + 0.01, abs=0.02)


def test_with_a_salt_raising_a_share_moves_nobody_out() -> None:
    before = {"champion": 95.0, "challenger": 5.0}
    after = {"champion": 75.0, "challenger": 25.0}
    for subject in SUBJECTS[:20_000]:
        if arm_of(subject, before, "salt") == "challenger":
            assert arm_of(subject, after, "salt") == "challenger"


def test_a_subject_stays_in_its_group_which_says_nothing_about_its_arm() -> None:
    groups = [bucket_of(subject, "salt") for subject in SUBJECTS]
    assert groups == [bucket_of(subject, "salt") for subject in SUBJECTS]
    assert (min(groups), max(groups)) == (0, BUCKETS - 1)
    low = [one for one, group in zip(SUBJECTS, groups, strict=True) if group < BUCKETS / 4]
    share = sum(arm_of(one, SHARES, "salt") == "champion" for one in low) / len(low)
    assert share == pytest.approx(0.4, abs=0.01)


@pytest.mark.parametrize(("by", "dealt"), [("subject", "ann"), ("api_key", "key-1"), ("text", "Ada went.")])
def test_a_caller_is_dealt_by_what_was_chosen(by: str, dealt: str) -> None:
    assert Subject(text="Ada went.", named="ann", key="key-1").by(by) == dealt


def test_who_names_no_subject_is_dealt_by_the_text() -> None:
    assert Subject(text="Ada went.", key="key-1").by("subject") == "Ada went."


@pytest.fixture
def halves(project: Project, champion: ModelVersion, tmp_path: Path) -> ModelVersion:
    """Champion and challenger have half of the callers each."""
    version = version_register(
        path=tiny_bundle(tmp_path / "new", f1=0.95), name="new", project=project, actor=SYSTEM
    )
    told: dict[str, Any] = {"project": project, "slot": "challenger", "actor": SYSTEM, "reason": "try"}
    deployment_set(version=version, **told)
    deployment_share(share=50.0, **told)
    return version


def divide(project: Project, by: str, salt: str = "") -> None:
    callers_divide(project=project, by=by, salt=salt, actor=SYSTEM, reason="an experiment")


def slots(post: Post, *, secret: str | None = None, **asked: Any) -> list[str]:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    return [
        post("predict", {"text": f"Ada went to town {number}.", **asked}, headers=headers).json()[
            "routing_decision"
        ]["slot"]
        for number in range(20)
    ]


def test_by_api_key_each_key_has_one_version_whatever_it_says(
    post: Post, project: Project, halves: ModelVersion
) -> None:
    divide(project, "api_key")
    keys = [
        api_key_create(project=project, name=f"key {number}", scopes=["predict"], actor=SYSTEM)[1]
        for number in range(12)
    ]
    got = [set(slots(post, secret=secret)) for secret in keys]
    assert all(len(one) == 1 for one in got)
    assert set.union(*got) == {"champion", "challenger"}


def test_by_text_the_subject_is_not_asked(post: Post, project: Project, halves: ModelVersion) -> None:
    divide(project, "text")
    assert slots(post, subject="ann") == slots(post, subject="bob")
    assert set(slots(post, subject="ann")) == {"champion", "challenger"}


def test_a_salt_deals_the_callers_anew_in_a_process_that_follows(
    post: Post, project: Project, halves: ModelVersion
) -> None:
    engine.follows = True
    engine.refresh()
    before = slots(post)
    divide(project, "subject", "0011223344556677")
    assert slots(post) == before, "the database is asked at the next look, not for each request"
    engine.refresh()
    dealt = slots(post)
    assert dealt != before
    assert slots(post) == dealt
    divide(project, "subject")
    engine.refresh()
    assert slots(post) == before


def test_with_a_salt_another_version_in_a_slot_has_the_same_callers(
    post: Post, project: Project, halves: ModelVersion, champion: ModelVersion
) -> None:
    divide(project, "subject", "0011223344556677")
    before = slots(post)
    told: dict[str, Any] = {"project": project, "slot": "challenger", "actor": SYSTEM, "reason": "worse"}
    deployment_set(version=champion, **told)
    deployment_share(share=50.0, **told)
    assert slots(post) == before
    divide(project, "subject")
    without = slots(post)
    deployment_set(version=halves, **told)
    deployment_share(share=50.0, **told)
    assert slots(post) != without, "without one its callers are drawn anew"


def test_an_internal_key_is_always_answered_by_the_champion_and_counted_nowhere(
    post: Post, project: Project, halves: ModelVersion
) -> None:
    key, secret = api_key_create(
        project=project, name="nightly", scopes=["predict"], actor=SYSTEM, internal=True
    )
    assert set(slots(post, secret=secret)) == {"champion"}
    assert {one.bucket for one in Prediction.objects.filter(api_key=key)} == {None}
    assert AuditEvent.objects.get(action="api_key.create", subject__endswith=str(key.pk)).data["internal"]


def test_an_answer_keeps_the_group_of_its_subject_where_the_shares_decided(
    post: Post, halves: ModelVersion
) -> None:
    post("predict", {"text": "Ada went.", "subject": "ann"})
    post("predict/batch", {"texts": ["Ada.", "Bob."], "subject": "ann"})
    assert {one.bucket for one in Prediction.objects.all()} == {bucket_of("ann")}
    for named in ({"model": "challenger"}, {"model": "tiny@1"}, {"routing_strategy": "speed"}):
        post("predict", {"text": "Named.", "subject": "ann", **named})
    assert {one.bucket for one in Prediction.objects.filter(text="Named.")} == {None}


def test_while_one_of_the_versions_fails_nobody_is_compared(post: Post, halves: ModelVersion) -> None:
    for _ in range(FAILURES):
        circuits.failed(halves.sha256)
    assert set(slots(post)) == {"champion"}
    assert {one.bucket for one in Prediction.objects.all()} == {None}


def test_where_the_champion_alone_answers_no_group_is_kept(post: Post, champion: ModelVersion) -> None:
    slots(post)
    assert {one.bucket for one in Prediction.objects.all()} == {None}


def test_two_more_challengers_answer_callers(
    post: Post, project: Project, halves: ModelVersion, champion: ModelVersion
) -> None:
    told: dict[str, Any] = {"project": project, "actor": SYSTEM, "reason": "try"}
    deployment_share(slot="challenger", share=25.0, **told)
    for slot in ("challenger-2", "challenger-3"):
        deployment_set(slot=slot, version=champion, **told)
        deployment_share(slot=slot, share=25.0, **told)
    assert shares_in(project) == dict.fromkeys([*Deployment.CHALLENGERS, Deployment.Slot.CHAMPION], 25.0)
    assert set(slots(post)) == {*Deployment.CHALLENGERS, "champion"}
    assert {one.slot for one in Prediction.objects.all()} == {*Deployment.CHALLENGERS, "champion"}


def test_dividing_needs_its_reason_and_is_in_the_audit_log(project: Project) -> None:
    with pytest.raises(ReasonRequired):
        callers_divide(project=project, by="text", salt="", actor=SYSTEM, reason=" ")
    divide(project, "text", "ab")
    assert Division.objects.get().by == "text"
    assert AuditEvent.objects.get(action="callers.divide").data == {"by": "text", "salt": "ab"}
    divide(project, "subject")
    assert not Division.objects.exists()


def test_an_internal_key_is_made_from_the_command_line(project: Project) -> None:
    call_command("apikey_create", project=project.slug, name="smoke", internal=True, stdout=StringIO())
    assert ApiKey.objects.get().internal
