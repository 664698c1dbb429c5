"""The shelf and the slots: registered once, moved by one winner, with a reason and an audit line."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection

from audit.models import AuditEvent
from audit.services import SYSTEM, Actor
from corpus.models import Project
from corpus.selectors import label_set_current
from corpus.services import LabelDraft, project_create
from inference.engine import engine
from inference.errors import (
    BundleBroken,
    DeploymentMoved,
    NothingToRollBackTo,
    NumberTaken,
    ReasonRequired,
    UnknownModel,
)
from inference.models import Deployment, ModelVersion
from inference.selectors import champion_of, deployment_of
from inference.services import (
    base_models_load,
    deployment_set,
    deployment_share,
    evaluation_record,
    version_promote,
    version_register,
    version_roll_back,
)
from ner.errors import BundleChanged
from ner.evaluate import evaluate
from ner.spans import Example, Span
from tests.bundles import WORDS, tiny_bundle
from tests.inference.conftest import Post

pytestmark = pytest.mark.django_db


def _version(project: Project | None, folder: Path, name: str = "tiny") -> ModelVersion:
    words = WORDS | {folder.name: "B-art"}
    return version_register(path=tiny_bundle(folder, words), name=name, project=project, actor=SYSTEM)


@pytest.fixture
def second(project: Project, champion: ModelVersion, tmp_path: Path) -> ModelVersion:
    return _version(project, tmp_path / "second")


def test_a_trained_bundle_is_copied_into_the_store_and_numbered(project: Project, tmp_path: Path) -> None:
    first = _version(project, tmp_path / "first")
    second = _version(project, tmp_path / "second")
    shutil.rmtree(tmp_path / "first")

    assert [str(first), str(second)] == ["tiny@1", "tiny@2"]
    assert (Path(settings.DATA_DIR) / "bundles" / first.sha256 / "manifest.json").exists()
    assert engine.recogniser_for(first).predict("Ann").spans == (Span(0, 3, "per"),)
    assert first.labels == ["geo", "gpe", "org", "per", "tim", "art", "eve", "nat"]
    assert AuditEvent.objects.filter(action="version.register", chain=project.slug).count() == 2


def test_registering_the_same_bundle_again_is_the_same_version(project: Project, tmp_path: Path) -> None:
    first = _version(project, tmp_path / "first")
    assert version_register(path=tmp_path / "first", name="tiny", project=project, actor=SYSTEM) == first
    assert ModelVersion.objects.count() == 1


def test_a_number_is_taken_once(project: Project, tmp_path: Path) -> None:
    _version(project, tmp_path / "first")
    path = tiny_bundle(tmp_path / "other", {"Ann": "B-per"})
    with pytest.raises(NumberTaken):
        version_register(path=path, name="tiny", number=1, project=project, actor=SYSTEM)


def test_a_changed_bundle_is_not_registered(project: Project, tmp_path: Path) -> None:
    path = tiny_bundle(tmp_path / "first")
    (path / "card.md").write_text("# A table of words, and much nicer than it was\n")
    with pytest.raises(BundleChanged):
        version_register(path=path, name="tiny", project=project, actor=SYSTEM)


def test_registering_freezes_the_label_set(project: Project, tmp_path: Path) -> None:
    label_set = label_set_current(project=project)
    version_register(
        path=tiny_bundle(tmp_path / "a"), name="tiny", project=project, label_set=label_set, actor=SYSTEM
    )
    label_set.refresh_from_db()
    assert label_set.frozen_at is not None


def test_bundled_models_are_shelved_once_and_open_to_every_project(project: Project) -> None:
    tiny_bundle(Path(settings.MODELS_DIR) / "flagship", family="flagship")
    tiny_bundle(Path(settings.MODELS_DIR) / "baseline", {"Ann": "B-per"})
    (Path(settings.MODELS_DIR) / "no-bundle").mkdir()

    first = base_models_load(actor=SYSTEM)
    again = base_models_load(actor=SYSTEM)

    assert [str(version) for version in first] == ["baseline@1", "flagship@1"]
    assert again == first
    deployment_set(project=project, slot="champion", version=first[1], actor=SYSTEM, reason="start")
    assert champion_of(project) == first[1]


def test_an_upgrade_that_brings_another_bundled_model_leaves_the_champion_alone(project: Project) -> None:
    folder = Path(settings.MODELS_DIR) / "flagship"
    tiny_bundle(folder)
    [old] = base_models_load(actor=SYSTEM)
    deployment_set(project=project, slot="champion", version=old, actor=SYSTEM, reason="start")
    engine.forget()

    tiny_bundle(folder, WORDS | {"London": "B-org"})
    [new] = base_models_load(actor=SYSTEM)

    assert [str(old), str(new)] == ["flagship@1", "flagship@2"]
    london = {version: engine.recogniser_for(version).predict("London").spans for version in (old, new)}
    assert london == {old: (Span(0, 6, "geo"),), new: (Span(0, 6, "org"),)}
    assert champion_of(project) == old


def test_promotion_moves_the_champion_and_remembers_the_one_before(
    project: Project, champion: ModelVersion, second: ModelVersion
) -> None:
    moved = version_promote(
        project=project,
        version=second,
        expected_generation=1,
        actor=Actor("user:1", "mia"),
        reason="better on pests",
        verdict={"passed": True},
    )
    assert (moved.version, moved.previous, moved.generation) == (second, champion, 2)
    event = AuditEvent.objects.get(action="version.promote")
    assert event.reason == "better on pests"
    assert event.data == {
        "from": "tiny@1",
        "to": "tiny@2",
        "generation": 2,
        "verdict": {"passed": True},
    }


def test_promoting_what_serves_already_changes_nothing(project: Project, champion: ModelVersion) -> None:
    same = version_promote(
        project=project, version=champion, expected_generation=99, actor=SYSTEM, reason="again"
    )
    assert same.generation == 1
    assert not AuditEvent.objects.filter(action="version.promote").exists()


def test_a_promotion_from_an_old_page_is_refused(
    project: Project, champion: ModelVersion, second: ModelVersion, tmp_path: Path
) -> None:
    version_promote(project=project, version=second, expected_generation=1, actor=SYSTEM, reason="x")
    third = _version(project, tmp_path / "third")
    with pytest.raises(DeploymentMoved) as refused:
        version_promote(project=project, version=third, expected_generation=1, actor=SYSTEM, reason="x")
    assert (refused.value.status, refused.value.code) == (409, "deployment_moved")
    assert champion_of(project) == second


def test_roll_back_returns_to_the_version_before_and_back_again(
    project: Project, champion: ModelVersion, second: ModelVersion
) -> None:
    with pytest.raises(NothingToRollBackTo):
        version_roll_back(project=project, expected_generation=1, actor=SYSTEM, reason="x")
    version_promote(project=project, version=second, expected_generation=1, actor=SYSTEM, reason="x")
    with pytest.raises(DeploymentMoved):
        version_roll_back(project=project, expected_generation=1, actor=SYSTEM, reason="x")
    back = version_roll_back(project=project, expected_generation=2, actor=SYSTEM, reason="worse")
    assert (back.version, back.previous, back.generation) == (champion, second, 3)
    forth = version_roll_back(project=project, expected_generation=3, actor=SYSTEM, reason="no, better")
    assert forth.version == second


def test_every_move_needs_a_reason(project: Project, champion: ModelVersion, second: ModelVersion) -> None:
    for call in (
        lambda: version_promote(
            project=project, version=second, expected_generation=1, actor=SYSTEM, reason=" "
        ),
        lambda: version_roll_back(project=project, expected_generation=1, actor=SYSTEM, reason=""),
        lambda: deployment_set(project=project, slot="speed", version=second, actor=SYSTEM, reason="\n"),
    ):
        with pytest.raises(ReasonRequired):
            call()


def test_another_projects_version_cannot_be_promoted(
    project: Project, champion: ModelVersion, tmp_path: Path
) -> None:
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    foreign = _version(other, tmp_path / "foreign", "foreign")
    with pytest.raises(UnknownModel):
        version_promote(project=project, version=foreign, expected_generation=1, actor=SYSTEM, reason="x")


def test_a_version_whose_bundle_is_broken_is_not_promoted(
    project: Project, champion: ModelVersion, second: ModelVersion
) -> None:
    (Path(settings.DATA_DIR) / "bundles" / second.sha256 / "words.txt").write_text("Ann")
    with pytest.raises(BundleBroken) as refused:
        version_promote(project=project, version=second, expected_generation=1, actor=SYSTEM, reason="x")
    assert refused.value.status == 409
    assert champion_of(project) == champion


@pytest.mark.django_db(transaction=True)
def test_of_ten_promotions_at_once_one_wins(project: Project, tmp_path: Path) -> None:
    first = _version(project, tmp_path / "start")
    deployment_set(project=project, slot="champion", version=first, actor=SYSTEM, reason="start")
    rivals = [_version(project, tmp_path / f"rival{number}") for number in range(10)]
    for rival in rivals:
        engine.recogniser_for(rival)
    outcomes: list[Any] = []
    start = threading.Barrier(10)

    def promote(version: ModelVersion) -> None:
        start.wait()
        try:
            version_promote(
                project=project, version=version, expected_generation=1, actor=SYSTEM, reason="mine"
            )
            outcomes.append(version)
        except DeploymentMoved:
            outcomes.append(None)
        finally:
            connection.close()

    threads = [threading.Thread(target=promote, args=(rival,)) for rival in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    [winner] = [outcome for outcome in outcomes if outcome is not None]
    deployment = deployment_of(project)
    assert deployment is not None
    assert (deployment.version, deployment.generation) == (winner, 2)
    assert AuditEvent.objects.filter(action="version.promote").count() == 1


def test_an_exam_is_kept_once_and_is_the_f1_that_callers_see(
    project: Project, champion: ModelVersion, get: Post
) -> None:
    gold = [Example("Ann saw London.", (Span(0, 3, "per"), Span(8, 14, "geo")))]
    report = evaluate(gold, [(Span(0, 3, "per"),)])
    first = evaluation_record(version=champion, kind="test", set_fingerprint="abc", report=report)
    again = evaluation_record(version=champion, kind="test", set_fingerprint="abc", report=report)
    assert first == again
    assert get("models").json()["models"][0]["f1_score"] == round(2 / 3, 4)


def test_models_are_listed_with_what_was_measured(
    get: Post, post: Post, champion: ModelVersion, second: ModelVersion, django_assert_num_queries: Any
) -> None:
    get("models")
    with django_assert_num_queries(3):
        body = get("models").json()
    assert [model["version"] for model in body["models"]] == ["tiny@2", "tiny@1"]
    assert [model["slots"] for model in body["models"]] == [[], ["champion"]]
    assert [model["f1_score"] for model in body["models"]] == [None, 0.9]

    by_id = get(f"models/{champion.pk}").json()
    assert by_id == get("models/tiny@1").json()
    assert by_id["scores"]["all"]["f1"] == 0.9
    assert by_id["card"] == "# A table of words\n"
    assert by_id["parent"] is None


def test_versions_are_compared_by_what_was_measured(
    get: Post, post: Post, project: Project, champion: ModelVersion, second: ModelVersion
) -> None:
    deployment_set(project=project, slot="challenger", version=second, actor=SYSTEM, reason="try")
    deployment_share(project=project, slot="challenger", share=5, actor=SYSTEM, reason="try")
    post("predict", {"text": "Ann saw London.", "model": "champion"})
    body = get("models/comparison").json()
    first, last = body["models"]
    assert (first["version"], first["rank"], first["status"], first["traffic_share"]) == (
        "tiny@1",
        1,
        "serving",
        95.0,
    )
    assert first["scores"]["all"]["f1"] == first["f1_score"] == 0.9
    assert first["p50_ms"] > 0
    assert first["texts_per_second"] == pytest.approx(1000 / first["p50_ms"], rel=0.05)
    assert first["architecture"]
    assert (last["version"], last["rank"], last["traffic_share"], last["f1_score"]) == (
        "tiny@2",
        2,
        5.0,
        None,
    )
    assert (body["best_f1"], body["is_fair"]) == ("tiny@1", False)


def test_scores_on_the_same_exam_are_fair_to_compare(
    get: Post, project: Project, champion: ModelVersion, second: ModelVersion
) -> None:
    gold = [Example("Ann saw London.", (Span(0, 3, "per"), Span(8, 14, "geo")))]
    for version, found in ((champion, [Span(0, 3, "per")]), (second, list(gold[0].spans))):
        report = evaluate(gold, [found])
        evaluation_record(version=version, kind="test", set_fingerprint="abc", report=report)
    body = get("models/comparison?models=tiny@1,tiny@2").json()
    assert [(row["version"], row["f1_score"]) for row in body["models"]] == [
        ("tiny@2", 1.0),
        ("tiny@1", 0.6667),
    ]
    assert body["models"][1]["scores"]["geo"]["recall"] == 0
    assert (body["is_fair"], body["best_f1"]) == (True, "tiny@2")
    assert get("models/comparison?models=tiny@9").status_code == 404
    assert get("models/comparison?models=" + ",".join(["tiny@1"] * 21)).json()["code"] == "too_many_models"
    assert get("models/comparison?model=tiny@1").json()["code"] == "unknown_parameter"


def test_a_caller_may_name_a_family_a_slot_or_a_version(
    post: Post, project: Project, champion: ModelVersion, second: ModelVersion
) -> None:
    deployment_set(project=project, slot="challenger", version=second, actor=SYSTEM, reason="try")
    tiny_bundle(Path(settings.MODELS_DIR) / "flagship", family="flagship")
    base_models_load(actor=SYSTEM)

    def answered(model: str) -> tuple[str, str]:
        body = post("predict", {"text": "Ann", "model": model}).json()
        return body["model_version"], body["routing_decision"]["slot"]

    assert answered("champion") == ("tiny@1", "champion")
    assert answered("challenger") == ("tiny@2", "challenger")
    assert answered("tiny@2") == ("tiny@2", "")
    assert answered("flagship") == ("flagship@1", "")


def test_a_candidate_on_the_shelf_is_not_served_by_its_familys_name(
    post: Post, champion: ModelVersion, second: ModelVersion
) -> None:
    assert post("predict", {"text": "Ann", "model": "baseline"}).json()["model_version"] == "tiny@1"
    Deployment.objects.all().delete()
    assert post("predict", {"text": "Ann", "model": "baseline"}).status_code == 404
