"""The pages of experiments: the draft with its estimate, what is shown meanwhile, and the decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from inference.selectors import champion_of, shares_in
from inference.services import api_key_create
from nerapp.sequential_chart import SequentialLook, sequential_chart
from retraining.models import Experiment
from retraining.services import experiments_check
from tests.backoffice.conftest import staff
from tests.retraining.experiments import Lab

pytestmark = pytest.mark.django_db


@pytest.fixture
def lab(project: Project, ana: User, tmp_path: Path) -> Iterator[Lab]:
    key, _ = api_key_create(project=project, name="shop", scopes=["predict"], actor=SYSTEM)
    return Lab(project, tmp_path, key, ana)


def page(client: Client, experiment: Experiment) -> str:
    answer = client.get(reverse("admin:retraining_experiment_change", args=[experiment.pk]))
    assert answer.status_code == 200
    return str(answer.content.decode())


def act(client: Client, experiment: Experiment, name: str, **body: Any) -> Any:
    address = reverse(f"admin:retraining_experiment_{name}", args=[experiment.pk])
    return client.post(address, {"reason": "because", **body}, follow=True)


def body(lab: Lab, **changed: Any) -> dict[str, Any]:
    return {
        "project": lab.project.pk,
        "question": "Does the new one need fewer edits?",
        "version_1": lab.version("new").pk,
        "share_1": "20",
        "by": "subject",
        "metric": "edit_rate",
        "effect": "0.03",
        "alpha": "0.05",
        "power": "0.8",
        "max_days": "28",
        **changed,
    }


def test_one_that_went_alone_is_shown_with_what_was_seen_of_it(owner: Client, lab: Lab) -> None:
    experiment = lab.running(33.0, 33.0)
    for slot, edited in (("champion", 0.2), ("challenger", 0.5), ("challenger-2", 0.2)):
        lab.review(lab.answers(experiment, slot, 200), edited=edited)
    experiments_check()
    worse, other = (experiment.arms.get(slot=slot).version for slot in ("challenger", "challenger-2"))
    shown = page(owner, experiment)
    assert f"{worse} is worse, and out of it: the champion answers its callers." in shown
    assert "its callers get the champion's answers" in shown
    assert f"Make {other} champion" in shown
    assert f"Make {worse} champion" not in shown
    assert f"{worse} minus champion" in shown, "its plot stays"


def test_why_it_ended_is_said_in_the_readers_language(owner: Client, lab: Lab) -> None:
    experiment = lab.running(days_ago=29)
    experiments_check()
    assert "nothing was found in 28 days" in page(owner, experiment)
    owner.cookies["language"] = "de"
    assert "in 28 Tagen wurde nichts gefunden" in page(owner, experiment)


def test_an_empty_list_teaches(office: Client) -> None:
    shown = office.get(reverse("admin:retraining_experiment_changelist")).content.decode()
    assert "lets two or more versions answer callers side by side" in shown
    assert "New experiment" in shown


def test_the_estimate_is_shown_before_anything_is_made(owner: Client, lab: Lab) -> None:
    asked = owner.post(reverse("admin:retraining_experiment_add"), body(lab, estimate="1"))
    shown = asked.content.decode()
    assert "reviews are needed in all" in shown
    assert "nobody can say how long it will take" in shown
    assert "Does the new one need fewer edits?" in shown, "what was typed is still there"
    assert not Experiment.objects.exists()


def test_an_estimate_beyond_its_days_is_pointed_at(owner: Client, lab: Lab) -> None:
    lab.review(lab.answers(None, "champion", 100, bucket=None), edited=0.2)
    asked = owner.post(reverse("admin:retraining_experiment_add"), body(lab, estimate="1"))
    assert "It ends after 28 days, and may well have found nothing by then." in asked.content.decode()


def test_a_draft_is_made_and_started(owner: Client, lab: Lab) -> None:
    owner.post(reverse("admin:retraining_experiment_add"), body(lab))
    experiment = Experiment.objects.get()
    shown = page(owner, experiment)
    assert "nobody is answered differently yet" in shown
    assert "How long it will take" in shown
    assert "It runs" in act(owner, experiment, "start").content.decode()
    assert shares_in(lab.project) == {"champion": 80.0, "challenger": 20.0}
    assert AuditEvent.objects.get(action="experiment.start").actor_name == "mia"
    assert "It has just begun" in page(owner, experiment)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"share_1": ""}, "This field is required"),
        ({"share_2": "10"}, "A version needs its percent, and they a version."),
        ({"share_1": "99.5"}, "less than or equal to 99"),
        ({"alpha": "0.9"}, "less than or equal to 0.2"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(owner: Client, lab: Lab, changed: Any, said: str) -> None:
    answer = owner.post(reverse("admin:retraining_experiment_add"), body(lab, **changed))
    assert said in answer.content.decode()
    assert not Experiment.objects.exists()


def test_a_running_one_shows_its_plot_its_numbers_and_what_is_still_needed(owner: Client, lab: Lab) -> None:
    experiment = lab.running(promotes_winner=False)
    for slot, rate in (("champion", 0.2), ("challenger", 0.18)):
        lab.review(lab.answers(experiment, slot, 150), edited=rate)
    experiments_check()
    shown = page(owner, experiment)
    assert "It is undecided" in shown
    assert "more reviews would show a difference of 3.0 points" in shown
    assert '<polygon class="band"' in shown
    assert "Edited or added, % of the spans" in shown
    assert "150" in shown
    assert "95 % within, ms" in shown
    assert "Stop it and keep the champion" in shown


def test_an_alarm_is_said_first(owner: Client, lab: Lab) -> None:
    experiment = lab.running()
    lab.answers(experiment, "champion", 400)
    lab.answers(experiment, "challenger", 100)
    experiments_check()
    assert "Do not trust it" in page(owner, experiment)


def test_a_winner_is_proposed_and_promoted_with_one_click(owner: Client, lab: Lab) -> None:
    experiment = lab.running()
    for slot, rate in (("champion", 0.35), ("challenger", 0.1)):
        lab.review(lab.answers(experiment, slot, 300), edited=rate)
    experiments_check()
    experiment.refresh_from_db()
    shown = page(owner, experiment)
    assert f"{experiment.winner} is better. It waits for somebody to make it champion." in shown
    done = act(owner, experiment, "conclude", version=experiment.winner_id)
    assert "is champion now" in done.content.decode()
    assert champion_of(lab.project) == experiment.winner
    assert "Make " not in page(owner, experiment)


def test_it_is_stopped_with_its_reason(owner: Client, lab: Lab) -> None:
    experiment = lab.running()
    assert "Say why" in act(owner, experiment, "stop", reason="").content.decode()
    assert "It was stopped by hand" in act(owner, experiment, "stop").content.decode()
    assert shares_in(lab.project) == {"champion": 100.0}


def test_who_may_not_promote_sees_no_buttons_and_drafts_nothing(
    lab: Lab, ana: User, sign_in: Callable[[User], Client]
) -> None:
    client = sign_in(staff(ana, "*"))
    experiment = lab.running()
    shown = page(client, experiment)
    assert "Stop it" not in shown
    assert "<h2>Decide" not in shown
    assert client.post(reverse("admin:retraining_experiment_add"), body(lab)).status_code == 403


def look(minutes: int, difference: float, half: float) -> SequentialLook:
    at = timezone.now() + timedelta(minutes=minutes)
    return SequentialLook(at, "1 Dec", 100 + minutes, difference, difference - half, difference + half)


def test_the_plot_holds_zero_the_effect_and_the_last_interval_and_cuts_the_wide_beginning() -> None:
    looks = [look(0, 5, 400), look(10, -2, 6), look(20, -3, 2)]
    chart = sequential_chart(title="x", looks=looks, effect=3.0)
    assert len(chart.band.split()) == 2 * len(looks)
    heights = [float(point.split(",")[1]) for point in chart.band.split()]
    assert all(0 <= height <= chart.bottom for height in heights)
    assert 0 < chart.zero < chart.bottom
    assert len(chart.effects) == 2
    assert float(chart.ticks[0].text) >= -20
    assert chart.last.text == "-3.0"
    one = sequential_chart(title="x", looks=looks[:1], effect=3.0)
    assert one.end_x == one.right
