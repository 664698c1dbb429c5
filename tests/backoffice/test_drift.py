"""The page about drift: what has moved, drawn beside what it moved from, and what to do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from corpus.models import Project
from inference.models import ModelVersion
from ner.drift import Profile, drift
from ner.spans import Span
from retraining.models import DriftReference, DriftReport, RetrainPolicy
from tests.backoffice.conftest import staff

pytestmark = pytest.mark.django_db


def profile(sentence: str, label: str, count: int = 120) -> Profile:
    made = Profile()
    for number in range(count):
        made.add(sentence * (1 + number % 2), spans=[Span(0, 3, label)], confidence=0.97)
    return made


def report_make(
    version: ModelVersion, project: Project, *, today: Profile, source: str = "training"
) -> DriftReport:
    reference = profile("Ada went to London. ", "per")
    one = {"project": project, "version": version}
    measures = drift(reference, today)
    return DriftReport.objects.create(
        **one,
        reference=DriftReference.objects.create(
            **one, source=source, fingerprint=f"{timezone.now()}", profile=reference.to_json()
        ),
        window_from=timezone.now() - timedelta(hours=3),
        window_to=timezone.now(),
        texts=today.texts,
        measures=[{name: getattr(measure, name) for name in measure.__slots__} for measure in measures],
        drifted=[measure.name for measure in measures if measure.drifted],
        histograms={"length": today.length, "labels": today.labels, "confidence": today.confidence},
    )


@pytest.fixture
def drifted(champion: ModelVersion, project: Project) -> DriftReport:
    """Other words, and another label."""
    return report_make(champion, project, today=profile("Bob flew from Boston! ", "geo"))


def page(client: Client, report: DriftReport) -> str:
    answer = client.get(reverse("admin:retraining_driftreport_change", args=[report.pk]))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_it_says_what_has_drifted_and_draws_it(owner: Client, drifted: DriftReport) -> None:
    said = page(owner, drifted)
    assert "The texts have drifted: Vocabulary, Unknown words, Labels" in said
    assert said.count("<svg") == 3
    assert "Other things are found than before" in said
    assert "The texts are longer or shorter" not in said
    assert "<title>geo: 0 reference, 100 newest texts</title>" in said


def test_it_says_when_nothing_has(owner: Client, champion: ModelVersion, project: Project) -> None:
    said = page(owner, report_make(champion, project, today=profile("Ada went to London. ", "per")))
    assert "The newest texts are like those that orchard@1 was made from" in said


def test_of_a_bundled_model_it_says_that_this_is_no_alarm(
    owner: Client, champion: ModelVersion, project: Project
) -> None:
    report = report_make(champion, project, today=profile("Bob flew. ", "geo"), source="general")
    assert "drift is no alarm here" in page(owner, report)


def test_an_old_report_leads_to_the_newest(owner: Client, drifted: DriftReport, project: Project) -> None:
    newest = report_make(drifted.version, project, today=profile("Ada went to London. ", "per"))
    assert f"/{newest.pk}/change/" in page(owner, drifted)
    assert "The newest report" not in page(owner, newest)


def test_who_may_not_train_is_not_led_to_it(client: Client, ana: User, drifted: DriftReport) -> None:
    client.force_login(staff(ana, "view_driftreport"))
    assert "trainingrun/add" not in page(client, drifted)


def test_the_list_names_what_drifted(owner: Client, drifted: DriftReport) -> None:
    said = owner.get(reverse("admin:retraining_driftreport_changelist")).content.decode()
    assert "Vocabulary, Unknown words, Labels" in said


def test_the_policy_leads_to_it_and_explains_its_alarms(owner: Client, project: Project, run: object) -> None:
    policy = RetrainPolicy.objects.get(project=project)
    said = owner.get(reverse("admin:retraining_retrainpolicy_change", args=[policy.pk])).content.decode()
    assert "driftreport/?project=orchard" in said
    for word in (
        "Alarm on drift",
        "Nightly from",
        "Alarm when F1 falls by",
        "No more trainings start by themselves",
    ):
        assert word in said, word


def test_the_alarms_are_set_in_its_form(owner: Client, project: Project, run: object) -> None:
    policy = RetrainPolicy.objects.get(project=project)
    address = reverse("admin:retraining_retrainpolicy_change", args=[policy.pk])
    form = owner.get(address).context["adminform"].form
    values = {
        name: value
        for name, value in form.initial.items()
        if value not in (None, False) and name in form.fields
    }
    answer = owner.post(address, values | {"nightly_hour": "3", "max_f1_drop": ""})
    assert answer.status_code == 302
    policy.refresh_from_db()
    assert (policy.nightly_hour, policy.max_f1_drop, policy.on_drift) == (
        3,
        None,
        form.initial["on_drift"],
    )
