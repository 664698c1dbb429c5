"""A real Label Studio with nerapp as its ML backend: its tasks get our entities, and we its annotations.

`make test-label-studio` installs it beside us (`.venv/label-studio`); it is a few hundred megabytes, so `make
test` leaves these tests to that target.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.serving.site import Site, running, wait_for
from nerapp.embedded import free_port
from nerapp.env import PROJECT
from tests.bundles import tiny_bundle

PROGRAM = PROJECT / ".venv" / "label-studio" / "bin" / "label-studio"
pytestmark = [
    pytest.mark.label_studio,
    pytest.mark.skipif(
        not PROGRAM.exists(), reason="Label Studio is not installed here: make test-label-studio installs it"
    ),
]

PERSON, PASSWORD = "ada@example.org", "long enough 1835"
TOKEN = "0123456789abcdef" * 2 + "01234567"
CONFIG = """<View><Labels name="kind" toName="words"><Label value="PER"/><Label value="GEO"/></Labels>
<Text name="words" value="$body"/></View>"""
FAMILY = "\U0001f468‍\U0001f469‍\U0001f467"
TEXTS = [
    "Ada Lovelace moved to London in 1835.",
    f"{FAMILY} Ada \U0001f600 met Grace Hopper in Boston\U0001f680.",
    "Nobody we know.",
]
_SET_UP = """
import sys
from pathlib import Path
from audit.services import SYSTEM
from corpus.services import LabelDraft, project_create
from inference.services import api_key_create, deployment_set, version_register
labels = [LabelDraft(name=name) for name in ("per", "geo", "tim")]
project = project_create(slug="studio", name="Studio", labels=labels, actor=SYSTEM)
version = version_register(path=Path(sys.argv[1]), name="tiny", project=project, actor=SYSTEM)
deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="first")
print(api_key_create(project=project, name="studio", scopes=["predict", "feedback"], actor=SYSTEM)[1])
"""
_CORRECTIONS = """
import json
from feedback.models import Correction
rows = Correction.objects.order_by("created_at").select_related("document")
print(json.dumps([[row.document.text, row.document.external_id, row.number, row.spans] for row in rows]))
"""


@dataclass
class Studio:
    """A running Label Studio, asked as its own pages ask it."""

    port: int

    def ask(self, method: str, path: str, body: Any = None, *, expect: int = 200) -> Any:
        """The answer to one call of its API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                method,
                f"/api/{path}",
                None if body is None else json.dumps(body),
                {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"},
            )
            response = connection.getresponse()
            told = response.read()
        finally:
            connection.close()
        assert response.status == expect, f"{method} {path}: {response.status} {told[:2000]!r}"
        return json.loads(told) if told else None

    def answers(self) -> bool:
        """Is it up?"""
        try:
            self.ask("GET", "version")
        except (OSError, http.client.HTTPException, AssertionError):
            return False
        return True


@pytest.fixture(scope="module")
def studio() -> Iterator[Studio]:
    """Label Studio with SQLite in a folder of its own, its first user and that user's token."""
    with tempfile.TemporaryDirectory(prefix="label studio ") as folder:
        port = free_port()
        quiet = {"COLLECT_ANALYTICS": "false", "LATEST_VERSION_CHECK": "false", "SENTRY_DSN": ""}
        # As docs/transfer.md says for a nerapp in the same network: it calls no private address otherwise.
        near = {"ML_BLOCK_LOCAL_IP": "false", "SSRF_PROTECTION_ENABLED": "false"}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        log_path = Path(folder) / "log"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [
                    *(PROGRAM, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", str(port)),
                    *("--data-dir", folder, "--username", PERSON, "--password", PASSWORD),
                    *("--user-token", TOKEN, "--enable-legacy-api-token"),
                ],
                cwd=folder,
                env={**kept, **quiet, **near, "LABEL_STUDIO_BASE_DATA_DIR": folder},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        found = Studio(port)
        try:
            # It migrates its database first.
            wait_for(lambda: process.poll() is not None or found.answers(), "Label Studio", seconds=240)
            assert process.poll() is None, log_path.read_text(errors="replace")[-3000:]
            yield found
        finally:
            process.kill()
            process.wait(10)


@pytest.fixture(scope="module")
def nerapp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, str, str]]:
    """A nerapp of its own: the site, its address for Label Studio, a key."""
    bundle = tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")
    with running() as site:
        key = site.python(_SET_UP, str(bundle)).strip()
        port = site.web_start(workers=1)
        wait_for(lambda: is_up(port, key), "nerapp")
        yield site, f"http://127.0.0.1:{port}/api/v1/label-studio", key


def is_up(port: int, key: str) -> bool:
    """Does nerapp answer as an ML backend?"""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    shown = b64encode(f"any:{key}".encode()).decode()
    try:
        connection.request("GET", "/api/v1/label-studio/health", headers={"Authorization": f"Basic {shown}"})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass
class Connected:
    """A project there, connected to ours as docs/transfer.md says."""

    studio: Studio
    site: Site
    project: int
    tasks: dict[str, int]

    def corrections(self) -> list[Any]:
        """Text, external id, number and spans of what came back, in order."""
        found: list[Any] = json.loads(self.site.python(_CORRECTIONS))
        return found


@pytest.fixture(scope="module")
def connected(studio: Studio, nerapp: tuple[Site, str, str]) -> Connected:
    """A project with three texts, our key as the password of its model, and a webhook."""
    site, address, key = nerapp
    project = studio.ask("POST", "projects", {"title": "Letters", "label_config": CONFIG}, expect=201)["id"]
    model = {
        **{"project": project, "url": address, "title": "nerapp", "auth_method": "BASIC_AUTH"},
        **{"basic_auth_user": "any", "basic_auth_pass": key},
    }
    studio.ask("POST", "ml", model, expect=201)
    hook = {
        **{"project": project, "url": f"{address}/webhook", "headers": {"Authorization": f"Bearer {key}"}},
        **{"send_payload": True, "send_for_all_actions": False},
        "actions": ["ANNOTATION_CREATED", "ANNOTATION_UPDATED"],
    }
    studio.ask("POST", "webhooks/", hook, expect=201)
    studio.ask("POST", f"projects/{project}/import", [{"body": text} for text in TEXTS], expect=201)
    listed = studio.ask("GET", f"tasks?project={project}&fields=all")["tasks"]
    return Connected(studio, site, project, {task["data"]["body"]: task["id"] for task in listed})


def retrieve(connected: Connected, task: int) -> None:
    """What the button "Retrieve Predictions" of its data manager does."""
    connected.studio.ask(
        "POST",
        f"dm/actions?id=retrieve_tasks_predictions&project={connected.project}",
        {"selectedItems": {"all": False, "included": [task]}},
    )


def predicted(connected: Connected, text: str) -> list[dict[str, Any]]:
    """The predictions that Label Studio keeps for a task."""
    found = connected.studio.ask("GET", f"predictions?task={connected.tasks[text]}")
    return list(found)


def test_its_own_health_check_accepts_us_and_our_version_is_told(connected: Connected) -> None:
    [model] = connected.studio.ask("GET", f"ml?project={connected.project}")
    assert model["readable_state"] == "Connected"
    assert model["model_version"] == "tiny@1"


def test_a_wrong_key_is_refused_by_its_health_check(
    connected: Connected, nerapp: tuple[Site, str, str]
) -> None:
    wrong = {
        **{"project": connected.project, "url": nerapp[1], "title": "wrong", "auth_method": "BASIC_AUTH"},
        **{"basic_auth_user": "any", "basic_auth_pass": "ner_live_wrong"},
    }
    told = connected.studio.ask("POST", "ml", wrong, expect=400)
    assert "authentication" in json.dumps(told)


@pytest.mark.parametrize(
    ("text", "entities"),
    [
        (TEXTS[0], [("Ada Lovelace", "PER"), ("London", "GEO")]),
        (TEXTS[1], [("Ada", "PER"), ("Grace Hopper", "PER"), ("Boston", "GEO")]),
        (TEXTS[2], []),
    ],
    ids=["plain", "emoji", "nothing"],
)
def test_its_tasks_get_our_entities_at_exact_offsets(
    connected: Connected, text: str, entities: list[tuple[str, str]]
) -> None:
    retrieve(connected, connected.tasks[text])
    [prediction] = predicted(connected, text)
    assert prediction["model_version"] == "tiny@1"
    values = [mark["value"] for mark in prediction["result"]]
    assert [(value["text"], *value["labels"]) for value in values] == entities
    assert all(text[value["start"] : value["end"]] == value["text"] for value in values)


def test_an_annotation_there_is_a_correction_here_and_a_changed_one_the_next(connected: Connected) -> None:
    text = TEXTS[1]
    start = text.index("Grace")

    def annotation(*spans: tuple[int, int, str]) -> dict[str, Any]:
        values = [
            {"start": start, "end": end, "text": text[start:end], "labels": [label]}
            for start, end, label in spans
        ]
        marks = {"from_name": "kind", "to_name": "words", "type": "labels"}
        return {"result": [{**marks, "id": f"m{n}", "value": v} for n, v in enumerate(values)]}

    hopper = (start, start + len("Grace Hopper"), "PER")
    boston = (text.index("Boston"), text.index("Boston") + 6, "GEO")
    studio, task = connected.studio, connected.tasks[text]
    made = studio.ask(
        "POST", f"tasks/{task}/annotations", {**annotation(hopper), "lead_time": 3.5}, expect=201
    )
    wait_for(lambda: len(connected.corrections()) == 1, "the annotation", seconds=30)
    studio.ask("PATCH", f"annotations/{made['id']}", annotation(hopper, boston))
    wait_for(lambda: len(connected.corrections()) == 2, "the changed annotation", seconds=30)

    first, second = connected.corrections()
    assert first[:3] == [text, f"label-studio:{task}", 1]
    assert [(text[s["start"] : s["end"]], s["label"]) for s in first[3]] == [("Grace Hopper", "per")]
    assert second[:3] == [text, f"label-studio:{task}", 2]
    assert [(text[s["start"] : s["end"]], s["label"]) for s in second[3]] == [
        *[("Grace Hopper", "per"), ("Boston", "geo")]
    ]
