"""The pages of experiments in a real browser: readable for everybody, and no wider than a phone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Browser

from audit.services import SYSTEM
from corpus.models import Project
from inference.services import api_key_create
from retraining.models import Experiment
from retraining.services import experiment_check, experiment_stop
from tests.browser.conftest import give_session
from tests.browser.test_backoffice import Office
from tests.retraining.experiments import Lab

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def lab(project: Project, ana: User, tmp_path: Path) -> Lab:
    key, _ = api_key_create(project=project, name="shop", scopes=["predict"], actor=SYSTEM)
    return Lab(project, tmp_path, key, ana)


@pytest.fixture
def office(browser: Browser, live_server: object, ada: User) -> Iterator[Office]:
    base = str(live_server)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    give_session(context, ada, base)
    yield Office(context, base)
    context.close()


@pytest.fixture
def pages(lab: Lab) -> dict[str, str]:
    """One that is drafted, one that ended, one that runs with some days behind it, the form, and the list."""
    ended = experiment_stop(
        experiment=lab.running(question="Does a speed-up cost quality?"), actor=SYSTEM, reason="enough"
    )
    draft = lab.draft(20.0, 10.0, question="Which of two new versions needs fewer edits?")
    running = lab.running(days_ago=4, question="Does the new one need fewer edits?")
    for days in (3.5, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5):
        at = timezone.now() - timedelta(days=days)
        for slot, rate in (("champion", 0.24), ("challenger", 0.2)):
            made = lab.answers(running, slot, 60, at=at, milliseconds=lambda number: 2.0 + number % 9)
            lab.review(made, edited=rate, at=at)
        lab.rate(made, 4)
        experiment_check(pk=running.pk, now=at + timedelta(hours=1))

    def page(experiment: Experiment) -> str:
        return reverse("admin:retraining_experiment_change", args=[experiment.pk])

    return {
        "ended": page(ended),
        "draft": page(draft),
        "running": page(running),
        "new": reverse("admin:retraining_experiment_add"),
        "list": reverse("admin:retraining_experiment_changelist"),
    }


def test_every_page_is_accessible_and_fits_a_phone(office: Office, pages: dict[str, str]) -> None:
    problems: list[str] = []
    for scheme, width in (("light", 1280), ("dark", 1280), ("light", 390)):
        office.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        office.page.set_viewport_size({"width": width, "height": 900})
        for name, address in pages.items():
            office.open(address)
            problems += office.violations("serious", "critical")
            if office.is_too_wide():
                problems.append(f"{name} is wider than {width}")
    assert problems == []
    assert office.complaints == []


def test_an_experiment_is_drafted_and_started_by_hand(office: Office, lab: Lab) -> None:
    version = lab.version("fresh")
    page = office.open(reverse("admin:retraining_experiment_add"))
    page.get_by_label("Question").fill("Is it better?")
    page.get_by_label("Version 1", exact=True).select_option(str(version.pk))
    page.get_by_role("button", name="How long will it take?").click()
    page.get_by_text("reviews are needed in all").wait_for()
    page.get_by_role("button", name="Make the draft").click()
    page.get_by_text("It has not been started").wait_for()
    page.get_by_label("Why").fill("to find out")
    page.get_by_role("button", name="Deal the callers out").click()
    page.get_by_text("It has just begun").wait_for()
    assert office.complaints == []
