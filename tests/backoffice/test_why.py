"""Why is this model serving? One page, one command: from rows and the audit log, in plain words."""

from __future__ import annotations

import io

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from audit.services import SYSTEM, Actor
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from inference.models import Deployment, ModelVersion
from inference.services import api_key_create, version_promote, version_roll_back
from retraining.models import Rollout, TrainingRun
from retraining.services import candidate_promote, run_queue
from retraining.why import why_serving
from tests.backoffice.conftest import VERDICT

pytestmark = pytest.mark.django_db

ADA = Actor(ref="user:1", name="ada")


def page(client: Client, slug: str, status: int = 200) -> str:
    answer = client.get(reverse("admin:inference_deployment_why", args=[slug]))
    assert answer.status_code == status
    return " ".join(answer.content.decode().split())


def told(project: Project) -> str:
    why = why_serving(project=project)
    assert why is not None
    return " ".join(why.sentences)


@pytest.fixture
def promoted(run: TrainingRun) -> TrainingRun:
    """orchard@2 serves, because Ada said so."""
    candidate_promote(run=run, actor=ADA, reason="better on places")
    return run


def test_it_says_who_promoted_it_when_why_and_over_what(promoted: TrainingRun, project: Project) -> None:
    words = told(project)
    assert "orchard@2 answers the callers of" in words
    assert "in the place of orchard@1: ada promoted it. The reason given: better on places." in words
    assert "It passed the gate: F1 +12.0 points against orchard@1, between +6.0 and +18.0" in words
    assert f"Run {promoted.pk} made it on top of orchard@1" in words
    assert "It was queued because: 200 new corrections." in words
    assert "Nothing else has been tried since." in words


def test_the_first_model_needs_no_gate(champion: ModelVersion, project: Project) -> None:
    words = told(project)
    assert "as their first model: nerapp set it. The reason given: the first." in words
    assert "No gate has judged it" in words


def test_a_roll_back_is_told_as_one(promoted: TrainingRun, deployment: Deployment, project: Project) -> None:
    deployment.refresh_from_db()
    version_roll_back(
        project=project, expected_generation=deployment.generation, actor=ADA, reason="worse on dates"
    )
    assert "orchard@1 answers" in told(project)
    assert "ada rolled orchard@2 back. The reason given: worse on dates." in told(project)


def test_what_was_refused_or_failed_or_rolled_back_since_is_told_with_its_reasons(
    promoted: TrainingRun, champion: ModelVersion, project: Project, office: Client
) -> None:
    failed = run_queue(project=project, actor=SYSTEM, reason="more corrections")
    TrainingRun.objects.filter(pk=failed.pk).update(status="failed", error="Out of memory.", ended_at=Now())
    refused = run_queue(project=project, actor=SYSTEM, reason="more corrections")
    reasons = [{"code": "gain", "passed": False, "message": "F1 fell by 2 points.", "value": -2, "limit": 0}]
    TrainingRun.objects.filter(pk=refused.pk).update(
        status="done",
        candidate=champion,
        verdict=VERDICT | {"passed": False, "reasons": reasons},
        ended_at=Now(),
    )
    Rollout.objects.create(
        project=project,
        version=champion,
        champion=promoted.candidate,
        plan={"steps": [0.0, 100.0], "approval": "never"},
        status="rolled_back",
        outcome="It owed callers 4 % of its answers.",
        reason="try it",
        started_by="ada",
        ended_at=Now(),
    )
    shown = page(office, project.slug)
    for words in (
        f"run {failed.pk} failed",
        "Out of memory.",
        "orchard@1 was refused by the gate",
        "F1 fell by 2 points.",
        "the rollout of orchard@1: rolled back",
        "It owed callers 4 % of its answers.",
    ):
        assert words in shown
    assert "better on places" in shown


def test_it_takes_as_many_queries_after_a_long_history(
    promoted: TrainingRun,
    champion: ModelVersion,
    project: Project,
    django_assert_max_num_queries: object,
) -> None:
    for turn in range(30):
        present = Deployment.objects.get(project=project, slot="champion")
        other = champion if present.version_id != champion.pk else promoted.candidate
        assert other
        version_promote(
            project=project,
            version=other,
            expected_generation=present.generation,
            actor=SYSTEM,
            reason=f"turn {turn}",
        )
    with django_assert_max_num_queries(11):  # type: ignore[operator]
        why = why_serving(project=project)
        assert why is not None
        assert len(why.sentences) > 3
    assert len(why.moves) == 20


def test_the_command_tells_the_same(promoted: TrainingRun, project: Project) -> None:
    out = io.StringIO()
    call_command("model_why", project=project.slug, stdout=out)
    assert told(project).split(".")[0] in out.getvalue()
    assert "orchard@1 -> orchard@2 by ada: better on places" in out.getvalue()


def test_the_api_tells_the_same_to_a_key_that_may_read_models(
    promoted: TrainingRun, project: Project
) -> None:
    _, secret = api_key_create(project=project, name="reader", scopes=["models"], actor=SYSTEM)
    answer = Client(headers={"Authorization": f"Bearer {secret}"}).get("/api/v1/retraining/why")
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert (body["model_version"], body["run"], body["verdict"]) == ("orchard@2", promoted.pk, VERDICT)
    assert " ".join(body["sentences"]) == told(project)
    move = body["moves"][0]
    assert (move["previous"], move["by"], move["reason"]) == ("orchard@1", "ada", "better on places")


def test_a_candidate_that_was_judged_against_an_older_champion_says_so(
    promoted: TrainingRun, champion: ModelVersion, project: Project
) -> None:
    late = run_queue(project=project, actor=SYSTEM, reason="more corrections")
    TrainingRun.objects.filter(pk=late.pk).update(
        status="done", candidate=champion, start_from=champion, verdict=VERDICT, ended_at=Now()
    )
    why = why_serving(project=project)
    assert why is not None
    (attempt,) = why.attempts
    assert attempt.outcome == "orchard@1 passed the gate, and was not promoted"
    assert attempt.reasons == ["It was judged against orchard@1, which is champion no more."]


def test_a_project_that_nothing_serves_says_so(project: Project, office: Client) -> None:
    assert "No model serves this project" in page(office, project.slug)
    with pytest.raises(CommandError, match="No model serves"):
        call_command("model_why", project=project.slug)


def test_other_peoples_projects_are_not_there(champion: ModelVersion, owner: Client, mia: User) -> None:
    project_create(slug="secret", name="Secret", labels=[LabelDraft(name="per")], actor=SYSTEM)
    page(owner, "secret", status=404)
