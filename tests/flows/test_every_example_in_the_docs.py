"""Every example of the documentation is carried out as it stands there, on a real running site.

What a reader would put in for themselves (a key, an address, a file) is in `Reader.said_for`; what cannot be
carried out is in `LEFT_OUT` with the reason, so that a new example is run or explained, never overlooked.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import get_commands, load_command_class
from jsonschema import Draft202012Validator

from audit.models import AuditEvent
from bench.serving.site import Site, running, wait_for
from tests.workers import kill
from webhooks.services.events import TOLD

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELL, CODE = {"console", "sh", "shell", "bash"}, {"python", "json"}

#: By the first words of a command or block.
LEFT_OUT = {
    "make run ": "the whole of nerapp: tests/services and tests/chaos start it with this command's module",
    "make test": "is what runs this",
    "python -m ner.evaluate --bundle models/flagship --data ner_dataset.csv": "GMB is not part of this",
    "deploy/make-secrets": "needs Docker and root: tests/contracts/test_deployment.py checks the files",
    "NERAPP_HOST=ner.example.org docker compose": "needs Docker",
    "docker compose exec web python manage.py signin_link": "needs Docker",
    "from http.server import BaseHTTPRequestHandler": "run by tests/webhooks/test_the_documentation.py",
}
#: The pages' second version.
_CANDIDATE = """
import sys
from pathlib import Path
from audit.services import SYSTEM
from corpus.models import Project
from inference.services import version_register
project = Project.objects.get(slug="demo")
version = version_register(path=Path(sys.argv[1]), name="flagship", project=project, actor=SYSTEM)
assert str(version) == "flagship@2"
"""
EXPERIMENT = {
    "question": "Does flagship@2 need fewer edits?",
    "arms": [{"version": "flagship@2", "share": 50}],
}
LETTERS = ['{"id": "a", "text": "Ada Lovelace moved to London in 1835."}', '{"id": "b", "text": "No one."}']
STUDIO = [{"id": 1, "data": {"text": "Ada sang."}, "annotations": [{"id": 1, "result": []}]}]


#: What a check does whose rollout asks a person.
_ASK_FOR_APPROVAL = """
import sys
from django.db import transaction
from audit.services import SYSTEM
from retraining.models import Rollout
from retraining.services import rollout_moves
rollout, why = Rollout.objects.get(pk=sys.argv[1]), "A person approves 5 %."
with transaction.atomic():
    rollout_moves.change(rollout, kind="ask", actor=SYSTEM, reason=why, status="waiting")
"""


@dataclass(frozen=True)
class Example:
    """One fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command with what the page says it prints (nothing where it does not say)."""
        lines = self.text.replace("\\\n", "\\\\\n").split("\n")
        found: list[tuple[list[str], list[str]]] = []
        for line in lines:
            continues = bool(found) and found[-1][0][-1].endswith("\\\\")
            if continues:
                found[-1][0].append(line)
            elif self.language != "console":
                found.append(([line], []))
            elif line.startswith("$ "):
                found.append(([line[2:]], []))
            elif found:
                found[-1][1].append(line)
        told = [("\n".join(said).replace("\\\\\n", "\\\n"), "\n".join(shown)) for said, shown in found]
        return [(said, shown.strip()) for said, shown in told if said.strip()]


def examples() -> Iterator[Example]:
    """All that a reader may copy: fenced blocks in a language, or that name one of our commands."""
    fence = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.DOTALL | re.MULTILINE)
    for page in PAGES:
        text = page.read_text("utf-8")
        for found in fence.finditer(text):
            indent, language, body = found.groups()
            ours = re.search(r"manage\.py|curl |python -m|docker |make ", body)
            if language in SHELL | CODE or ours:
                line = text.count("\n", 0, found.start()) + 1
                body = re.sub(rf"^{indent}", "", body, flags=re.MULTILINE).strip("\n")
                yield Example(str(page.relative_to(ROOT)), line, language, body)


EXAMPLES = list(examples())


def left_out(said: str) -> bool:
    """Is there a reason not to run it?"""
    return any(said.startswith(begin) for begin in LEFT_OUT)


@dataclass
class Reader:
    """Somebody who follows the pages, on a site of their own."""

    site: Site
    port: int
    key: str
    folder: Path

    @property
    def said_for(self) -> list[tuple[str, str]]:
        """What a reader puts in for what the pages cannot know."""
        return [
            ("http://127.0.0.1:8000", f"http://127.0.0.1:{self.port}"),
            ("ner_live_...", self.key),
            ('"prediction_id": "..."', f'"prediction_id": "{self.predicted()}"'),
        ]

    def ask(self, method: str, path: str, body: Any = None, key: str = "") -> tuple[int, Any]:
        """One call of the API."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(
                method,
                path,
                None if body is None else json.dumps(body),
                {"Authorization": f"Bearer {key or self.key}", "Content-Type": "application/json"},
            )
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def predicted(self) -> str:
        """The id of a prediction of the pages' text, in words that nobody has corrected yet."""
        text = f"Ada Lovelace moved to London in 1835. {os.urandom(4).hex()}"
        status, answer = self.ask("POST", "/api/v1/predict", {"text": text})
        assert status == 200, answer
        return str(answer["prediction_id"])

    def experiment(self, *, is_running: bool) -> str:
        """The number of an experiment that was drafted, or started, a moment ago."""
        status, made = self.ask("POST", "/api/v1/experiments", EXPERIMENT)
        assert status == 201, made
        if is_running:
            self.ask("POST", f"/api/v1/experiments/{made['id']}/start", {"reason": "to find out"})
        return str(made["id"])

    def rollout(self, act: str) -> str:
        """The number of a rollout on which this act is possible."""
        begun = {"version": "flagship@2", "reason": "It passed the gate."}
        status, made = self.ask("POST", "/api/v1/rollouts", begun)
        assert status == 201, made
        if act == "resume":
            self.ask("POST", f"/api/v1/rollouts/{made['id']}/pause", {"reason": "Until tomorrow."})
        if act == "approve":
            self.site.python(_ASK_FOR_APPROVAL, str(made["id"]))
        return str(made["id"])

    def nothing_moves(self) -> None:
        """End what moves the callers (an experiment, a rollout) and wait until the champion answers again."""
        for one in self.ask("GET", "/api/v1/experiments")[1]["experiments"]:
            if one["status"] == "running":
                self.ask("POST", f"/api/v1/experiments/{one['id']}/stop", {"reason": "the next one"})
        for one in self.ask("GET", "/api/v1/rollouts")[1]["rollouts"]:
            if one["ended_at"] is None:
                self.ask("POST", f"/api/v1/rollouts/{one['id']}/roll-back", {"reason": "the next one"})
        wait_for(lambda: self.routed() == "the project's champion", "the champion to answer all callers")

    def routed(self) -> str:
        """Why a version answers."""
        _, answer = self.ask("POST", "/api/v1/predict", {"text": "Ada sang.", "store": False})
        return str(answer["routing_decision"]["reason"])

    def does(self, example: Example) -> list[str]:
        """What the commands of a block print, one after the other in one shell."""
        script = ["set -eo pipefail"]
        for said, _ in example.commands:
            if not left_out(said):
                for ours, theirs in self.said_for:
                    said = said.replace(ours, theirs)
                if "…" in said:
                    # A line kept from an earlier run, of the chain that the page asks about.
                    kept = self.site.manage("audit_verify", "--chain", "demo").split()[1]
                    said = re.sub(r"\d+:[0-9a-f]+…", kept, said)
                script.append(said)
            script.append("printf '\\036'")
        environ = {
            **self.site.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "KEY": self.key,
        }
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=self.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{example}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        return done.stdout.split("\x1e")[:-1]


@pytest.fixture(scope="module")
def only_reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A site with the demo project, as `make run` makes it, and a worker for bulk predictions."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("manage.py", "models", "corpora", ".venv"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "letters.jsonl").write_text("\n".join(LETTERS), "utf-8")
    (folder / "project-1.json").write_text(json.dumps(STUDIO), "utf-8")
    with running() as site:
        site.manage("setup_demo")
        site.python(_CANDIDATE, str(ROOT / "models" / "model2"))
        scopes = ["predict", "feedback", "models", "route", "traffic", "export"]
        key = site.manage(
            "apikey_create", "--project", "demo", "--name", "reader", "--scopes", *scopes
        ).strip()
        site.webs.append(
            subprocess.Popen(
                [
                    *(sys.executable, "-m", "celery", "--app", "nerapp", "--quiet", "worker"),
                    *("--queues", "predict", "--concurrency", "1", "--without-gossip", "--without-mingle"),
                ],
                cwd=ROOT,
                env=site.environ,
                start_new_session=True,
            )
        )
        reader = Reader(site, site.web_start(workers=1), key, folder)

        def is_up() -> bool:
            try:
                return reader.ask("GET", "/api/v1/models")[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_for(is_up, "the site")
        yield reader
        kill(site.webs[0])


@pytest.fixture
def reader(only_reader: Reader) -> Reader:
    """As each example is carried out: what another one began is over."""
    only_reader.nothing_moves()
    return only_reader


def fits(shown: str, printed: str) -> bool:
    """Is it what the page shows, where `...` stands for anything?"""
    pattern = ".*".join(re.escape(piece) for piece in shown.split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.language not in CODE], ids=str)
def test_every_command_of_a_page_does_what_the_page_says(reader: Reader, example: Example) -> None:
    for (said, shown), printed in zip(example.commands, reader.does(example), strict=True):
        if left_out(said):
            continue
        assert not shown or fits(shown, printed), f"{said}\nshows {shown}\nprinted {printed}"
        if "curl" in said and printed.strip().startswith("{"):
            answer = json.loads(printed)
            assert "title" not in answer, f"{said} was refused: {printed}"


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.language == "python"], ids=str)
def test_every_piece_of_python_runs(example: Example, tmp_path: Path) -> None:
    if left_out(example.text):
        return
    from ner.formats import read_records

    path = tmp_path / "some.jsonl"
    line = {"doc_id": "1", "content": "Ada sang.", "text": "Ada sang.", "spans": []}
    path.write_text(json.dumps(line) + "\n", "utf-8")
    records = list(read_records(path))
    names = {"path": path, "records": records, "stream": io.BytesIO(), "Counter": Counter}
    exec(example.text, {**names, "read_records": read_records})  # noqa: S102  (our own page)


def the_problem(reader: Reader) -> Any:
    # As long as the page's text, and never corrected before.
    text = f"Ada Lovelace moved to London at {os.urandom(2).hex()}."
    status, answer = reader.ask("POST", "/api/v1/predict", {"text": text})
    assert status == 200, answer
    wrong = {"prediction_id": answer["prediction_id"], "spans": [{"start": 0, "end": 99, "label": "per"}]}
    return reader.ask("POST", "/api/v1/feedback", wrong)[1]


def the_promotion(_: Reader) -> Any:
    data = {"from": "demo@1", "to": "demo@2", "generation": 2}
    event = AuditEvent(chain="demo", action="version.promote", subject="inference.deployment:1", data=data)
    kind, data_of = TOLD[event.action]
    told = {"project": "demo", **(data_of(event) or {})}
    return {"data": told, "timestamp": "2026-11-25T22:44:05.120000+00:00", "type": str(kind)}


#: Where each answer that a page shows as JSON comes from.
SHOWN = {'{"type": "about:blank"': the_problem, '{"data":{"from":"demo@1"': the_promotion}


@pytest.mark.parametrize("example", [one for one in EXAMPLES if one.language == "json"], ids=str)
def test_every_answer_that_a_page_shows_is_given(reader: Reader, example: Example) -> None:
    [make] = [make for begin, make in SHOWN.items() if example.text.startswith(begin)]
    assert alike(json.loads(example.text), make(reader)) == []


def test_there_is_no_reason_for_what_is_not_there_any_more() -> None:
    said = [said for example in EXAMPLES for said, _ in example.commands]
    said += [example.text for example in EXAMPLES]
    assert [begin for begin in LEFT_OUT if not any(one.startswith(begin) for one in said)] == []
    assert {one.language for one in EXAMPLES} <= SHELL | CODE, "say which language a block is in"


def test_every_command_that_a_sentence_names_is_there_with_its_options() -> None:
    wrong = []
    for page in PAGES:
        sentences = re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
        for code in re.findall(r"`([^`]*manage\.py [^`]*)`", sentences):
            name, *words = code.partition("manage.py ")[2].split()
            if name not in get_commands():
                wrong.append(f"{page.name}: manage.py {name}")
                continue
            command = load_command_class(get_commands()[name], name)
            actions = command.create_parser("manage.py", name)._actions
            known = {option for action in actions for option in action.option_strings}
            options = [word.strip("[]") for word in words if word.strip("[]").startswith("--")]
            wrong += [f"{page.name}: {name} {option}" for option in options if option not in known]
    assert wrong == []


# --- the OpenAPI document ------------------------------------------------------------------------------

DOCUMENT = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
#: Differs from answer to answer: what matters is that it is there, in its type.
_OWN = {"request_id", "prediction_id", "batch_id", "id", "document_id", "access_token", "created_at"}
_OWN |= {"answers_per_day", "at", "started_at", "step_started_at"}


def problems(schema: Any, value: Any) -> list[str]:
    """What a schema of the document has against a value."""
    whole = {**schema, "components": DOCUMENT["components"]}
    return [error.message for error in Draft202012Validator(whole).iter_errors(value)]


def alike(shown: Any, given: Any, place: str = "") -> list[str]:
    """Where an answer differs from the one that is shown: ids and times aside, `...` for anything."""
    if isinstance(shown, dict) and isinstance(given, dict):
        missing = [f"{place}/{name} is not in both" for name in shown.keys() ^ given.keys()]
        both = [name for name in shown if name in given and not name.endswith("_ms")]
        return missing + [
            one
            for name in both
            for one in alike(shown[name], given[name], f"{place}/{name}")
            if name not in _OWN or type(shown[name]) is not type(given[name])
        ]
    if isinstance(shown, list) and isinstance(given, list) and len(shown) == len(given):
        return [
            one
            for n, pair in enumerate(zip(shown, given, strict=True))
            for one in alike(*pair, f"{place}/{n}")
        ]
    if isinstance(shown, float) and isinstance(given, float):
        # The last digits of a confidence are the processor's.
        return [] if abs(shown - given) < 0.02 else [f"{place}: {shown} and {given}"]
    if isinstance(shown, str) and isinstance(given, str) and fits(shown, given):
        return []
    return [] if shown == given else [f"{place}: {shown!r} and {given!r}"]


def schemas_with_examples(node: Any, place: str) -> Iterator[tuple[str, Any, Any]]:
    """Every schema below a node that shows values, and each value."""
    if isinstance(node, dict):
        # Beside a schema stand the named examples of a whole body: see `contents`.
        if "schema" not in node and isinstance(shown := node.get("examples"), list):
            schema = {key: part for key, part in node.items() if key != "examples"}
            yield from ((place, schema, value) for value in shown)
        for name, below in node.items():
            yield from schemas_with_examples(below, f"{place}/{name}")
    elif isinstance(node, list):
        for number, below in enumerate(node):
            yield from schemas_with_examples(below, f"{place}/{number}")


def contents() -> Iterator[tuple[str, Any]]:
    """Every body of the document, asked or answered, with where it stands."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            for kind, content in operation.get("requestBody", {}).get("content", {}).items():
                yield f"{method} {path} {kind}", content
            for status, response in operation["responses"].items():
                for kind, content in response.get("content", {}).items():
                    yield f"{method} {path} {status} {kind}", content


def test_every_example_of_the_document_fits_its_schema() -> None:
    shown = list(schemas_with_examples(DOCUMENT, ""))
    shown += [
        (place, content["schema"], example["value"])
        for place, content in contents()
        for example in content.get("examples", {}).values()
    ]
    assert len(shown) > 30
    wrong = [
        f"{place}: {problems(schema, value)}" for place, schema, value in shown if problems(schema, value)
    ]
    assert wrong == []


def test_every_request_with_a_json_body_has_an_example() -> None:
    bodies = [(place.split(), content) for place, content in contents()]
    without = [
        place
        for place, content in bodies
        if place[2:] == ["application/json"] and not content.get("examples")
    ]
    assert without == []


def asked() -> Iterator[tuple[str, str, str, Any]]:
    """Every request of the document that is shown: its path, its method, the example's name, the body."""
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for name, example in body.get("examples", {}).items():
                yield path, method, name, example["value"]


@pytest.mark.parametrize(("path", "method", "name", "body"), list(asked()), ids=lambda value: str(value)[:40])
def test_every_request_of_the_document_is_answered_as_documented(
    reader: Reader, path: str, method: str, name: str, body: Any
) -> None:
    if "prediction_id" in body:
        body = {**body, "prediction_id": reader.predicted()}
    if "{experiment_id}" in path:
        is_running = not path.endswith("/start")
        experiment = reader.experiment(is_running=is_running)
        status, answer = reader.ask(method.upper(), path.replace("{experiment_id}", experiment), body)
    elif "{rollout_id}" in path:
        rollout = reader.rollout(path.rpartition("/")[2])
        status, answer = reader.ask(method.upper(), path.replace("{rollout_id}", rollout), body)
    else:
        status, answer = reader.ask(method.upper(), path, body)
    responses = DOCUMENT["paths"][path][method]["responses"]
    assert status < 300, answer
    content = responses[str(status)]["content"]["application/json"]
    assert problems(content["schema"], answer) == []
    assert alike(content["examples"][name]["value"], answer) == []
