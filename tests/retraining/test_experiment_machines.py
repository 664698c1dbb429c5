"""Experiments by API and from the command line."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.services import LabelDraft, project_create
from inference.authentication import key_ring
from inference.selectors import champion_of, shares_in
from inference.services import api_key_create
from retraining.models import Experiment
from retraining.services import experiments_check
from tests.retraining.experiments import Lab

pytestmark = pytest.mark.django_db


class Api:
    """The API with a key."""

    def __init__(self, client: Client, secret: str) -> None:
        self.client, self.secret = client, secret

    def __call__(self, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {self.secret}"}
        address = f"/api/v1/experiments{path}"
        if body is None:
            return self.client.get(address, headers=headers)
        return self.client.generic("POST", address, json.dumps(body), "application/json", headers=headers)


@pytest.fixture
def api(client: Client, lab: Lab) -> Api:
    key_ring.forget()
    scopes = ["predict", "models", "traffic"]
    return Api(client, api_key_create(project=lab.project, name="ops", scopes=scopes, actor=SYSTEM)[1])


def asked(lab: Lab, **changed: Any) -> dict[str, Any]:
    arms = [{"version": str(lab.version("new")), "share": 25}]
    return {"question": "Is it better?", "arms": arms, "by": "text", **changed}


def test_one_is_drafted_started_watched_and_decided(api: Api, lab: Lab) -> None:
    made = api("", asked(lab))
    assert made.status_code == 201
    number = made.json()["id"]
    assert made.json()["verdict"] == ["It has not been started: nobody is answered differently yet."]
    started = api(f"/{number}/start", {"reason": "to find out"}).json()
    assert started["status"] == "running"
    assert shares_in(lab.project) == {"champion": 75.0, "challenger": 25.0}
    assert AuditEvent.objects.get(action="experiment.start").actor.startswith("key:")
    again = api(f"/{number}/start", {"reason": "again"})
    assert (again.status_code, again.json()["code"]) == (409, "experiment_not_draft")
    done = api(f"/{number}/conclude", {"version": "new@1", "reason": "better"}).json()
    assert (done["status"], done["winner"]) == ("ended", "new@1")
    assert str(champion_of(lab.project)) == "new@1"
    assert [one["id"] for one in api("").json()["experiments"]] == [number]


def test_a_look_is_told_with_its_intervals(api: Api, lab: Lab) -> None:
    experiment = lab.running()
    for slot, rate in (("champion", 0.2), ("challenger", 0.18)):
        lab.review(lab.answers(experiment, slot, 150), edited=rate)
    experiments_check()
    told = api(f"/{experiment.pk}").json()
    assert told["reviews"] == 300
    assert told["reviews_needed"] > 1000
    assert told["sample_ratio_p"] > 0.001
    [comparison] = told["comparisons"]
    assert comparison["low"] < comparison["difference"] < comparison["high"]
    value, low, high = told["arms"][0]["measured"]["edit_rate"]
    assert low < value < high


def test_one_that_went_alone_is_told(api: Api, lab: Lab) -> None:
    experiment = lab.running(33.0, 33.0)
    for slot, rate in (("champion", 0.2), ("challenger", 0.5), ("challenger-2", 0.2)):
        lab.review(lab.answers(experiment, slot, 200), edited=rate)
    experiments_check()
    told = api(f"/{experiment.pk}").json()
    assert told["status"] == "running"
    assert [arm["dropped_at"] is not None for arm in told["arms"]] == [False, True, False]
    said = StringIO()
    call_command("experiment_status", project=lab.project.slug, stdout=said)
    assert "worse: the champion answers its callers" in said.getvalue()


def test_how_long_it_would_take_is_told_before(api: Api, lab: Lab) -> None:
    told = api("/estimate", asked(lab)).json()
    assert told["total"] == 4 * told["per_arm"]
    assert told["days"] is None
    assert not Experiment.objects.exists()


def test_stopping_needs_its_reason(api: Api, lab: Lab) -> None:
    experiment = lab.running()
    assert api(f"/{experiment.pk}/stop", {}).json()["code"] == "reason_required"
    assert api(f"/{experiment.pk}/stop", {"reason": " "}).json()["code"] == "reason_required"
    assert api(f"/{experiment.pk}/stop", {"reason": "enough"}).json()["outcome"] == "stopped"


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"arms": []}, 400, "out_of_range"),
        ({"arms": [{"version": "new@1", "share": 100}]}, 400, "out_of_range"),
        ({"arms": [{"version": "none@1", "share": 10}]}, 404, "unknown_model"),
        ({"arms": [{"version": "new@1", "share": 60}] * 2}, 400, "arms_invalid"),
        ({"alpha": 0.9}, 400, "out_of_range"),
        ({"metric": "luck"}, 400, "invalid_choice"),
        ({"question": " "}, 400, "invalid_format"),
    ],
)
def test_what_cannot_be_is_refused(
    api: Api, lab: Lab, changed: dict[str, Any], status: int, code: str
) -> None:
    refused = api("", asked(lab) | changed)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


def test_moving_callers_needs_the_scope_traffic(client: Client, lab: Lab) -> None:
    key_ring.forget()
    scopes = ["predict", "models", "route"]
    reader = Api(client, api_key_create(project=lab.project, name="r", scopes=scopes, actor=SYSTEM)[1])
    experiment = lab.running()
    assert reader(f"/{experiment.pk}").status_code == 200
    for path, body in (
        ("", asked(lab)),
        ("/estimate", {"question": "?", "arms": [{"version": "new@1", "share": 5}]}),
        (f"/{experiment.pk}/stop", {"reason": "x"}),
        (f"/{experiment.pk}/start", {"reason": "x"}),
        (f"/{experiment.pk}/conclude", {"reason": "x", "version": "new@1"}),
    ):
        assert reader(path, body).json()["code"] == "missing_scope", path


def test_another_projects_experiment_is_not_found(client: Client, lab: Lab) -> None:
    key_ring.forget()
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    scopes = ["models", "traffic"]
    stranger = Api(client, api_key_create(project=other, name="s", scopes=scopes, actor=SYSTEM)[1])
    experiment = lab.running()
    assert stranger(f"/{experiment.pk}").status_code == 404
    assert stranger(f"/{experiment.pk}/stop", {"reason": "x"}).status_code == 404


def command(name: str, *arguments: Any, **options: Any) -> str:
    printed = StringIO()
    call_command(name, *arguments, stdout=printed, **options)
    return printed.getvalue()


def test_the_command_line_does_the_same(lab: Lab) -> None:
    slug, version = lab.project.slug, lab.version("new")
    assert "There is no experiment yet" in command("experiment_status", project=slug)
    drafted = command("experiment_create", project=slug, question="Better?", arm=[f"{version}=20%"])
    experiment = Experiment.objects.get()
    assert f"experiment {experiment.pk} (draft): Better?" in drafted
    assert "reviews are needed in all" in drafted
    started = command("experiment_start", experiment.pk, reason="to find out")
    assert "challenger   new@1                        20 %" in started
    assert "(running)" in command("experiment_status", project=slug)
    assert "stopped by hand" in command("experiment_stop", project=slug, reason="enough")
    concluded = command("experiment_conclude", experiment.pk, model="new@1", reason="I like it")
    assert "new@1 is champion now" in concluded
    assert champion_of(lab.project) == version


def test_the_command_line_says_what_is_wrong(lab: Lab) -> None:
    slug = lab.project.slug
    with pytest.raises(CommandError, match="name@number=percent"):
        command("experiment_create", project=slug, question="?", arm=["tiny@1=much"])
    with pytest.raises(CommandError, match="leave the champion nobody"):
        command("experiment_create", project=slug, question="?", arm=["tiny@1=100"])
    with pytest.raises(CommandError, match=r"0\.2"):
        command("experiment_create", project=slug, question="?", arm=["tiny@1=10"], alpha=0.7)
    with pytest.raises(CommandError, match="no project nowhere"):
        command("experiment_status", project="nowhere")
    with pytest.raises(CommandError, match="no experiment 7"):
        command("experiment_stop", 7, reason="x")
    with pytest.raises(CommandError, match="Say which"):
        command("experiment_stop", reason="x")
    experiment = lab.running()
    with pytest.raises(CommandError, match="started before"):
        command("experiment_start", experiment.pk, reason="x")
