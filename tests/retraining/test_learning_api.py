"""Machines ask whether the texts have drifted and whether a training is due; so does a command."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from inference.models import ApiKey, Deployment, ModelVersion
from inference.services import api_key_create
from retraining.services import drift_measure, policy_change, policy_check
from tests.retraining.conftest import Correct
from tests.retraining.drifting import made, texts, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(project: Project) -> Client:
    """Holds a key that may read about models."""
    _, secret = api_key_create(project=project, name="reader", scopes=[ApiKey.Scope.MODELS], actor=SYSTEM)
    return Client(headers={"Authorization": f"Bearer {secret}"})


def asked(reader: Client, path: str, status: int = 200) -> dict[str, Any]:
    answer = reader.get(f"/api/v1/{path}")
    assert answer.status_code == status, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_reports_are_listed_newest_first_and_read_with_their_histograms(
    reader: Client,
    trained: ModelVersion,
    caller: ApiKey,
) -> None:
    told(caller, trained, texts("general", 0, 300))
    first = made(drift_measure(project=caller.project))
    second = made(drift_measure(project=caller.project, at_once=True))
    listed = asked(reader, "drift?limit=1")
    assert [one["id"] for one in listed["reports"]] == [second.pk]
    rest = asked(reader, f"drift?before={listed['next']}")
    assert ([one["id"] for one in rest["reports"]], rest["next"]) == ([first.pk], None)

    one = asked(reader, f"drift/{first.pk}")
    assert (one["model_version"], one["texts"], one["reference"]) == ("orchard@1", 300, "training")
    assert "unknown_words" in one["drifted"]
    measure = next(measure for measure in one["measures"] if measure["name"] == "unknown_words")
    assert measure["drifted"]
    assert measure["value"] > measure["threshold"]
    assert len(one["length"]["current"]) == len(one["length"]["edges"]) + 1
    assert sum(one["length"]["current"]) == 300
    assert sum(one["labels"]["reference"].values()) >= 50


def test_decisions_are_listed_with_the_numbers_they_saw(
    reader: Client, project: Project, champion: Deployment, correct: Correct
) -> None:
    policy_change(project=project, actor=SYSTEM, new_corrections=2, quiet_seconds=0)
    correct(1)
    policy_check(project=project)
    correct(1)
    due = policy_check(project=project)
    newest, oldest = asked(reader, "retraining/decisions")["decisions"]
    assert (newest["due"], newest["run"], oldest["due"]) == (True, due.run_id, False)
    assert oldest["explanation"] == "not due: 1 of 2 corrections"
    assert oldest["numbers"]["new_corrections"] == 1


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "before=-1", "before=1e3"])
@pytest.mark.parametrize("path", ["drift", "retraining/decisions"])
def test_a_page_that_is_none_is_refused(reader: Client, path: str, query: str) -> None:
    assert asked(reader, f"{path}?{query}", 400)["code"] == "invalid_option"


def test_reports_of_other_projects_are_not_there(
    reader: Client,
    trained: ModelVersion,
    caller: ApiKey,
) -> None:
    told(caller, trained, texts("orchard", 200, 320))
    report = made(drift_measure(project=caller.project))
    other = project_create(slug="a", name="A", labels=[LabelDraft(name="per")], actor=SYSTEM)
    _, secret = api_key_create(project=other, name="x", scopes=[ApiKey.Scope.MODELS], actor=SYSTEM)
    stranger = Client(headers={"Authorization": f"Bearer {secret}"})
    assert asked(stranger, f"drift/{report.pk}", 404)["code"] == "not_found"
    assert asked(stranger, "drift")["reports"] == []
    assert asked(reader, f"drift/{2**70}", 404)["code"] == "not_found"


def test_it_takes_the_scope_models(project: Project) -> None:
    _, secret = api_key_create(project=project, name="p", scopes=[ApiKey.Scope.PREDICT], actor=SYSTEM)
    other = Client(headers={"Authorization": f"Bearer {secret}"})
    for path in ("drift", "drift/1", "retraining/decisions"):
        asked(other, path, 403)


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("drift_report", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_measures_now_and_says_each_measure(trained: ModelVersion, caller: ApiKey) -> None:
    told(caller, trained, texts("general", 0, 300))
    said = command("--project", "orchard")
    assert "orchard: 300 texts" in said
    assert "unknown_words" in said
    assert "DRIFTED" in said
    assert command("--project", "orchard", "--last") == said


def test_the_command_says_what_is_missing(project: Project, trained: ModelVersion) -> None:
    with pytest.raises(CommandError, match="There is no project nowhere"):
        command("--project", "nowhere")
    few = "nothing to compare. orchard@1 has answered fewer than 100"
    for more in ((), ("--last",)):
        assert few in command("--project", "orchard", *more)
