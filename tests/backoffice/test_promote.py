"""Promoting and rolling back from the back office."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from inference.models import Deployment, ModelVersion
from inference.services import deployment_set
from retraining.models import TrainingRun
from tests.backoffice.conftest import staff

pytestmark = pytest.mark.django_db


def promote(
    client: Client,
    version: ModelVersion,
    *,
    generation: int = 1,
    reason: str = "better",
    slug: str = "orchard",
) -> tuple[int, str]:
    """Press the button; the status of the answer, and what the next page says."""
    answer = client.post(
        reverse("admin:inference_modelversion_promote", args=[version.pk]),
        {"project": slug, "generation": generation, "reason": reason},
        follow=True,
    )
    return answer.status_code, answer.content.decode()


def serving(project: Project) -> ModelVersion:
    return Deployment.objects.get(project=project, slot="champion").version


def test_a_candidate_becomes_champion_with_its_reason_in_the_audit_log(
    owner: Client, candidate: ModelVersion, project: Project
) -> None:
    status, page = promote(owner, candidate, reason="knows Bramley")
    assert status == 200
    assert "orchard@2 is champion of Orchard" in page
    assert serving(project) == candidate
    event = AuditEvent.objects.get(action="version.promote")
    assert (event.actor_name, event.reason, event.data["to"]) == ("mia", "knows Bramley", "orchard@2")


def test_the_verdict_stands_above_the_button(owner: Client, candidate: ModelVersion) -> None:
    page = owner.get(reverse("admin:inference_modelversion_change", args=[candidate.pk])).content.decode()
    assert page.index("Passed the gate") < page.index("Promote orchard@2")
    assert "F1 0.60 -&gt; 0.72." in page


def test_asking_is_not_promoting(owner: Client, candidate: ModelVersion, project: Project) -> None:
    answer = owner.get(reverse("admin:inference_modelversion_promote", args=[candidate.pk]))
    assert answer.status_code == 405
    assert serving(project) != candidate


def test_a_reason_is_required(owner: Client, candidate: ModelVersion, project: Project) -> None:
    _, page = promote(owner, candidate, reason="  ")
    assert "reason is required" in page
    assert serving(project) != candidate


def test_a_page_that_shows_an_old_champion_changes_nothing(
    owner: Client, candidate: ModelVersion, project: Project
) -> None:
    Deployment.objects.filter(project=project).update(generation=2)
    _, page = promote(owner, candidate, generation=1)
    assert "champion was changed meanwhile" in page
    assert serving(project) != candidate


@pytest.mark.parametrize("generation", ["", "-1", "one", "9" * 40])
def test_a_generation_that_is_no_number_changes_nothing(
    owner: Client, candidate: ModelVersion, project: Project, generation: str
) -> None:
    answer = owner.post(
        reverse("admin:inference_modelversion_promote", args=[candidate.pk]),
        {"project": "orchard", "generation": generation, "reason": "x"},
    )
    assert answer.status_code == 302
    assert serving(project) != candidate


def test_a_refused_candidate_has_no_button_and_a_forged_press_is_refused(
    owner: Client, candidate: ModelVersion, run: TrainingRun, project: Project
) -> None:
    verdict = run.verdict or {}
    reasons = [{**verdict["reasons"][0], "passed": False, "message": "Label pest fell."}]
    TrainingRun.objects.filter(pk=run.pk).update(verdict={**verdict, "passed": False, "reasons": reasons})
    page = owner.get(reverse("admin:inference_modelversion_change", args=[candidate.pk])).content.decode()
    assert "Promote orchard@2" not in page
    assert "Refused by the gate" in page
    _, told = promote(owner, candidate)
    assert "The gate refused this candidate: Label pest fell." in told
    assert serving(project) != candidate


def test_pressing_twice_is_one_promotion(owner: Client, candidate: ModelVersion) -> None:
    promote(owner, candidate)
    promote(owner, candidate)
    assert AuditEvent.objects.filter(action="version.promote").count() == 1


def test_the_permission_alone_is_not_enough(
    sign_in: object, candidate: ModelVersion, otto: User, project: Project
) -> None:
    client = Client()
    client.force_login(staff(otto, "*"), backend="django.contrib.auth.backends.ModelBackend")
    status, _ = promote(client, candidate)
    assert status == 403
    assert serving(project) != candidate


def test_the_role_alone_is_not_enough(candidate: ModelVersion, mia: User, project: Project) -> None:
    client = Client()
    client.force_login(staff(mia, "view_modelversion"), backend="django.contrib.auth.backends.ModelBackend")
    status, _ = promote(client, candidate)
    assert status == 403
    assert serving(project) != candidate


def test_a_press_from_another_site_is_refused(ada: User, candidate: ModelVersion, project: Project) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ada, backend="django.contrib.auth.backends.ModelBackend")
    status, page = promote(client, candidate)
    assert status == 403
    assert "not sent from nerapp" in page
    assert serving(project) != candidate


def test_a_version_of_one_project_cannot_serve_another(
    office: Client, candidate: ModelVersion, ada: User
) -> None:
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    _, page = promote(office, candidate, slug="other", generation=0)
    assert "This version cannot serve this project" in page
    assert not Deployment.objects.filter(project=other).exists()


def test_roll_back_brings_the_earlier_version_back_in_one_click(
    owner: Client, champion: ModelVersion, candidate: ModelVersion, project: Project
) -> None:
    promote(owner, candidate)
    slot = Deployment.objects.get(project=project, slot="champion")
    page = owner.get(reverse("admin:inference_modelversion_change", args=[candidate.pk])).content.decode()
    assert "Roll back to orchard@1" in page
    answer = owner.post(
        reverse("admin:inference_deployment_roll_back", args=[slot.pk]),
        {"generation": slot.generation, "reason": "callers complain"},
        follow=True,
    )
    assert "orchard@1 is champion again" in answer.content.decode()
    assert serving(project) == champion
    event = AuditEvent.objects.get(action="version.roll_back")
    assert (event.actor_name, event.reason) == ("mia", "callers complain")


def test_a_stale_roll_back_changes_nothing(
    owner: Client, candidate: ModelVersion, deployment: Deployment, project: Project
) -> None:
    promote(owner, candidate)
    owner.post(
        reverse("admin:inference_deployment_roll_back", args=[deployment.pk]),
        {"generation": 1, "reason": "an old page"},
    )
    assert serving(project) == candidate


def share(client: Client, slot: Deployment, share: str, **changed: str) -> str:
    answer = client.post(
        reverse("admin:inference_deployment_share", args=[slot.pk]),
        {"generation": slot.generation, "share": share, "reason": "a quiet start"} | changed,
        follow=True,
    )
    return answer.content.decode()


@pytest.fixture
def challenger(project: Project, candidate: ModelVersion) -> Deployment:
    return deployment_set(
        project=project, slot="challenger", version=candidate, actor=SYSTEM, reason="to be tried"
    )


def test_a_challenger_is_given_a_share_of_the_callers(owner: Client, challenger: Deployment) -> None:
    assert (
        "Give this share"
        in owner.get(reverse("admin:inference_deployment_change", args=[challenger.pk])).content.decode()
    )
    page = share(owner, challenger, "7,5 %")
    assert "The new share holds within 5 seconds." in page
    challenger.refresh_from_db()
    assert challenger.share == 7.5
    assert AuditEvent.objects.get(action="deployment.share").actor_name == "mia"
    assert "92.5 %" in page


@pytest.mark.parametrize(
    ("typed", "said"),
    [("a lot", "0 to 100 percent"), ("101", "0 to 100 percent"), ("nan", "0 to 100 percent")],
)
def test_a_share_that_is_none_is_refused_in_a_sentence(
    owner: Client, challenger: Deployment, typed: str, said: str
) -> None:
    assert said in share(owner, challenger, typed)
    challenger.refresh_from_db()
    assert challenger.share is None


def test_a_share_given_on_an_old_page_changes_nothing(owner: Client, challenger: Deployment) -> None:
    share(owner, challenger, "5")
    share(owner, challenger, "50")
    challenger.refresh_from_db()
    assert challenger.share == 5
