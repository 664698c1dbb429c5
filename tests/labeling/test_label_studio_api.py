"""Label Studio asks us as its ML backend, and its annotations become corrections."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from audit.services import SYSTEM
from corpus.models import Document, Project
from feedback.models import Correction
from inference.authentication import key_ring
from inference.services import api_key_create, deployment_set, version_register
from ner.formats.label_studio_config import NoTextLabels, text_labels
from tests.bundles import tiny_bundle

pytestmark = pytest.mark.django_db

CONFIG = """<View><Labels name="kind" toName="words"><Label value="PER"/><Label value="ORG"/></Labels>
<Text name="words" value="$body"/></View>"""
TEXT = "\U0001f469\u200d\U0001f467 Ada Lovelace moved to London in 1835."


@pytest.fixture
def secret(project: Project, tmp_path: Path, settings: Any) -> str:
    """A key of a project that serves the tiny model."""
    settings.DATA_DIR = tmp_path / "data"
    version = version_register(
        path=tiny_bundle(tmp_path / "tiny"), name="tiny", project=project, actor=SYSTEM
    )
    deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="first")
    key_ring.forget()
    scopes = ["predict", "feedback"]
    return api_key_create(project=project, name="label studio", scopes=scopes, actor=SYSTEM)[1]


def basic(secret: str) -> str:
    return "Basic " + base64.b64encode(f"anybody:{secret}".encode()).decode()


def ask(client: Client, name: str, body: dict[str, Any], secret: str) -> Any:
    return client.post(
        f"/api/v1/label-studio/{name}",
        body,
        content_type="application/json",
        headers={"Authorization": basic(secret)},
    )


def predicted(client: Client, tasks: list[dict[str, Any]], secret: str) -> list[dict[str, Any]]:
    body = {"tasks": tasks, "project": "7.1", "label_config": CONFIG, "params": {"context": None}}
    answer = ask(client, "predict", body, secret)
    assert answer.status_code == 200, answer.content
    found: list[dict[str, Any]] = answer.json()["results"]
    return found


def test_it_says_that_it_is_up_and_which_model_answers(client: Client, secret: str) -> None:
    answer = client.get("/api/v1/label-studio/health", headers={"Authorization": basic(secret)})
    assert answer.json() == {"status": "UP", "model_class": "nerapp", "model_version": "tiny@1"}
    answer = ask(client, "setup", {"project": "7.1", "schema": CONFIG, "hostname": "http://ls"}, secret)
    assert answer.json() == {"model_version": "tiny@1"}


def test_a_project_without_labels_for_a_text_is_refused_with_the_reason(client: Client, secret: str) -> None:
    answer = ask(client, "setup", {"schema": "<View><Image name='i' value='$i'/></View>"}, secret)
    assert (answer.status_code, answer.json()["code"]) == (400, "unfit_label_config")


def test_tasks_are_answered_in_order_with_its_own_tags_and_label_names(client: Client, secret: str) -> None:
    first, second, third = predicted(
        client,
        [{"id": 1, "data": {"body": TEXT}}, {"id": 2, "data": {"other": 1}}, {"data": {"body": "Ada"}}],
        secret,
    )
    [mark] = first["result"]
    assert (mark["from_name"], mark["to_name"], mark["type"]) == ("kind", "words", "labels")
    value = mark["value"]
    assert value["labels"] == ["PER"], "ours is called per; geo is none of that project's labels"
    assert TEXT[value["start"] : value["end"]] == value["text"] == "Ada Lovelace"
    assert first["model_version"] == "tiny@1"
    assert 0 <= first["score"] <= 1
    assert second["result"] == []
    assert third["result"][0]["value"]["text"] == "Ada"


def told(
    spans: list[tuple[int, int, str]], *, at: str = "2026-01-01T00:00:00Z", **changed: Any
) -> dict[str, Any]:
    """What Label Studio posts when an annotator has submitted."""
    result = [
        {
            "from_name": "kind",
            "to_name": "words",
            "type": "labels",
            "value": {"start": start, "end": end, "text": TEXT[start:end], "labels": [label]},
        }
        for start, end, label in spans
    ]
    return {
        "action": "ANNOTATION_CREATED",
        "annotation": {"id": 5, "result": result, "lead_time": 4.2, "updated_at": at, "completed_by": 1},
        "task": {"id": 1, "data": {"body": TEXT}},
        "project": {"id": 7},
    } | changed


ADA = TEXT.index("Ada")
PERSON = (ADA, ADA + 12, "PER")


def test_an_annotation_becomes_a_correction_once(client: Client, secret: str, project: Project) -> None:
    for _ in range(2):
        answer = ask(client, "webhook", told([PERSON]), secret)
        assert (answer.status_code, answer.json()) == (201, {"taken": True, "number": 1})
    correction = Correction.objects.get()
    assert correction.spans == [{"start": ADA, "end": ADA + 12, "label": "per", "text": "Ada Lovelace"}]
    assert (correction.milliseconds, correction.stratum) == (4200, "import")
    assert Document.objects.get().external_id == "label-studio:1"


def test_a_changed_annotation_is_the_next_correction(client: Client, secret: str) -> None:
    ask(client, "webhook", told([PERSON]), secret)
    later = told([], at="2026-01-02T00:00:00Z", action="ANNOTATION_UPDATED")
    assert ask(client, "webhook", later, secret).json() == {"taken": True, "number": 2}
    assert Correction.objects.get(number=2).spans == []


@pytest.mark.parametrize("action", ["ANNOTATIONS_DELETED", "START_TRAINING", "TASKS_CREATED"])
def test_other_news_is_let_pass(client: Client, secret: str, action: str) -> None:
    assert ask(client, "webhook", {"action": action, "project": {"id": 7}}, secret).json() == {"taken": False}
    assert not Correction.objects.exists()


def test_an_annotation_with_a_label_that_we_lack_is_refused_by_name(client: Client, secret: str) -> None:
    answer = ask(client, "webhook", told([(ADA, ADA + 3, "ANIMAL")]), secret)
    assert (answer.status_code, answer.json()["code"]) == (400, "unknown_label")
    assert not Correction.objects.exists()


def test_offsets_that_do_not_fit_their_words_are_refused(client: Client, secret: str) -> None:
    wrong = told([PERSON])
    wrong["annotation"]["result"][0]["value"]["start"] += 1
    answer = ask(client, "webhook", wrong, secret)
    assert answer.status_code == 400
    assert not Correction.objects.exists()


@pytest.mark.parametrize(
    "shown", ["Basic !!!", "Basic " + base64.b64encode(b"a:b").decode(), "Bearer x", None]
)
def test_without_the_key_nothing_is_told(client: Client, secret: str, shown: str | None) -> None:
    headers = {} if shown is None else {"Authorization": shown}
    assert client.get("/api/v1/label-studio/health", headers=headers).status_code == 401


def test_the_key_must_have_the_scope(client: Client, project: Project, secret: str) -> None:
    _, narrow = api_key_create(project=project, name="narrow", scopes=["predict"], actor=SYSTEM)
    assert ask(client, "webhook", told([PERSON]), narrow).status_code == 403


def test_a_configuration_with_entities_of_its_own_is_not_read() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa">]><View><Labels name="l" toName="t">&a;</Labels></View>'
    with pytest.raises(NoTextLabels):
        text_labels(bomb)


def test_the_tags_of_a_text_are_found_among_others() -> None:
    config = """<View><Choices name="c" toName="t"><Choice value="x"/></Choices><Text name="t" value="$body"/>
    <Labels name="l" toName="t"><Label value="Per" alias="p"/><Label value="Geo"/></Labels></View>"""
    tags = text_labels(config)
    assert (tags.from_name, tags.to_name, tags.key, tags.labels) == ("l", "t", "body", ["Per", "Geo"])
    assert (tags.label("geo"), tags.label("tim")) == ("Geo", None)
