"""A version in the shadow, from the back office: begun, looked at, given another share, ended."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from inference.models import ApiKey, Deployment, ModelVersion, Prediction, ShadowComparison, ShadowTest
from inference.services import api_key_create
from tests.backoffice.conftest import staff

pytestmark = pytest.mark.django_db


def begin(client: Client, version: ModelVersion) -> int:
    """Press the button on the version's page."""
    return client.post(
        reverse("admin:inference_modelversion_shadow", args=[version.pk]),
        {"project": "orchard", "reason": "how does it do on live texts?"},
    ).status_code


def page(client: Client, name: str, *args: object) -> str:
    answer = client.get(reverse(f"admin:inference_{name}", args=args))
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def shadow(owner: Client, candidate: ModelVersion) -> Deployment:
    """The candidate in the shadow."""
    assert begin(owner, candidate) == 302
    return Deployment.objects.get(slot="shadow")


@pytest.fixture
def compared(project: Project, shadow: Deployment) -> ShadowTest:
    """Two answers compared: one the same, one where the shadow says another label."""
    champion = Deployment.objects.get(slot="champion").version
    key, _ = api_key_create(project=project, name="caller", scopes=[ApiKey.Scope.PREDICT], actor=SYSTEM)
    test = ShadowTest.objects.create(
        project=project,
        champion=champion,
        shadow=shadow.version,
        started_at=timezone.now() - timedelta(hours=2),
        read_until=timezone.now(),
        compared=2,
        identical=1,
        agreement_sum=1.0,
        latency_ms_sum=3.0,
    )
    told = [{"start": 0, "end": 7, "label": "per", "text": "Bramley", "confidence": 0.9}]
    for text, agreement, label in (
        ("Bramley grows here.", 0.0, "cultivar"),
        ("Bramley is a name.", 1.0, "per"),
    ):
        prediction = Prediction.objects.create(
            project=project,
            version=champion,
            text=text,
            spans=told,
            uncertainty=0.1,
            latency_ms=1.0,
            slot="champion",
            api_key=key,
        )
        ShadowComparison.objects.create(
            test=test,
            prediction=prediction,
            spans=[told[0] | {"label": label}],
            agreement=agreement,
            latency_ms=1.5,
        )
    return test


def test_a_version_is_put_into_the_shadow_with_its_reason(owner: Client, candidate: ModelVersion) -> None:
    assert "Read in the shadow of Orchard" in page(owner, "modelversion_change", candidate.pk)
    assert begin(owner, candidate) == 302
    event = AuditEvent.objects.get(action="deployment.set", data__slot="shadow")
    assert (event.actor_name, event.reason) == ("mia", "how does it do on live texts?")
    again = page(owner, "modelversion_change", candidate.pk)
    assert "Reads in the shadow of Orchard" in again
    assert "Read in the shadow of Orchard" not in again


def test_it_takes_the_right_to_promote(client: Client, ana: User, candidate: ModelVersion) -> None:
    client.force_login(staff(ana))
    assert begin(client, candidate) == 403
    assert not Deployment.objects.filter(slot="shadow").exists()


def test_its_page_says_how_far_both_agree(owner: Client, shadow: Deployment, compared: ShadowTest) -> None:
    told = page(owner, "deployment_change", shadow.pk)
    assert "50.0 %" in told
    assert "answers compared" in told
    assert "It reads 10 % of the champion" in told


def test_before_the_first_answer_it_says_what_it_waits_for(owner: Client, shadow: Deployment) -> None:
    assert "Nothing is compared yet" in page(owner, "deployment_change", shadow.pk)


def test_disagreements_are_listed_and_read_side_by_side(owner: Client, compared: ShadowTest) -> None:
    listed = page(owner, "shadowcomparison_changelist")
    assert "Bramley grows here." in listed
    assert "Bramley is a name." not in listed
    everything = owner.get(reverse("admin:inference_shadowcomparison_changelist"), {"agreement": "all"})
    assert "Bramley is a name." in everything.content.decode()

    one = page(owner, "shadowcomparison_change", ShadowComparison.objects.get(agreement=0).pk)
    assert one.index("told the caller") < one.index("would have said")
    assert "cultivar" in one


def test_nobody_reads_them_of_a_project_that_is_not_theirs(
    client: Client, otto: User, compared: ShadowTest
) -> None:
    client.force_login(staff(otto))
    answer = client.get(reverse("admin:inference_shadowcomparison_changelist"), {"agreement": "all"})
    assert "Bramley" not in answer.content.decode()


def test_it_is_given_another_share(owner: Client, shadow: Deployment) -> None:
    owner.post(
        reverse("admin:inference_deployment_share", args=[shadow.pk]),
        {"share": "25", "generation": shadow.generation, "reason": "more"},
    )
    assert "It reads 25 % of the champion" in page(owner, "deployment_change", shadow.pk)


def test_the_slot_is_emptied_with_a_reason(owner: Client, shadow: Deployment, compared: ShadowTest) -> None:
    address = reverse("admin:inference_deployment_clear", args=[shadow.pk])
    owner.post(address, {"generation": shadow.generation, "reason": ""})
    assert Deployment.objects.filter(slot="shadow").exists()
    owner.post(address, {"generation": shadow.generation, "reason": "seen enough"})
    assert not Deployment.objects.filter(slot="shadow").exists()
    assert AuditEvent.objects.get(action="deployment.clear").reason == "seen enough"
    assert ShadowComparison.objects.count() == 2


def test_the_champions_slot_has_no_such_button(owner: Client, candidate: ModelVersion) -> None:
    champion = Deployment.objects.get(slot="champion")
    assert "Empty the slot" not in page(owner, "deployment_change", champion.pk)
