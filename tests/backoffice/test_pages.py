"""What the pages of the back office say, and that what they change goes through the use cases."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import LabelSet, Membership, Project
from feedback.models import Correction, QualityEstimate
from feedback.services import quality_estimate
from inference.models import ModelVersion
from inference.selectors import deployment_of
from inference.services import version_register
from labeling.models import Task
from ner.errors import BundleNotFinite
from ner.gate import refuse_bundle
from nerapp.templatetags.look import label_classes
from retraining.models import RetrainPolicy, TrainingRun, TrainingRunEvent
from retraining.services import run_queue
from tests.bundles import WORDS, tiny_bundle
from tests.factories import document_make

pytestmark = pytest.mark.django_db


def text(client: Client, name: str, *arguments: object) -> str:
    """The words of a page, without line breaks."""
    answer = client.get(reverse(f"admin:{name}", args=arguments))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


# --- Overview ---


def test_the_overview_answers_four_questions(office: Client, run: TrainingRun) -> None:
    page = text(office, "index")
    for question in (
        "Is serving healthy?",
        "How good is the champion now?",
        "What waits for people?",
        "What is the machine learning?",
    ):
        assert question in page
    assert "orchard@2</a> of Orchard is +12.0 points better and waits to be promoted" in page
    assert "not due: no new corrections" in page.lower()
    assert "of 3 decisions" in page  # two kept, one rejected


def test_the_overview_of_a_fresh_installation_teaches(office: Client) -> None:
    assert "There is no project yet" in text(office, "index")


def test_a_project_without_a_champion_is_pointed_at(office: Client, project: Project) -> None:
    assert "Orchard answers nobody until" in text(office, "index")


def test_a_missing_worker_is_said_on_every_page(office: Client, project: Project) -> None:
    page = text(office, "index")
    assert "No worker is running." in page
    assert "<code>make run</code>" in page


# --- Projects, labels, people ---


def begin(office: Client, **given: str) -> Any:
    return office.post(reverse("labeling:project_new"), {"name": "Letters", "labels": "per Person", **given})


def test_a_project_is_made_with_its_labels_and_its_maker_as_admin(office: Client, ada: User) -> None:
    answer = begin(office, labels="per Person\ngeo Place\n\n")
    project = Project.objects.get(slug="letters")
    assert answer.headers["Location"] == reverse("labeling:project", args=["letters"])
    labels = LabelSet.objects.get(project=project).labels.all()
    assert [(label.name, label.title) for label in labels] == [("per", "Person"), ("geo", "Place")]
    assert project.memberships.get().role == Membership.Role.ADMIN
    actions = AuditEvent.objects.filter(chain="letters").order_by("number").values_list("action", flat=True)
    assert list(actions) == ["label_set.revise", "project.create", "membership.change"]


def test_a_bundled_model_answers_a_new_project_from_the_start(office: Client, tmp_path: Path) -> None:
    bundled = version_register(
        path=tiny_bundle(tmp_path / "tiny", WORDS), name="tiny", origin="bundled", actor=SYSTEM
    )
    page = office.get(reverse("labeling:project_new"))
    form = page.context["form"]
    assert form["version"].initial == bundled.pk
    assert form["labels"].initial.splitlines()[0].split()[0] in bundled.labels
    begin(office, version=str(bundled.pk))
    assert deployment_of(Project.objects.get()).version == bundled  # type: ignore[union-attr]


def test_a_model_of_another_project_is_no_beginning(office: Client, champion: ModelVersion) -> None:
    assert begin(office, version=str(champion.pk)).status_code == 200
    assert not Project.objects.filter(slug="letters").exists()


def test_a_name_gives_the_short_name_unless_somebody_has_it(office: Client) -> None:
    for name in ("Letters", "Letters", "手紙"):
        begin(office, name=name)
    assert list(Project.objects.order_by("pk").values_list("slug", flat=True)) == [
        "letters",
        "letters-2",
        "project",
    ]
    answer = begin(office, slug="letters")
    assert "A project named letters exists already." in answer.content.decode()


def test_the_back_office_leads_to_the_page_where_projects_begin(office: Client) -> None:
    answer = office.get(reverse("admin:corpus_project_add"))
    assert answer.headers["Location"] == reverse("labeling:project_new")


@pytest.mark.parametrize("labels", ["", "O", "B-per", "per\nPER", "a<b", "per\u202e", "x" * 51])
def test_a_project_with_labels_that_make_no_sense_is_not_made(office: Client, labels: str) -> None:
    assert begin(office, labels=labels).status_code == 200
    assert not Project.objects.exists()


def test_settings_change_through_the_use_case(office: Client, project: Project) -> None:
    office.post(
        reverse("admin:corpus_project_change", args=[project.pk]),
        {
            **{"name": "Orchards", "description": "", "random_share": "0.3", "diverse_share": "0.2"},
            **{"traffic_share": "0.01", "traffic_bar": "0.5", "traffic_daily_limit": "200"},
        },
    )
    project.refresh_from_db()
    assert (project.name, project.random_share) == ("Orchards", 0.3)
    event = AuditEvent.objects.get(action="project.change")
    assert event.data == {"changed": ["name", "random_share"]}


def test_the_history_of_a_project_says_what_changed_and_keeps_its_secret(
    office: Client, project: Project
) -> None:
    Project.objects.filter(pk=project.pk).update(name="Past the service")
    page = text(office, "corpus_project_history", project.pk)
    assert "<td>name</td> <td>Orchard</td> <td>Past the service</td>" in page
    assert project.hash_key not in page
    assert project.hash_key not in text(office, "corpus_project_change", project.pk)


def test_a_label_change_makes_a_revision_and_leaves_the_old_one_alone(
    office: Client, project: Project
) -> None:
    address = reverse("admin:corpus_project_labels", args=[project.pk])
    form = office.get(address).context["formset"]
    rows = [row.initial for row in form.initial_forms]
    rows[0] = {**rows[0], "title": "Place on Earth"}
    rows.append({"name": "river", "title": "River"})
    body: dict[str, object] = {
        "form-TOTAL_FORMS": len(rows),
        "form-INITIAL_FORMS": len(rows) - 1,
        "reason": "rivers",
    }
    for place, row in enumerate(rows):
        body |= {f"form-{place}-{name}": value for name, value in row.items() if value not in {None, False}}
    assert office.post(address, body).status_code == 302
    first, second = LabelSet.objects.filter(project=project).order_by("revision")
    assert "river" not in set(first.labels.values_list("name", flat=True))
    assert second.labels.get(name="river").title == "River"
    assert second.labels.get(name="geo").title == "Place on Earth"
    assert AuditEvent.objects.filter(action="label_set.revise")[0].reason == "rivers"


def test_two_labels_of_one_name_are_refused(office: Client, project: Project) -> None:
    body = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 0, "form-0-name": "per", "form-1-name": "PER"}
    answer = office.post(reverse("admin:corpus_project_labels", args=[project.pk]), body)
    assert b"Two labels have the same name" in answer.content
    assert LabelSet.objects.count() == 1


def test_people_come_and_go_with_a_line_in_the_audit_log(
    office: Client, project: Project, otto: User
) -> None:
    office.post(
        reverse("admin:corpus_project_people", args=[project.pk]), {"user": otto.pk, "role": "reviewer"}
    )
    membership = project.memberships.get(user=otto)
    assert "otto" in text(office, "corpus_project_change", project.pk)
    office.post(reverse("admin:corpus_project_person_end", args=[project.pk, membership.pk]))
    assert not project.memberships.filter(user=otto).exists()
    assert AuditEvent.objects.filter(action="membership.end").count() == 1


def test_an_account_is_made_and_changed_with_a_line_in_the_audit_log(office: Client, otto: User) -> None:
    office.post(
        reverse("admin:auth_user_add"),
        {
            "username": "new",
            "usable_password": "true",
            "password1": "a long pass word",
            "password2": "a long pass word",
        },
    )
    assert AuditEvent.objects.get(action="person.create").data["name"] == "new"
    office.post(
        reverse("admin:auth_user_change", args=[otto.pk]), {"username": "otto", "is_active": "", "groups": []}
    )
    otto.refresh_from_db()
    assert not otto.is_active
    assert AuditEvent.objects.get(action="person.change").subject == f"auth.user:{otto.pk}"


# --- Texts and what was said about them ---


def test_a_correction_shows_its_text_its_decisions_and_its_audit_line(
    office: Client, correction: Correction
) -> None:
    page = text(office, "feedback_correction_change", correction.pk)
    assert 'Ada Lovelace<span class="tag">per</span></mark>' in page
    assert "Rejected" in page
    assert "correction.submit by ana" in page


def test_a_text_with_markup_is_text(office: Client, project: Project) -> None:
    document = document_make(project, '<script>window.__xss=1</script> & <b>"bold"</b>')
    page = text(office, "corpus_document_change", document.pk)
    assert "<script>window" not in page
    assert "&lt;script&gt;" in page


def test_a_task_leads_into_the_workbench(office: Client, correction: Correction) -> None:
    task = Task.objects.get()
    assert f"/projects/orchard/review/?task={task.pk}" in text(office, "labeling_task_change", task.pk)


# --- Versions ---


def test_a_version_page_reads_like_a_card(office: Client, candidate: ModelVersion, run: TrainingRun) -> None:
    page = text(office, "inference_modelversion_change", candidate.pk)
    order = [
        "Passed the gate: F1 +12.0 points against orchard@1, between +6.0 and +18.0",
        "Bring it to callers",
        "Project test set",
        "Where it comes from",
    ]
    assert [page.index(words) for words in order] == sorted(page.index(words) for words in order)
    assert "<svg" in page
    assert "On average it is off by" in page
    assert f"run {run.pk}</a>" in page
    assert "style=" not in page


def test_the_errors_of_a_version_are_read_in_their_texts(
    office: Client, candidate: ModelVersion, settings: object, tmp_path: Path
) -> None:
    gold = {"text": "Ada Lovelace moved to Paris.", "spans": [{"start": 22, "end": 27, "label": "geo"}]}
    (tmp_path / "general.jsonl").write_text(json.dumps(gold) + "\n", "utf-8")
    settings.CORPORA_DIR = tmp_path  # type: ignore[attr-defined]
    answer = office.get(
        reverse("admin:inference_modelversion_errors", args=[candidate.pk]), {"set": "general"}
    )
    page = " ".join(answer.content.decode().split())
    assert "Missed" in page
    assert "Paris [geo]" in page


def test_a_version_without_an_exam_says_so(office: Client, champion: ModelVersion) -> None:
    answer = office.get(reverse("admin:inference_modelversion_errors", args=[champion.pk]))
    assert b"No texts to look at" in answer.content


# --- Learning ---


def test_retrain_now_asks_for_a_reason_and_queues_a_run(
    owner: Client, correction: Correction, project: Project
) -> None:
    address = reverse("admin:retraining_trainingrun_add")
    assert b"errorlist" in owner.post(address, {"project": project.pk, "reason": ""}).content
    owner.post(address, {"project": project.pk, "reason": "new cultivars"})
    run = TrainingRun.objects.get()
    assert (run.status, run.reason, str(run.requested_by)) == ("queued", "new cultivars", "mia")
    assert AuditEvent.objects.get(action="run.queue").actor_name == "mia"


def test_retraining_without_a_correction_is_refused_in_a_sentence(
    owner: Client, champion: ModelVersion, project: Project
) -> None:
    answer = owner.post(
        reverse("admin:retraining_trainingrun_add"), {"project": project.pk, "reason": "why not"}
    )
    assert b"no corrections to learn from yet" in answer.content


def test_a_run_is_watched_live(owner: Client, correction: Correction, project: Project) -> None:
    run = run_queue(project=project, actor=SYSTEM, reason="a test")
    address = reverse("admin:retraining_trainingrun_progress", args=[run.pk])
    first = owner.get(address).json()
    assert (first["status"], first["is_active"], len(first["lines"])) == ("queued", True, 1)
    TrainingRunEvent.objects.create(run=run, message="Epoch 1: loss 0.5")
    TrainingRun.objects.filter(pk=run.pk).update(
        progress={"step": 5, "total": 10, "dev_f1": 0.5, "loss": 0.4}
    )
    second = owner.get(address, {"after": first["lines"][-1]["id"]}).json()
    assert [line["message"] for line in second["lines"]] == ["Epoch 1: loss 0.5"]
    assert second["progress"]["step"] == 5
    for odd in ("", "-1", "x", "9" * 30):
        assert owner.get(address, {"after": odd}).status_code == 200


def test_a_run_is_stopped_by_a_button(owner: Client, correction: Correction, project: Project) -> None:
    run = run_queue(project=project, actor=SYSTEM, reason="a test")
    assert f"Stop run {run.pk}" in text(owner, "retraining_trainingrun_change", run.pk)
    owner.post(reverse("admin:retraining_trainingrun_cancel", args=[run.pk]))
    run.refresh_from_db()
    assert run.status == TrainingRun.Status.CANCELLED
    assert AuditEvent.objects.get(action="run.cancel").actor_name == "mia"


def test_a_finished_run_shows_how_it_learned_and_its_verdict(owner: Client, run: TrainingRun) -> None:
    page = text(owner, "retraining_trainingrun_change", run.pk)
    assert "Passed the gate" in page
    assert "F1 on the tuning texts after each pass" in page
    assert "data-run=" not in page


def test_a_policy_changes_through_the_use_case(owner: Client, run: TrainingRun, project: Project) -> None:
    policy = RetrainPolicy.objects.get(project=project)
    address = reverse("admin:retraining_retrainpolicy_change", args=[policy.pk])
    form = owner.get(address).context["adminform"].form
    body = {name: value for name, value in form.initial.items() if value not in {None, False}}
    assert owner.post(address, {**body, "new_corrections": 50}).status_code == 302
    policy.refresh_from_db()
    assert policy.new_corrections == 50
    event = AuditEvent.objects.get(action="policy.change")
    assert (event.actor_name, event.data) == ("mia", {"new_corrections": 50})
    assert "50" in text(owner, "retraining_retrainpolicy_history", policy.pk)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("margin", "nan"),
        ("margin", "2"),
        ("new_corrections", "0"),
        ("max_ece", "2"),
        ("max_golden_lost", "-1"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_on_its_field(
    owner: Client, run: TrainingRun, project: Project, field: str, value: str
) -> None:
    policy = RetrainPolicy.objects.get(project=project)
    address = reverse("admin:retraining_retrainpolicy_change", args=[policy.pk])
    form = owner.get(address).context["adminform"].form
    body = {name: kept for name, kept in form.initial.items() if kept not in {None, False}}
    answer = owner.post(address, {**body, field: value})
    assert answer.status_code == 200
    assert b"errorlist" in answer.content


# --- The audit log ---


def test_the_audit_log_is_filtered_and_searched(office: Client, run: TrainingRun) -> None:
    address = reverse("admin:audit_auditevent_changelist")
    only = office.get(address, {"action": "correction.submit"}).context["cl"]
    assert {event.action for event in only.result_list} == {"correction.submit"}
    chain = office.get(address, {"chain": "orchard"}).context["cl"]
    assert {event.chain for event in chain.result_list} == {"orchard"}
    actor = office.get(address, {"actor_name": "ana"}).context["cl"]
    assert {event.actor_name for event in actor.result_list} == {"ana"}
    found = office.get(address, {"q": "the first"}).context["cl"]
    assert {event.reason for event in found.result_list} == {"the first"}


def test_the_audit_log_is_only_read(office: Client, run: TrainingRun) -> None:
    event = AuditEvent.objects.first()
    assert event
    address = reverse("admin:audit_auditevent_change", args=[event.pk])
    assert office.post(address, {"reason": "forged"}).status_code == 403
    assert office.get(reverse("admin:audit_auditevent_add")).status_code == 403


def test_label_colours_repeat_with_another_underline_after_twelve() -> None:
    assert label_classes(0) == "hue-0 pattern-0"
    assert label_classes(12) == "hue-0 pattern-1"
    assert label_classes(49) == "hue-1 pattern-0"


def test_a_candidate_that_nobody_could_compare_is_shown_without_numbers(
    office: Client, run: TrainingRun
) -> None:
    verdict = refuse_bundle(BundleNotFinite(path="", problem="word in model.onnx")).to_json()
    TrainingRun.objects.filter(pk=run.pk).update(verdict=verdict)
    for name, pk in [
        ("retraining_trainingrun_change", run.pk),
        ("inference_modelversion_change", run.candidate_id),
    ]:
        page = text(office, name, pk)
        assert "Refused by the gate </p>" in page
        assert "The bundle cannot be served (bundle_not_finite): word in model.onnx." in page
    assert "refused by the gate<" in text(office, "inference_modelversion_changelist")
    office.cookies["language"] = "de"
    page = text(office, "retraining_trainingrun_change", run.pk)
    assert "Das Bündel kann nicht antworten (bundle_not_finite): word in model.onnx." in page


def test_a_run_whose_bundle_never_came_onto_the_shelf_says_so(office: Client, run: TrainingRun) -> None:
    verdict = refuse_bundle(BundleNotFinite(path="", problem="word in model.onnx")).to_json()
    TrainingRun.objects.filter(pk=run.pk).update(verdict=verdict, candidate=None)
    page = text(office, "retraining_trainingrun_change", run.pk)
    assert "Refused by the gate </p>" in page
    assert text(office, "index")
    assert text(office, "retraining_trainingrun_changelist")


def test_a_versions_page_tells_its_live_quality(
    office: Client, champion: ModelVersion, correction: Correction, project: Project
) -> None:
    quality_estimate(project=project)
    page = text(office, "inference_modelversion_change", champion.pk)
    assert "Live quality in Orchard" in page
    assert "1 random text reviewed" in page
    assert "Too few texts were reviewed" in page
    assert "day by day" not in page, "one day is no trend"

    today = QualityEstimate.objects.get(label="")
    QualityEstimate.objects.filter(pk=today.pk).update(f1=0.8, low=0.75, high=0.85, documents=400)
    for _ in range(2):
        today.pk, today.day = None, today.day - timedelta(days=1)
        today.save()
    page = text(office, "inference_modelversion_change", champion.pk)
    assert "About 2,100 more reviews of random texts narrow it to ±2 points." in page
    assert "with 95 % confidence between 75.0 and 85.0" in page
    assert "F1 of live answers day by day" in page
