"""Where a version comes from, back to each correction, and what it answered: page, API and command."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from audit.services import SYSTEM
from corpus.models import Document, Project
from corpus.services import LabelDraft, project_create
from feedback.models import Correction
from feedback.services import correction_submit
from inference.models import ModelVersion, Prediction
from inference.services import api_key_create, version_register
from retraining import lineage as lineage_module
from retraining.lineage import answers_of, lessons_of, lineage_of
from retraining.models import TrainingRun
from retraining.services import run_queue
from tests.backoffice.conftest import staff
from tests.bundles import tiny_bundle
from tests.factories import document_make

pytestmark = pytest.mark.django_db

ALL = Project.objects.all()


def page(client: Client, version: ModelVersion, status: int = 200, **asked: Any) -> str:
    answer = client.get(reverse("admin:inference_modelversion_lineage", args=[version.pk]), asked)
    assert answer.status_code == status
    return " ".join(answer.content.decode().split())


def bundled(folder: Path, number: int = 1) -> ModelVersion:
    return version_register(path=tiny_bundle(folder), name="flagship", number=number, actor=SYSTEM)


def predicted(version: ModelVersion, project: Project, text: str = "Ada sang.", slot: str = "") -> Prediction:
    return Prediction.objects.create(
        project=project, version=version, text=text, slot=slot, uncertainty=0.1, latency_ms=1.0
    )


def heirs(project: Project, parent: ModelVersion, count: int, folder: Path) -> list[ModelVersion]:
    """A line of versions, each trained on top of the one before."""
    line = [parent]
    for number in range(count):
        words = {"Ada": "B-per", f"Cox{number}": "B-geo"}
        bundle = tiny_bundle(folder / f"heir-{number}", words)
        line.append(
            version_register(path=bundle, name="orchard", project=project, parent=line[-1], actor=SYSTEM)
        )
    return line[1:]


def test_it_goes_back_to_the_run_its_reason_and_each_correction(
    candidate: ModelVersion, correction: Correction
) -> None:
    found = lineage_of(version=candidate, projects=ALL)
    assert found.run is not None
    assert found.lessons is not None
    assert found.because == "200 new corrections"
    assert (found.lessons.total, found.lessons.strata, found.lessons.authors) == (
        1,
        [("random", 1)],
        [("ana", 1)],
    )
    assert [count for _split, count in found.lessons.splits] == [1]
    assert [count for _day, count in found.lessons.days] == [1]
    (item,) = lessons_of(found.lessons.training_set)
    assert item.correction == correction
    assert [str(step.version) for step in found.ancestors] == ["orchard@1"]


def test_it_goes_forward_to_the_answers_the_reviews_and_the_heirs(
    champion: ModelVersion, candidate: ModelVersion
) -> None:
    found = lineage_of(version=champion, projects=ALL)
    answers = found.answers
    assert (answers.count, answers.reviewed, answers.changed, answers.is_cut) == (2, 1, 1, False)
    assert sum(count for _slot, count in answers.slots) == 2
    assert sum(count for _day, count in answers.days) == 2
    assert len(answers.newest) == 2
    (child,) = found.children
    assert (child.version, child.verdict) == (candidate, "passed the gate")
    assert found.lessons is None


def test_a_review_that_left_everything_is_no_correction(
    champion: ModelVersion, project: Project, ana: User
) -> None:
    document = document_make(project, "Nothing to see.")
    prediction = Prediction.objects.create(
        project=project, version=champion, document=document, uncertainty=0.1, latency_ms=1.0
    )
    correction_submit(
        document=document,
        spans=[],
        base_number=0,
        author=ana,
        prediction=prediction,
        stratum="random",
        milliseconds=10,
        idempotency_key="ana-left-it",
    )
    answers = lineage_of(version=champion, projects=ALL).answers
    assert (answers.reviewed, answers.changed) == (1, 0)


def test_only_the_newest_answers_are_counted_and_it_says_so(
    champion: ModelVersion, project: Project, office: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage_module, "COUNTED", 3)
    for slot in ("champion", "champion", "champion", "", "challenger"):
        predicted(champion, project, slot=slot)
    answers = lineage_of(version=champion, projects=ALL).answers
    assert (answers.count, answers.is_cut) == (3, True)
    assert sorted(answers.slots) == [("challenger", 1), ("champion", 1), ("named", 1)]
    assert "older ones are not counted" in page(office, champion)


def test_the_answers_are_read_from_the_index_that_has_them_in_order(champion: ModelVersion) -> None:
    with connection.cursor() as cursor:
        # In small tables a scan is cheaper; what matters is that the index gives the order.
        for way in ("enable_seqscan", "enable_bitmapscan", "enable_sort"):
            cursor.execute(f"SET LOCAL {way} = off")
    plan = answers_of(champion)[:100].explain()
    assert "prediction_by_version" in plan
    assert "Sort" not in plan


def test_a_long_history_takes_no_more_queries(
    candidate: ModelVersion,
    project: Project,
    tmp_path: Path,
    django_assert_max_num_queries: Any,
) -> None:
    for turn in range(30):
        predicted(candidate, project, f"Ada sang {turn}.")
    *_others, last = heirs(project, candidate, 30, tmp_path)
    with django_assert_max_num_queries(12):
        found = lineage_of(version=candidate, projects=ALL)
        assert found.lessons is not None
        assert len(list(lessons_of(found.lessons.training_set))) == 1
    with django_assert_max_num_queries(6):
        found = lineage_of(version=last, projects=ALL)
    assert len(found.ancestors) == 20
    assert str(found.ancestors[-1].version) == "orchard@1"
    assert found.ancestors_left_out == 11


def test_the_page_lists_corrections_by_pages_and_links_to_them(
    office: Client, project: Project, champion: ModelVersion, ana: User, tmp_path: Path
) -> None:
    for number in range(30):
        correction_submit(
            document=document_make(project, f"Text number {number} of Ada."),
            spans=[],
            base_number=0,
            author=ana,
            prediction=None,
            stratum="uncertain",
            milliseconds=10,
            idempotency_key=f"ana-{number}",
        )
    run = run_queue(project=project, actor=SYSTEM, reason="enough")
    made = heirs(project, champion, 1, tmp_path)[0]
    TrainingRun.objects.filter(pk=run.pk).update(status="done", candidate=made)
    first = page(office, made)
    assert first.count("Text number") == 25
    following = first.split("?before=")[1].split("#")[0]
    second = page(office, made, before=following)
    assert second.count("Text number") == 5
    assert "Earlier ones" not in second
    correction = Correction.objects.first()
    assert correction is not None
    assert reverse("admin:feedback_correction_change", args=[correction.pk]) in first + second
    assert page(office, made, before="x").count("Text number") == 25


def test_an_erased_text_is_not_told(office: Client, candidate: ModelVersion, correction: Correction) -> None:
    assert "Ada Lovelace moved" in page(office, candidate)
    Document.objects.filter(pk=correction.document_id).update(text="", redacted_at=Now())
    shown = page(office, candidate)
    assert "Ada Lovelace moved" not in shown
    assert "(erased)" in shown


def test_texts_are_for_those_who_may_read_them(
    sign_in: Callable[[User], Client], mia: User, candidate: ModelVersion, champion: ModelVersion
) -> None:
    client = sign_in(staff(mia, "view_modelversion"))
    assert "Ada Lovelace moved" not in page(client, candidate)
    assert "Ada Lovelace moved" not in page(client, champion)
    assert "ana" in page(client, candidate)


def test_other_projects_answers_and_versions_are_not_there(
    owner: Client, project: Project, tmp_path: Path
) -> None:
    secret = project_create(slug="secret", name="Secret", labels=[LabelDraft(name="per")], actor=SYSTEM)
    shared = bundled(tmp_path / "shared")
    predicted(shared, secret, "The secret of Ada.")
    predicted(shared, project, "The orchard of Ada.")
    own = version_register(path=tiny_bundle(tmp_path / "own"), name="hidden", project=secret, actor=SYSTEM)
    shown = page(owner, shared)
    assert "The orchard of Ada." in shown
    assert "The secret of Ada." not in shown
    page(owner, own, status=403)


def test_the_api_tells_the_same_by_pages(
    candidate: ModelVersion, champion: ModelVersion, project: Project, correction: Correction
) -> None:
    _, secret = api_key_create(project=project, name="reader", scopes=["models"], actor=SYSTEM)
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    body = client.get("/api/v1/retraining/lineage/orchard@2").json()
    assert (body["model_version"], body["queued_because"]) == ("orchard@2", "200 new corrections")
    (lesson,) = body["learned_from"]["corrections"]
    assert (lesson["correction"], lesson["by"], lesson["stratum"]) == (str(correction.pk), "ana", "random")
    assert body["ancestors"] == [{"model_version": "orchard@1", "run": None, "passed": None}]
    later = client.get("/api/v1/retraining/lineage/orchard@2", {"before": lesson["id"]}).json()
    assert later["learned_from"]["corrections"] == []
    forward = client.get("/api/v1/retraining/lineage/orchard@1").json()
    assert forward["learned_from"] is None
    assert (forward["answered"]["count"], forward["answered"]["changed"]) == (2, 1)
    assert forward["children"][0] == {"model_version": "orchard@2", "run": body["run"], "passed": True}
    assert client.get("/api/v1/retraining/lineage/orchard@9").status_code == 404
    assert client.get("/api/v1/retraining/lineage/orchard@2", {"before": "x"}).status_code == 400


def test_the_command_tells_the_same(candidate: ModelVersion, project: Project) -> None:
    out = io.StringIO()
    call_command("model_lineage", "orchard@2", project=project.slug, stdout=out)
    told = out.getvalue()
    assert "Made with 1 corrections" in told
    assert "ana 1" in told
    assert "orchard@1: not judged by a gate" in told
    with pytest.raises(CommandError, match="There is no version orchard@9"):
        call_command("model_lineage", "orchard@9")
