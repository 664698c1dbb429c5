"""A rollout from the back office: begun, looked at, paused, approved, taken back."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from inference.models import Deployment, ModelVersion, ShadowTest
from inference.selectors import shares_in
from retraining.models import Rollout, RolloutPolicy
from retraining.services import rollout_policy_change, rollouts_check
from tests.backoffice.conftest import staff

pytestmark = pytest.mark.django_db


def address(act: str, *args: object) -> str:
    return reverse(f"admin:retraining_rollout_{act}", args=args)


@pytest.fixture
def rollout(owner: Client, project: Project, candidate: ModelVersion) -> Rollout:
    """The candidate, begun with the form."""
    rollout_policy_change(project=project, actor=SYSTEM, min_seconds=0, min_samples=10)
    body = {"project": project.pk, "version": candidate.pk, "reason": "better on pests"}
    assert owner.post(address("add"), body).status_code == 302
    return Rollout.objects.get()


def looked(client: Client, rollout: Rollout) -> str:
    answer = client.get(address("change", rollout.pk))
    assert answer.status_code == 200
    return answer.content.decode()


def compared(rollout: Rollout, agreement: float = 0.9) -> None:
    ShadowTest.objects.create(
        project=rollout.project,
        champion=rollout.champion,
        shadow=rollout.version,
        read_until=rollout.started_at,
        compared=50,
        agreement_sum=50 * agreement,
    )


def test_the_page_of_a_version_leads_to_its_rollout(
    owner: Client, project: Project, candidate: ModelVersion
) -> None:
    page = owner.get(reverse("admin:inference_modelversion_change", args=[candidate.pk])).content.decode()
    target = f"{address('add')}?project={project.pk}&amp;version={candidate.pk}"
    assert target in page
    form = owner.get(target.replace("&amp;", "&")).content.decode()
    assert f'<option value="{candidate.pk}" selected>' in form


def test_it_says_where_it_is_what_it_waits_for_and_what_was_measured(owner: Client, rollout: Rollout) -> None:
    page = looked(owner, rollout)
    assert "reads what orchard@1 answers, and answers nobody" in page
    assert "Nobody has looked yet" in page
    rollouts_check()
    page = looked(owner, rollout)
    assert "0 of 10 comparisons" in page
    assert 'aria-current="step"' in page
    compared(rollout)
    rollouts_check()
    page = looked(owner, rollout)
    assert "orchard@2 answers 5 % of the callers, orchard@1 the others" in page
    assert "Agreement with the champion" in page  # what was measured when it went on
    assert "90" in page


def test_what_was_decided_is_said_in_the_readers_language(owner: Client, rollout: Rollout) -> None:
    rollouts_check()
    assert "It waits: " in looked(owner, rollout)
    owner.cookies["language"] = "de"
    assert "0 von 10 Vergleichen, und zurzeit kommt nichts hinzu" in looked(owner, rollout)
    compared(rollout)
    rollouts_check()
    event = AuditEvent.objects.get(action="rollout.advance")
    assert event.reason == "within every limit in the shadow", "the record is as it was decided"
    page = looked(owner, rollout)
    assert "<p>innerhalb aller Grenzen im Schatten</p>" in page
    assert "sie stimmt mit dem Champion zu 90 % überein" in page, "what was measured then"


def test_a_person_pauses_resumes_and_takes_it_back(owner: Client, rollout: Rollout) -> None:
    assert owner.post(address("pause", rollout.pk), {"reason": "a holiday"}).status_code == 302
    assert "Paused" in looked(owner, rollout)
    owner.post(address("resume", rollout.pk))
    compared(rollout)
    rollouts_check()
    assert shares_in(rollout.project) == {"challenger": 5.0, "champion": 95.0}
    answer = owner.post(address("roll_back", rollout.pk), {"reason": "a caller complained"}, follow=True)
    assert "taken back; every caller gets the champion of before within 5 seconds" in answer.content.decode()
    assert [one.slot for one in Deployment.objects.all()] == ["champion"]
    assert AuditEvent.objects.get(action="rollout.roll_back").reason == "a caller complained"
    page = looked(owner, rollout)
    assert "Take it back" not in page
    assert "Rolled back" in page


def test_an_approval_is_for_what_the_page_showed(
    owner: Client, project: Project, candidate: ModelVersion
) -> None:
    rollout_policy_change(
        project=project, actor=SYSTEM, min_seconds=0, min_samples=10, approval="each", steps=[0, 5, 100]
    )
    owner.post(address("add"), {"project": project.pk, "version": candidate.pk, "reason": "x"})
    rollout = Rollout.objects.get()
    compared(rollout)
    rollouts_check()
    rollout.refresh_from_db()
    assert "Approve 5 %" in looked(owner, rollout)
    stale: Any = {"generation": rollout.generation - 1}
    answer = owner.post(address("approve", rollout.pk), stale, follow=True)
    assert "has changed meanwhile" in answer.content.decode()
    owner.post(address("approve", rollout.pk), {"generation": rollout.generation})
    rollout.refresh_from_db()
    assert rollout.share == 5


def test_what_is_refused_is_told_on_the_form(owner: Client, rollout: Rollout) -> None:
    body = {"project": rollout.project_id, "version": rollout.version_id, "reason": "again"}
    answer = owner.post(address("add"), body)
    assert answer.status_code == 200
    assert "orchard@2 is being rolled out" in answer.content.decode()


def test_who_may_only_look_sees_no_buttons(client: Client, rollout: Rollout, ana: User) -> None:
    client.force_login(staff(ana, "view_rollout"))
    page = looked(client, rollout)
    assert "Take it back" not in page
    assert "Rollout of" in page


def test_a_policy_is_changed_with_a_line_in_the_audit_log(owner: Client, project: Project) -> None:
    rollouts_check()
    policy = RolloutPolicy.objects.get(project=project)
    page = reverse("admin:retraining_rolloutpolicy_change", args=[policy.pk])
    form = owner.get(page).context["adminform"].form
    body = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    body["steps"] = "0,10,100"
    assert owner.post(page, {**body, "min_samples": 77}).status_code == 302
    policy.refresh_from_db()
    assert (policy.steps, policy.min_samples) == ([0, 10, 100], 77)
    event = AuditEvent.objects.get(action="rollout_policy.change")
    assert event.data == {"steps": [0, 10, 100], "min_samples": 77}
    answer = owner.post(page, {**body, "steps": "10,5,100"})
    assert "Steps rise from one to the next" in answer.content.decode()
