"""The back office and the account pages in a real browser: accessible, quiet under strict CSP, usable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext, Page

from audit.services import SYSTEM
from corpus.models import Document, Project
from corpus.services import LabelDraft, project_create
from feedback.models import Correction
from inference.models import Deployment, ModelVersion, Prediction
from ner.drift import Profile
from nerapp.sign_in import link_create
from retraining.models import DriftReport, RetrainPolicy, TrainingRun, TrainingRunEvent
from retraining.services import run_queue
from tests.backoffice.conftest import candidate, champion, correction, run  # noqa: F401  (fixtures)
from tests.backoffice.test_drift import report_make
from tests.browser.conftest import give_session
from tests.factories import document_make


class Office:
    """Ada at the back office, and what her browser complained about."""

    def __init__(self, context: BrowserContext, base: str) -> None:
        self.base = base
        self.page: Page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.complaints: list[str] = []
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(f"{self.page.url}: {message.text}")
                if message.type in {"error", "warning"}
                else None
            ),
        )
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))

    def open(self, address: str) -> Page:
        answer = self.page.goto(self.base + address)
        assert answer
        assert answer.status < 500, address
        return self.page

    def violations(self, *impacts: str) -> list[str]:
        """What axe finds on the page, of these impacts or of all."""
        before = len(self.complaints)
        found = Axe().run(self.page).response["violations"]
        # Axe tries styles on elements to measure them, which the policy refuses aloud.
        del self.complaints[before:]
        return [
            f"{self.page.url}: {one['id']} ({one['impact']}): {one['nodes'][0]['html'][:160]}"
            for one in found
            if not impacts or one["impact"] in impacts
        ]

    def is_too_wide(self) -> bool:
        """Must one scroll the page itself sideways?"""
        return bool(
            self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
        )


@pytest.fixture
def context(browser: Browser, live_server: Any) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def office(context: BrowserContext, live_server: Any, ada: User) -> Iterator[Office]:
    """Ada; at the end her console must be empty."""
    give_session(context, ada, live_server.url)
    office = Office(context, live_server.url)
    yield office
    assert office.complaints == []


def at(name: str, *arguments: object) -> str:
    return reverse(f"admin:{name}", args=arguments)


def drift_report(done: TrainingRun) -> DriftReport:
    """The project's texts have changed their labels."""
    today = Profile()
    for _ in range(60):
        today.add("Ada sang.", spans=(), confidence=0.9)
    return report_make(done.start_from, done.project, today=today)


def addresses(done: TrainingRun) -> list[str]:
    """A page of each kind."""
    assert done.candidate
    return [
        at("index"),
        at("inference_modelversion_changelist"),
        at("inference_modelversion_change", done.candidate.pk),
        at("inference_deployment_change", Deployment.objects.get().pk),
        at("inference_deployment_why", done.project.slug),
        at("inference_modelversion_lineage", done.candidate.pk),
        at("inference_modelversion_comparison", done.project.slug),
        at("inference_modelversion_comparison", done.project.slug) + "?set=general",
        at("retraining_trainingrun_change", done.pk),
        at("retraining_trainingrun_add"),
        at("retraining_retrainpolicy_change", RetrainPolicy.objects.get().pk),
        at("retraining_retrainpolicy_history", RetrainPolicy.objects.get().pk),
        at("retraining_driftreport_change", drift_report(done).pk),
        at("audit_auditevent_changelist"),
        at("inference_apikey_add"),
        at("inference_prediction_change", Prediction.objects.first().pk),  # type: ignore[union-attr]
        at("corpus_project_changelist"),
        reverse("labeling:project_new"),
        at("corpus_project_change", done.project_id),
        at("corpus_project_labels", done.project_id),
        at("corpus_project_people", done.project_id),
        at("corpus_document_change", Document.objects.first().pk),  # type: ignore[union-attr]
        at("feedback_correction_changelist"),
        at("feedback_correction_change", Correction.objects.get().pk),
        at("auth_user_change", User.objects.get(username="ada").pk),
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_back_office_has_no_serious_fault_and_fits_a_narrow_window(
    office: Office,
    run: TrainingRun,  # noqa: F811
    scheme: str,
) -> None:
    office.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    found, wide = [], []
    for address in addresses(run):
        office.open(address)
        found += office.violations("serious", "critical")
        office.page.set_viewport_size({"width": 800, "height": 900})
        wide += [address] if office.is_too_wide() else []
        office.page.set_viewport_size({"width": 1280, "height": 900})
    assert found == []
    assert wide == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_our_own_pages_have_no_fault_at_all(
    office: Office, browser: Browser, live_server: Any, project: Project, scheme: str
) -> None:
    project_create(slug="letters", name="Letters", labels=[LabelDraft(name="per")], actor=SYSTEM)
    stranger = browser.new_context()
    outside = Office(stranger, live_server.url)
    found: list[str] = []
    for visitor, pages in (
        (
            outside,
            [
                "/accounts/login/",
                "/accounts/signup/",
                reverse("sign_in_once", args=[link_create(username="eve")]),
            ],
        ),
        (office, ["/", "/accounts/password/change/", "/accounts/2fa/", "/accounts/logout/"]),
    ):
        visitor.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        for address in pages:
            visitor.open(address)
            found += visitor.violations()
    assert found == []
    assert outside.complaints == []
    stranger.close()


def test_promoting_and_rolling_back_by_keyboard(
    office: Office,
    candidate: ModelVersion,  # noqa: F811
    champion: ModelVersion,  # noqa: F811
) -> None:
    page = office.open(at("inference_modelversion_change", candidate.pk))
    page.get_by_label("Why promote it in Orchard").focus()
    page.keyboard.type("knows Bramley")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("orchard@2 is champion of Orchard").wait_for()
    assert Deployment.objects.get(slot="champion").version == candidate
    page.get_by_label("Why roll back in Orchard").fill("callers complain")
    page.get_by_role("button", name="Roll back to orchard@1").click()
    page.get_by_text("orchard@1 is champion again").wait_for()
    assert Deployment.objects.get(slot="champion").version == champion


def test_a_reason_left_empty_is_asked_for_before_anything_is_sent(
    office: Office,
    candidate: ModelVersion,  # noqa: F811
) -> None:
    page = office.open(at("inference_modelversion_change", candidate.pk))
    page.get_by_role("button", name="Promote orchard@2").click()
    assert page.evaluate("document.activeElement.name") == "reason"
    assert Deployment.objects.get(slot="champion").version != candidate


def test_a_run_is_watched_without_loading_the_page_anew(
    office: Office,
    correction: Correction,  # noqa: F811
    project: Project,
) -> None:
    queued = run_queue(project=project, actor=SYSTEM, reason="a test")
    page = office.open(at("retraining_trainingrun_change", queued.pk))
    assert page.locator("[data-run-state]").inner_text() == "Queued"
    TrainingRunEvent.objects.create(run=queued, message="Epoch 1: <b>loss</b> 0.5")
    TrainingRun.objects.filter(pk=queued.pk).update(
        progress={"step": 5, "total": 10, "dev_f1": 0.512, "loss": 0.4, "message": "epoch 1"}
    )
    page.get_by_text("5 of 10").wait_for()
    assert page.locator("[data-run-f1]").inner_text() == "51.2"
    assert page.get_by_text("Epoch 1: <b>loss</b> 0.5").count() == 1
    TrainingRun.objects.filter(pk=queued.pk).update(status="failed", error="It was only a test.")
    page.get_by_text("It failed: It was only a test.").wait_for()


def test_the_theme_is_chosen_kept_and_there_before_the_first_paint(office: Office, project: Project) -> None:
    page = office.open(at("index"))
    button = page.get_by_role("button", name="Theme")
    assert button.inner_text() == "Theme: auto"
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    button.click()
    button.click()
    assert button.inner_text() == "Theme: dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.reload()
    assert button.inner_text() == "Theme: dark"
    answer = page.request.get(page.url)
    assert 'data-theme="dark">' in answer.text().split("<head>")[0]
    button.click()
    assert "data-theme" not in page.request.get(page.url).text().split("<head>")[0]


def test_a_menu_opens_by_key_and_closes_on_escape(office: Office, project: Project) -> None:
    page = office.open(at("index"))
    page.locator(".menu summary").focus()
    page.keyboard.press("Enter")
    assert page.get_by_role("link", name="Change password").is_visible()
    page.keyboard.press("Escape")
    assert not page.get_by_role("link", name="Change password").is_visible()


def test_markup_in_names_and_texts_stays_text(office: Office, run: TrainingRun) -> None:  # noqa: F811
    evil = '"><img src=x onerror="window.__xss=1"><script>window.__xss=1</script>'
    project = run.project
    Project.objects.filter(pk=project.pk).update(name=evil, description=evil)
    TrainingRun.objects.filter(pk=run.pk).update(reason=evil, error=evil)
    document = document_make(project, evil)
    for address in [
        *addresses(run),
        at("corpus_document_change", document.pk),
        at("corpus_document_changelist"),
    ]:
        office.open(address)
        assert office.page.evaluate("window.__xss === undefined"), address
        assert office.page.locator("img[src=x]").count() == 0, address
