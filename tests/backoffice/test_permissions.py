"""Who may open which page of the back office, and press which button."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib import admin
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import Q
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Document, Project
from corpus.services import LabelDraft, project_create
from feedback.models import Correction, GoldItem, Opinion, Rating
from inference.models import (
    ApiKey,
    Deployment,
    ModelVersion,
    Prediction,
    PredictionJob,
    ShadowComparison,
    ShadowTest,
)
from inference.services import api_key_create
from labeling.models import Assignment, Task
from ner.drift import Profile
from retraining.models import (
    DriftReference,
    DriftReport,
    Experiment,
    RetrainDecision,
    RetrainPolicy,
    Rollout,
    RolloutPolicy,
    TrainingRun,
    TrainingSet,
)
from retraining.services import experiment_create, rollout_start, rollouts_check
from tests.backoffice.conftest import staff
from webhooks.models import Channel, Delivery, EventKind, PlannedChange, Webhook
from webhooks.services import channel_create, planned_change_create, webhook_create, webhook_test

pytestmark = pytest.mark.django_db

PAGES = (
    Project,
    Document,
    ModelVersion,
    Deployment,
    Prediction,
    PredictionJob,
    ShadowComparison,
    ApiKey,
    Task,
    Correction,
    TrainingRun,
    RetrainPolicy,
    RetrainDecision,
    TrainingSet,
    DriftReport,
    Rollout,
    RolloutPolicy,
    Experiment,
    Webhook,
    Channel,
    PlannedChange,
    Delivery,
    AuditEvent,
)
#: name -> (permission, the row it needs, what is sent). Each also needs a role in the project.
ACTS: dict[str, tuple[str, type[Any], dict[str, Any]]] = {
    "inference_modelversion_promote": (
        "promote_modelversion",
        ModelVersion,
        {"project": "orchard", "generation": "1", "reason": "x"},
    ),
    "inference_deployment_roll_back": (
        "promote_modelversion",
        Deployment,
        {"generation": "1", "reason": "x"},
    ),
    "inference_deployment_share": (
        "promote_modelversion",
        Deployment,
        {"generation": "1", "share": "5", "reason": "x"},
    ),
    "inference_modelversion_shadow": (
        "promote_modelversion",
        ModelVersion,
        {"project": "orchard", "reason": "x"},
    ),
    "inference_deployment_clear": (
        "promote_modelversion",
        Deployment,
        {"generation": "1", "reason": "x"},
    ),
    "inference_apikey_revoke": ("change_apikey", ApiKey, {"reason": "x"}),
    "webhooks_webhook_edit": ("change_webhook", Webhook, {}),
    "webhooks_webhook_test": ("change_webhook", Webhook, {}),
    "webhooks_webhook_rotate": ("change_webhook", Webhook, {}),
    "webhooks_webhook_switch_off": ("change_webhook", Webhook, {"reason": "x"}),
    "webhooks_webhook_switch_on": ("change_webhook", Webhook, {}),
    "webhooks_channel_edit": ("change_channel", Channel, {}),
    "webhooks_channel_test": ("change_channel", Channel, {}),
    "webhooks_channel_switch_off": ("change_channel", Channel, {"reason": "x"}),
    "webhooks_channel_switch_on": ("change_channel", Channel, {}),
    "webhooks_plannedchange_end": ("change_plannedchange", PlannedChange, {}),
    "webhooks_delivery_resend": ("change_webhook", Delivery, {}),
    "retraining_experiment_start": ("promote_modelversion", Experiment, {"reason": "x"}),
    "retraining_experiment_stop": ("promote_modelversion", Experiment, {"reason": "x"}),
    "retraining_experiment_conclude": ("promote_modelversion", Experiment, {"reason": "x"}),
    "retraining_trainingrun_cancel": ("cancel_trainingrun", TrainingRun, {}),
    "retraining_rollout_approve": ("promote_modelversion", Rollout, {"generation": "1"}),
    "retraining_rollout_pause": ("promote_modelversion", Rollout, {"reason": "x"}),
    "retraining_rollout_resume": ("promote_modelversion", Rollout, {}),
    "retraining_rollout_roll_back": ("promote_modelversion", Rollout, {"reason": "x"}),
    "corpus_project_labels": ("revise_labelset", Project, {}),
    "corpus_project_people": ("change_membership", Project, {}),
}


@pytest.fixture
def everything(run: TrainingRun, project: Project, settings: LazySettings) -> None:
    """A row of each kind."""
    key, _ = api_key_create(project=project, name="importer", scopes=["predict"], actor=SYSTEM)
    PredictionJob.objects.create(
        project=project,
        api_key=key,
        version=ModelVersion.objects.latest("pk"),
        size_bytes=8,
        options={},
        layout={"format": "text"},
        rules={},
        position=4,
    )
    test = ShadowTest.objects.create(
        project=project,
        champion=ModelVersion.objects.earliest("pk"),
        shadow=ModelVersion.objects.latest("pk"),
        read_until=timezone.now(),
    )
    prediction = Prediction.objects.order_by("pk").last()
    ShadowComparison.objects.create(test=test, prediction=prediction, agreement=0.5, latency_ms=1.0)
    one = {"project": project, "version": ModelVersion.objects.earliest("pk")}
    DriftReport.objects.create(
        **one,
        reference=DriftReference.objects.create(**one, source="training", profile=Profile().to_json()),
        window_from=timezone.now(),
        window_to=timezone.now(),
        texts=100,
        measures=[],
        histograms={},
    )
    rollout_start(project=project, version=ModelVersion.objects.latest("pk"), actor=SYSTEM, reason="x")
    rollouts_check()
    arms = [(ModelVersion.objects.latest("pk"), 10.0)]
    experiment_create(project=project, question="Is it better?", arms=arms, actor=SYSTEM)
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.1/32")]
    webhook, _ = webhook_create(
        project=project, name="shop", url="https://127.0.0.1/", kinds=EventKind.values, actor=SYSTEM
    )
    webhook_test(webhook=webhook, actor=SYSTEM)
    channel_create(
        project=project,
        name="on call",
        form="slack",
        url="https://127.0.0.1/services/xyzzy",
        language="en",
        kinds=[EventKind.PROMOTED],
        actor=SYSTEM,
    )
    planned_change_create(
        project=project,
        begins_at=timezone.now(),
        ends_at=timezone.now() + timedelta(hours=1),
        reason="moving house",
        actor=SYSTEM,
    )


def lists(model: type[Any]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def newest(model: type[Any]) -> Any:
    """The last row that has a page of this kind: webhooks and channels share a table."""
    rows = getattr(admin.site._registry[model], "rows", Q())
    return model.objects.filter(rows).order_by("pk").last()


def page(model: type[Any]) -> str:
    row = newest(model)
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])


def test_no_page_is_forgotten() -> None:
    ours = {model for model in admin.site._registry if model._meta.app_label not in {"auth", "axes"}}
    assert ours - set(PAGES) == {Rating, Opinion, GoldItem, Assignment}


def statuses(client: Client, address: Callable[[type[Any]], str]) -> dict[str, int]:
    """What each page answers, by the name of its model."""
    return {model._meta.label: client.get(address(model)).status_code for model in PAGES}


def all_are(status: int) -> dict[str, int]:
    return {model._meta.label: status for model in PAGES}


def test_strangers_are_sent_to_sign_in(everything: None) -> None:
    for address in [*map(lists, PAGES), *map(page, PAGES), reverse("admin:index")]:
        answer = Client().get(address)
        assert answer.status_code == 302, address
        assert "/login/" in answer.headers["Location"], address


def test_an_account_that_is_not_staff_is_told_so(
    everything: None, ana: User, sign_in: Callable[[User], Client]
) -> None:
    client = sign_in(ana)
    for model in PAGES:
        assert client.get(lists(model), follow=True).status_code == 403, model


def test_staff_without_a_permission_sees_nothing(
    everything: None, mia: User, sign_in: Callable[[User], Client]
) -> None:
    client = sign_in(staff(mia))
    assert statuses(client, lists) == all_are(403)
    assert statuses(client, page) == all_are(403)


def test_staff_with_the_permissions_sees_lists_rows_and_their_history(
    everything: None, owner: Client
) -> None:
    assert statuses(owner, lists) == all_are(200)
    assert statuses(owner, page) == all_are(200)
    assert statuses(owner, lambda model: page(model).replace("/change/", "/history/")) == all_are(200)


def test_rows_of_other_projects_are_not_found(
    everything: None, otto: User, sign_in: Callable[[User], Client]
) -> None:
    client = sign_in(staff(otto, "*"))
    for model in PAGES:
        if model is AuditEvent:  # reading the audit log is a right over all projects
            continue
        assert not client.get(lists(model)).context["cl"].queryset.exists(), model
        # Django's admin answers a row that is not in the queryset with a redirect to the overview.
        assert client.get(page(model)).status_code == 302, model


def test_nothing_is_deleted_here(everything: None, office: Client) -> None:
    for model in PAGES:
        address = page(model).replace("/change/", "/delete/")
        assert office.post(address, {"post": "yes"}).status_code == 403, model


def test_an_act_needs_its_permission_and_a_role_in_the_project(
    everything: None, mia: User, otto: User, ana: User, sign_in: Callable[[User], Client]
) -> None:
    others = [f"view_{model._meta.model_name}" for _, model, _ in ACTS.values()]
    before = AuditEvent.objects.count()
    for name, (codename, model, body) in ACTS.items():
        address = reverse(f"admin:{name}", args=[newest(model).pk])
        assert Client().post(address, body).status_code == 302, name
        assert sign_in(staff(mia, *others)).post(address, body).status_code == 403, name
        assert sign_in(staff(otto, *others, codename)).post(address, body).status_code == 403, name
        assert sign_in(staff(ana, *others, codename)).post(address, body).status_code == 403, name
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize(
    "name",
    [
        "retraining_trainingrun_add",
        "retraining_rollout_add",
        "inference_apikey_add",
        "webhooks_webhook_add",
        "webhooks_channel_add",
    ],
)
def test_making_something_needs_a_role_in_that_project(
    name: str, everything: None, ana: User, otto: User, sign_in: Callable[[User], Client], project: Project
) -> None:
    body = {"project": project.pk, "reason": "x", "name": "n", "scopes": ["predict"], "rate_per_hour": 10}
    body |= {"version": ModelVersion.objects.latest("pk").pk}
    body |= {"url": "https://127.0.0.1/", "kinds": [EventKind.PROMOTED]}
    body |= {"form": "slack", "language": "en"}
    before = AuditEvent.objects.count()
    assert sign_in(staff(ana)).get(reverse(f"admin:{name}")).status_code == 403
    assert sign_in(staff(ana, "*")).post(reverse(f"admin:{name}"), body).status_code == 403
    # Otto's form does not even know the project.
    assert sign_in(staff(otto, "*")).post(reverse(f"admin:{name}"), body).status_code == 200
    assert AuditEvent.objects.count() == before


def test_a_deactivated_person_is_out_with_the_next_request(
    owner: Client, mia: User, run: TrainingRun
) -> None:
    assert owner.get(reverse("admin:index")).status_code == 200
    User.objects.filter(pk=mia.pk).update(is_active=False)
    assert owner.get(reverse("admin:index")).status_code == 302


def test_lists_ask_the_database_few_questions(
    office: Client, everything: None, django_assert_max_num_queries: Any
) -> None:
    for model in PAGES:
        with django_assert_max_num_queries(16):
            office.get(lists(model))


def test_the_overview_does_not_ask_more_for_more_projects(
    office: Client, everything: None, django_assert_num_queries: Any
) -> None:
    office.get(reverse("admin:index"))
    with CaptureQueriesContext(connection) as one:
        office.get(reverse("admin:index"))
    for place in range(5):
        project_create(slug=f"p{place}", name=f"P{place}", labels=[LabelDraft(name="per")], actor=SYSTEM)
    with django_assert_num_queries(len(one)):
        office.get(reverse("admin:index"))


def test_odd_questions_are_no_errors_of_ours(office: Client, everything: None) -> None:
    for query in ("q=%00", "o=999", "p=-1", "created_by__password__startswith=a"):
        for model in PAGES:
            assert office.get(f"{lists(model)}?{query}").status_code in {200, 302, 400}, (model, query)
