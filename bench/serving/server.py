"""What is measured: nerapp with a project, a key and a model in service, and the requests that it is sent."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import psycopg2

from bench.serving.load import Measured, request_bytes
from bench.serving.meter import Round, metered
from bench.serving.site import Site, running, wait_for
from nerapp.env import PROJECT

#: As many as a paid plan would never reach; the exactness of limits has keys of its own.
RATE_PER_HOUR = 1_000_000_000

_SET_UP = """
import sys
from audit.services import SYSTEM
from corpus.services import LabelDraft, project_create
from inference.services import api_key_create, base_models_load, deployment_set
project = project_create(slug="bench", name="Bench", labels=[LabelDraft(name="per")], actor=SYSTEM)
versions = {version.name: version for version in base_models_load(actor=SYSTEM)}
chosen = versions[sys.argv[1]]
deployment_set(project=project, slot="champion", version=chosen, actor=SYSTEM, reason="bench")
print(chosen, chosen.sha256)
print(api_key_create(
    project=project, name="bench", scopes=["predict"], actor=SYSTEM, rate_per_hour=int(sys.argv[2])
)[1])
"""


@dataclass
class Server:
    """One nerapp that answers, and the key to ask it with."""

    site: Site
    model: str
    key: str
    port: int = 0
    web: subprocess.Popen[bytes] | None = None

    def metered(
        self, load: Callable[[], Measured], web: subprocess.Popen[bytes] | None = None, texts: int = 1
    ) -> Round:
        """Measure a load on its web processes, or on others beside the same services."""
        web = web or self.web
        assert web
        return metered({"web": web, **self.site.services}, load, texts)

    def predicts(self, texts: Iterator[str] | None = None) -> Iterator[bytes]:
        """`POST predict`, one text after the other; each another one unless texts are given."""
        for text in texts or distinct():
            yield request_bytes("/api/v1/predict", json.dumps({"text": text}).encode(), self.key)

    def batches(self, count: int, model: str) -> Iterator[bytes]:
        """`POST predict/batch` with texts that are all different."""
        texts = distinct()
        while True:
            body = {
                "texts": list(itertools.islice(texts, count)),
                "output_format": "entities_only",
                "model": model,
            }
            yield request_bytes("/api/v1/predict/batch", json.dumps(body).encode(), self.key)

    def restart(self) -> float:
        """Start the web processes anew; returns the seconds from spawn to ready."""
        if self.web:
            self.site.web_stop(self.web)
        started = time.perf_counter()
        self.port = self.site.web_start()
        self.web = self.site.webs[-1]
        wait_for(self._is_ready, "the server")
        return time.perf_counter() - started

    def lost(self, ids: Sequence[str]) -> int:
        """How many of the predictions that callers were told of are not in the table."""
        statement = """
            SELECT count(*) FROM unnest(%s::uuid[]) told
            WHERE NOT EXISTS (SELECT FROM inference_prediction WHERE id = told)
        """
        return int(self.sql(statement, list(ids)))

    def sql(self, statement: str, *parameters: object) -> int:
        """The one number that a query answers."""
        opened = contextlib.closing(psycopg2.connect(self.site.environ["DATABASE_URL"]))
        with opened as connection, connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return int(cursor.fetchone()[0])

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/api/v1/ready")
            return bool(json.load(connection.getresponse())["status"] == "ready")
        except (OSError, http.client.HTTPException, ValueError):
            return False
        finally:
            connection.close()


@contextlib.contextmanager
def serving(model: str) -> Iterator[Server]:
    """A nerapp in a temporary folder that serves one of the bundled models."""
    with running() as site:
        served, key = site.python(_SET_UP, model, str(RATE_PER_HOUR)).splitlines()[-2:]
        server = Server(site, served, key)
        server.restart()
        yield server


def sentences() -> list[str]:
    """The sentences of the bundled general set, two by two: about 20 words each."""
    lines = (PROJECT / "corpora" / "rehearsal.txt").read_text("utf-8").split("\n")
    lines = [line for line in lines if line.strip()]
    return [f"{one} {other}" for one, other in zip(lines[::2], lines[1::2], strict=False)]


def distinct() -> Iterator[str]:
    """Texts of about 20 words without end, each another one, so that nothing can be remembered."""
    for number, text in enumerate(itertools.cycle(sentences())):
        yield f"{number} {text}"


def of_length(characters: int) -> Iterator[str]:
    """Texts of exactly this many characters, each another one as far as so few allow."""
    words = itertools.cycle(" ".join(sentences()))
    for number in itertools.count():
        start = f"{number} " if characters > 5 else chr(0x4E00 + number % 20_000)
        yield (start + "".join(itertools.islice(words, characters)))[:characters]
