"""An answer that a version owed a caller and did not give is counted, and another one stands in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from inference.circuit import FAILURES, circuits
from inference.engine import bundle_path, engine
from inference.failures import failures
from inference.models import ArmFailure, ArmUnkept, ModelVersion, Prediction
from inference.services import api_key_create, deployment_set, deployment_share, version_register
from inference.services.failures import KEPT, arm_failures_forget
from ner.runtime import BundleRecogniser, Recognition
from tests.bundles import WORDS, tiny_bundle
from tests.inference.conftest import Post

pytestmark = pytest.mark.django_db


@pytest.fixture
def challenger(project: Project, champion: ModelVersion, tmp_path: Path) -> ModelVersion:
    """Another version, which answers half of the callers."""
    version = version_register(
        path=tiny_bundle(tmp_path / "other", WORDS | {"Kent": "B-geo"}),
        name="other",
        project=project,
        actor=SYSTEM,
    )
    deployment_set(project=project, slot="challenger", version=version, actor=SYSTEM, reason="try it")
    deployment_share(project=project, slot="challenger", share=50, actor=SYSTEM, reason="half")
    return version


@pytest.fixture
def broken(challenger: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> ModelVersion:
    """The challenger answers nothing that can be right."""
    answers = BundleRecogniser.predict_many

    def unsound(self: BundleRecogniser, texts: Sequence[str]) -> list[Recognition]:
        if self.bundle.sha256 == challenger.sha256 and not any("Lovelace moved" in text for text in texts):
            raise RuntimeError("the runtime gave up")
        return answers(self, texts)

    monkeypatch.setattr(BundleRecogniser, "predict_many", unsound)
    return challenger


def counted() -> dict[tuple[str, str], int]:
    failures.flush()
    found: dict[tuple[str, str], int] = {}
    for row in ArmFailure.objects.all():
        found[row.slot, row.kind] = found.get((row.slot, row.kind), 0) + row.count
    return found


def asked(post: Post, count: int, **more: Any) -> list[Any]:
    responses = [post("predict", {"text": f"Ada saw London {n}.", **more}) for n in range(count)]
    assert {response.status_code for response in responses} == {200}
    return [response.json() for response in responses]


def test_nobody_goes_without_an_answer_and_each_that_was_owed_is_counted(
    post: Post, broken: ModelVersion
) -> None:
    answers = asked(post, 60)
    assert {answer["model_version"] for answer in answers} == {"tiny@1"}
    owed = counted()
    assert owed["challenger", "unsound"] == FAILURES
    # Then it is left alone, and its callers are still counted as its own.
    assert 60 * 0.25 < sum(owed.values()) < 60 * 0.75
    assert set(owed) == {("challenger", "unsound"), ("challenger", "left_alone")}


def test_a_batch_is_answered_by_another_version_too(post: Post, broken: ModelVersion) -> None:
    texts = [f"Ada saw London {n}." for n in range(10)]
    for subject in range(8):
        response = post("predict/batch", {"texts": texts, "subject": f"u{subject}"})
        assert response.status_code == 200
        assert response.json()["models_used"] == ["tiny@1"]
    assert counted()["challenger", "unsound"] % 10 == 0


def test_who_is_left_alone_would_have_answered_the_same_callers(post: Post, challenger: ModelVersion) -> None:
    before = {n for n, answer in enumerate(asked(post, 40)) if answer["model_version"] == "other@1"}
    for _ in range(FAILURES):
        circuits.failed(challenger.sha256)
    asked(post, 40)
    assert counted() == {("challenger", "left_alone"): len(before)}


def test_sound_answers_write_nothing(post: Post, challenger: ModelVersion) -> None:
    asked(post, 10)
    assert failures.flush() == 0
    assert not ArmFailure.objects.exists()


def test_answers_that_leave_no_row_are_counted_beside_those_that_were_missed(
    post: Post, broken: ModelVersion
) -> None:
    failures.flush()
    asked(post, 20, store=False)
    failures.flush()
    assert not Prediction.objects.exists()
    assert sum(ArmUnkept.objects.values_list("count", flat=True)) == 20, "another one stood in for the missed"
    assert set(ArmUnkept.objects.values_list("slot", flat=True)) == {"champion"}
    missed = ArmFailure.objects.get(kind="unsound")
    assert (missed.count, missed.dealt) == (FAILURES, True)


def test_without_a_failure_they_are_written_down_now_and_then(
    post: Post, challenger: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures.flush()
    asked(post, 20, store=False)
    assert failures.flush() == 0
    monkeypatch.setattr("inference.failures.UNKEPT_EVERY_SECONDS", 0.0)
    assert failures.flush() == 2
    found = {(one.slot, one.version, one.dealt): one.count for one in ArmUnkept.objects.all()}
    assert sum(found.values()) == 20
    assert {(slot, dealt) for slot, _, dealt in found} == {("champion", True), ("challenger", True)}


def test_who_named_the_version_was_not_dealt_it_and_internal_keys_count_nowhere(
    post: Post, project: Project, broken: ModelVersion
) -> None:
    for text in ("Ada.", "Bob."):
        assert post("predict", {"text": text, "model": "challenger", "store": False}).status_code == 503
    _, secret = api_key_create(
        project=project, name="nightly", scopes=["predict", "route"], actor=SYSTEM, internal=True
    )
    headers = {"Authorization": f"Bearer {secret}"}
    assert post("predict", {"text": "Ada.", "model": "challenger"}, headers=headers).status_code == 503
    post("predict", {"text": "Ada.", "store": False}, headers=headers)
    failures.flush()
    missed = ArmFailure.objects.get()
    assert (missed.count, missed.dealt) == (2, False)
    assert not ArmUnkept.objects.exists()


def test_what_redis_may_know_is_asked_about_without_counting_twice(post: Post, broken: ModelVersion) -> None:
    engine.follows = True
    engine.refresh()
    owed = sum(counted().values())
    asked(post, 40)
    assert Prediction.objects.count() == 40
    shares = sum(counted().values()) - owed
    assert 40 * 0.2 < shares < 40 * 0.8


def test_a_bundle_that_a_process_cannot_load_is_told_once_a_try(
    project: Project, challenger: ModelVersion
) -> None:
    path = bundle_path(challenger)
    assert path
    (path / "card.md").write_text("changed")
    engine.forget()
    engine.follows = True
    for _ in range(2):
        engine.refresh()
        failures.flush()
    row = ArmFailure.objects.get()
    assert (row.slot, row.kind, row.version, row.project) == ("challenger", "refused", challenger, project)
    assert row.reason == "bundle_incomplete"


def test_what_the_database_does_not_take_stays_counted(
    post: Post, broken: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(post, 20)
    with monkeypatch.context() as patched:

        def away(*_: Any, **__: Any) -> None:
            raise DatabaseError

        patched.setattr(ArmFailure.objects, "bulk_create", away)
        with pytest.raises(DatabaseError):
            failures.flush()
    assert sum(counted().values()) > 0


def test_old_counts_are_forgotten(project: Project, champion: ModelVersion) -> None:
    for age in (timedelta(days=1), KEPT + timedelta(days=1)):
        told: dict[str, Any] = {"project": project, "version": champion, "at": timezone.now() - age}
        ArmFailure.objects.create(kind="unsound", count=1, **told)
        ArmUnkept.objects.create(count=1, **told)
    assert arm_failures_forget() == 2
