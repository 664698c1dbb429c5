"""A version in the shadow reads what the champion told callers: each answer once, off all requests' path."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.errors import DomainError
from corpus.models import Project
from inference.engine import Serving, bundle_path, engine
from inference.errors import ModelUnsound
from inference.models import Deployment, ModelVersion, Prediction, ShadowComparison, ShadowTest
from inference.services import (
    deployment_clear,
    deployment_set,
    deployment_share,
    shadows,
    version_promote,
    version_register,
)
from inference.services.shadows import comparisons_forget, is_drawn, shadow_read, shadows_read
from tests.bundles import WORDS, tiny_bundle
from tests.inference.conftest import Post

pytestmark = pytest.mark.django_db


@pytest.fixture
def other(project: Project, champion: ModelVersion, tmp_path: Path) -> ModelVersion:
    """A version that takes London for a person and knows no Ada."""
    words = {word: tag for word, tag in WORDS.items() if word != "Ada"} | {"London": "B-per"}
    return version_register(
        path=tiny_bundle(tmp_path / "other", words), name="other", project=project, actor=SYSTEM
    )


@pytest.fixture
def shadow(project: Project, other: ModelVersion) -> ModelVersion:
    """That version in the shadow slot, reading everything."""
    deployment_set(project=project, slot="shadow", version=other, actor=SYSTEM, reason="try it")
    deployment_share(project=project, slot="shadow", share=100, actor=SYSTEM, reason="all")
    Deployment.objects.update(changed_at=timezone.now() - timedelta(minutes=10))
    return other


def read(project: Project) -> int:
    """Let the shadow read all there is, as if half a minute had passed; returns how many it compared."""
    compared, looked_at = 0, 1
    while looked_at:
        looked_at, found = shadow_read(project=project, now=timezone.now() + shadows.SETTLING)
        compared += found
    return compared


def asked(post: Post, *texts: str) -> None:
    for text in texts:
        assert post("predict", {"text": text}).status_code == 200


def test_it_measures_how_far_both_agree(post: Post, project: Project, shadow: ModelVersion) -> None:
    asked(post, "Grace Hopper saw Boston.", "Ada saw London.", "Grace saw London.", "Nothing here.")

    assert read(project) == 4

    agreements = dict(ShadowComparison.objects.values_list("prediction__text", "agreement"))
    assert agreements == {
        "Grace Hopper saw Boston.": 1.0,
        "Ada saw London.": 0.0,
        "Grace saw London.": 0.5,
        "Nothing here.": 1.0,
    }
    test = ShadowTest.objects.get()
    assert (test.compared, test.identical, test.agreement) == (4, 2, 0.625)
    low, high = test.agreement_interval
    assert 0 < low < 0.625 < high < 1
    assert test.latency_ms > 0
    worst = ShadowComparison.objects.get(agreement=0)
    assert [(span["label"], span["text"]) for span in worst.spans] == [("per", "London")]


def test_each_answer_is_compared_once_and_a_restart_goes_on_where_it_was(
    post: Post, project: Project, shadow: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "STEP", 2)
    asked(post, *(f"Ada saw London {n}." for n in range(5)))
    now = timezone.now() + shadows.SETTLING
    assert shadow_read(project=project, now=now)[1] == 2
    engine.forget()  # another process
    assert read(project) == 3
    assert read(project) == 0
    asked(post, "Ada saw Boston.")
    assert read(project) == 1
    assert ShadowTest.objects.get().compared == ShadowComparison.objects.count() == 6


def test_answers_of_one_moment_are_all_read(
    post: Post, project: Project, shadow: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadows, "STEP", 2)
    monkeypatch.setattr(shadows, "LOOKED_AT", 3)
    asked(post, *(f"Ada saw London {n}." for n in range(7)))
    Prediction.objects.update(created_at=timezone.now())
    assert read(project) == 7


def test_what_breaks_before_its_end_leaves_no_trace(
    post: Post, project: Project, shadow: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(project)  # the test has begun
    asked(post, "Ada saw London.", "Grace saw London.")
    with monkeypatch.context() as patched:
        patched.setattr(ShadowTest, "save", killed)
        with pytest.raises(Killed):
            read(project)
    assert not ShadowComparison.objects.exists()
    assert read(project) == 2


def test_young_answers_wait_for_those_that_are_written_meanwhile(
    post: Post, project: Project, shadow: ModelVersion
) -> None:
    asked(post, "Ada saw London.")
    assert shadow_read(project=project) == (0, 0)
    Prediction.objects.update(created_at=timezone.now() - timedelta(seconds=31))
    ShadowTest.objects.update(read_until=timezone.now() - timedelta(minutes=1))
    assert shadow_read(project=project) == (0, 1)


def test_it_reads_only_what_the_champion_told_callers(
    post: Post, project: Project, champion: ModelVersion, shadow: ModelVersion
) -> None:
    asked(post, "Ada saw London.")
    assert post("predict", {"text": "Ada saw Boston.", "model": "other@1"}).status_code == 200
    assert post("predict", {"text": "Ada saw Ann.", "store": False}).status_code == 200
    assert read(project) == 1


def test_the_bars_of_confidence_hold_for_both(post: Post, project: Project, shadow: ModelVersion) -> None:
    assert post("predict", {"text": "Ada saw London.", "min_confidence": 1.0}).json()["entities"] == []
    read(project)
    compared = ShadowComparison.objects.get()
    assert (compared.spans, compared.agreement) == ([], 1.0)


def test_a_share_bounds_what_it_costs_and_draws_the_same_ones_again(
    post: Post, project: Project, shadow: ModelVersion
) -> None:
    deployment_share(project=project, slot="shadow", share=40, actor=SYSTEM, reason="less")
    for start in range(0, 300, 100):
        batch = [f"Ada saw London {n}." for n in range(start, start + 100)]
        assert post("predict/batch", {"texts": batch}).status_code == 200
    drawn = {pk for pk in Prediction.objects.values_list("pk", flat=True) if is_drawn(pk, 40)}
    assert read(project) == len(drawn)
    assert 80 < len(drawn) < 160
    assert set(ShadowComparison.objects.values_list("prediction", flat=True)) == drawn
    assert all(is_drawn(pk, 50) for pk in drawn)


def test_a_shadow_reads_a_tenth_where_nothing_was_set(project: Project, shadow: ModelVersion) -> None:
    deployment_share(project=project, slot="shadow", share=None, actor=SYSTEM, reason="default")
    assert shadows.shadow_share(Deployment.objects.get(slot="shadow").share) == 10


def test_a_shadow_too_far_behind_passes_over_the_oldest_and_counts_them(
    post: Post, project: Project, shadow: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(post, *(f"Ada saw London {n}." for n in range(10)))
    monkeypatch.setattr(shadows, "MOST_BEHIND", 4)
    assert read(project) == 4
    assert ShadowTest.objects.get().dropped == 6
    newest = list(Prediction.objects.order_by("-created_at", "-id").values_list("pk", flat=True)[:4])
    assert set(ShadowComparison.objects.values_list("prediction", flat=True)) == set(newest)


def test_an_answer_that_cannot_be_right_costs_no_other_one(
    post: Post, project: Project, shadow: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(post, "Ada saw London.", "Grace saw NaN.", "Ann saw London.")
    recognise = Serving.recognise

    def unsound(self: Serving, texts: Any) -> Any:
        if any("NaN" in text for text in texts):
            raise ModelUnsound(model="other@1")
        return recognise(self, texts)

    monkeypatch.setattr(Serving, "recognise", unsound)
    assert read(project) == 2
    assert ShadowTest.objects.get().failed == 1


def test_a_broken_bundle_is_said_and_what_it_missed_is_read_once_it_is_repaired(
    post: Post, project: Project, shadow: ModelVersion
) -> None:
    path = bundle_path(shadow)
    assert path
    card = (path / "card.md").read_bytes()
    (path / "card.md").write_text("changed")
    engine.forget()
    asked(post, "Ada saw London.")
    assert read(project) == 0
    assert ShadowTest.objects.get().problem == "model_unusable"
    (path / "card.md").write_bytes(card)
    assert read(project) == 1
    assert ShadowTest.objects.get().problem == ""


def test_another_champion_begins_another_test(
    post: Post, project: Project, champion: ModelVersion, shadow: ModelVersion, tmp_path: Path
) -> None:
    asked(post, "Ada saw London.")
    read(project)
    better = version_register(
        path=tiny_bundle(tmp_path / "better", WORDS | {"saw": "B-per"}),
        name="better",
        project=project,
        actor=SYSTEM,
    )
    version_promote(project=project, version=better, expected_generation=1, actor=SYSTEM, reason="better")
    engine.refresh()
    asked(post, "Ada saw London.")
    assert read(project) == 1
    old, new = ShadowTest.objects.order_by("started_at")
    assert (old.champion, old.ended_at is None, old.compared) == (champion, False, 1)
    assert (new.champion, new.ended_at, new.compared) == (better, None, 1)


def test_a_removed_shadow_reads_no_more_and_its_numbers_stay(
    post: Post, project: Project, shadow: ModelVersion
) -> None:
    asked(post, "Ada saw London.")
    read(project)
    deployment_clear(project=project, slot="shadow", actor=SYSTEM, reason="seen enough")
    asked(post, "Ada saw Boston.")
    assert read(project) == 0
    shadows_read()
    test = ShadowTest.objects.get()
    assert (test.compared, test.ended_at is None) == (1, False)
    event = AuditEvent.objects.get(action="deployment.clear")
    assert (event.reason, event.data["from"], event.data["slot"]) == ("seen enough", "other@1", "shadow")


def test_the_champions_slot_is_never_emptied(project: Project, champion: ModelVersion) -> None:
    with pytest.raises(DomainError) as refused:
        deployment_clear(project=project, slot="champion", actor=SYSTEM, reason="why not")
    assert refused.value.code == "slot_not_clearable"
    assert Deployment.objects.count() == 1


def test_a_slot_that_moved_meanwhile_is_not_emptied(project: Project, shadow: ModelVersion) -> None:
    with pytest.raises(DomainError) as refused:
        deployment_clear(
            project=project, slot="shadow", actor=SYSTEM, reason="old page", expected_generation=1
        )
    assert refused.value.code == "deployment_moved"


def test_a_champion_in_its_own_shadow_is_not_compared(
    post: Post, project: Project, champion: ModelVersion
) -> None:
    deployment_set(project=project, slot="shadow", version=champion, actor=SYSTEM, reason="why not")
    asked(post, "Ada saw London.")
    assert read(project) == 0
    assert not ShadowTest.objects.exists()


def test_beat_lets_every_projects_shadow_read(post: Post, project: Project, shadow: ModelVersion) -> None:
    asked(post, "Ada saw London.")
    Prediction.objects.update(created_at=timezone.now() - timedelta(seconds=40))
    assert shadows_read() == 1
    assert shadows_read() == 0


def test_old_comparisons_go_and_the_numbers_stay(
    post: Post, project: Project, shadow: ModelVersion, settings: Any
) -> None:
    asked(post, "Ada saw London.", "Grace saw London.")
    read(project)
    month = timezone.now() - timedelta(days=settings.SHADOW_KEEP_DAYS, hours=1)
    ShadowComparison.objects.filter(agreement=0).update(created_at=month)
    assert comparisons_forget() == 1
    assert ShadowComparison.objects.count() == 1
    assert ShadowTest.objects.get().compared == 2


def test_the_shadow_is_told_beside_the_versions(
    get: Post, post: Post, project: Project, shadow: ModelVersion
) -> None:
    asked(post, "Ada saw London.", "Grace Hopper saw Boston.")
    read(project)
    told = get("models/comparison").json()["shadow"]
    assert (told["shadow"], told["champion"], told["compared"], told["identical"]) == (
        "other@1",
        "tiny@1",
        2,
        1,
    )
    assert (told["agreement"], told["share"], told["dropped"], told["failed"]) == (0.5, 100, 0, 0)
    assert told["agreement_low"] < 0.5 < told["agreement_high"]
    assert told["mean_latency_ms"] > 0

    deployment_clear(project=project, slot="shadow", actor=SYSTEM, reason="seen enough")
    assert get("models/comparison").json()["shadow"] is None


def test_operators_see_how_shadows_do(get: Post, post: Post, project: Project, shadow: ModelVersion) -> None:
    asked(post, "Ada saw London.")
    read(project)
    lines = get("metrics").content.decode().splitlines()
    told = dict(line.rsplit(" ", 1) for line in lines if line.startswith("ner_shadow"))
    assert told['ner_shadow_compared{project="orchard"}'] == "1.0"
    assert told['ner_shadow_agreement{project="orchard"}'] == "0.0"
    assert told['ner_shadow_dropped{project="orchard"}'] == "0.0"


def test_a_slot_is_emptied_from_the_command_line(project: Project, shadow: ModelVersion, capsys: Any) -> None:
    call_command("deployment_set", project="orchard", slot="shadow", clear=True, reason="seen enough")
    assert "shadow" not in capsys.readouterr().out
    assert not Deployment.objects.filter(slot="shadow").exists()
    assert AuditEvent.objects.get(action="deployment.clear").reason == "seen enough"


class Killed(Exception):
    """What the test does in place of kill -9."""


def killed(*_: Any, **__: Any) -> None:
    raise Killed
