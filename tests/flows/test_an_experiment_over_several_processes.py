"""An experiment as callers meet it: three web processes of their own, and one deal for all of them."""

from __future__ import annotations

import http.client
import json
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import psycopg2
import pytest

from bench.serving.site import Site, running, wait_for
from ner.sequential import sample_ratio_p
from tests.bundles import WORDS, tiny_bundle

pytestmark = pytest.mark.slow

PROCESSES = 3
SUBJECTS = [f"caller {number}" for number in range(240)]
SHARES = {"champion": 50.0, "challenger": 20.0, "challenger-2": 30.0}

_START = """
import sys
from pathlib import Path
from audit.services import SYSTEM
from corpus.services import LabelDraft, project_create
from inference.services import api_key_create, deployment_set, version_register
from retraining.services import experiment_create, experiment_start
project = project_create(slug="shop", name="Shop", labels=[LabelDraft(name="per")], actor=SYSTEM)
versions = [
    version_register(path=Path(path), name="tiny", project=project, actor=SYSTEM) for path in sys.argv[1:]
]
deployment_set(project=project, slot="champion", version=versions[0], actor=SYSTEM, reason="start")
print(api_key_create(
    project=project, name="callers", scopes=["predict"], actor=SYSTEM, rate_per_hour=10_000_000
)[1])
experiment = experiment_create(
    project=project, question="?", arms=[(versions[1], 20.0), (versions[2], 30.0)], actor=SYSTEM
)
experiment_start(experiment=experiment, actor=SYSTEM, reason="to find out")
"""

_RAISE = """
from audit.services import SYSTEM
from corpus.models import Project
from inference.services import deployment_share
deployment_share(project=Project.objects.get(), slot="challenger", share=40.0, actor=SYSTEM, reason="more")
"""

_DROP = """
from django.db import transaction
from django.utils import timezone
from audit.services import SYSTEM
from retraining.models import Experiment
from retraining.services.experiments import arm_drop
experiment = Experiment.objects.get()
arm = experiment.arms.get(slot="challenger-2")
with transaction.atomic():
    arm_drop(experiment=experiment, arm=arm, at=timezone.now(), why="it is worse", actor=SYSTEM)
"""


@dataclass
class Shop:
    """A site with an experiment under way, asked at each of its processes."""

    site: Site
    key: str
    ports: list[int] = field(default_factory=list)

    def version_of(self, port: int, subject: str) -> str:
        """Which version one process answers a subject with."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            body = json.dumps({"text": "Ada saw London.", "subject": subject})
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request("POST", "/api/v1/predict", body, headers)
            response = connection.getresponse()
            told = json.loads(response.read())
            assert response.status == 200, told
            return str(told["model_version"])
        finally:
            connection.close()

    def dealt(self, port: int) -> dict[str, str]:
        """Every subject's version, as one process answers."""
        with ThreadPoolExecutor(4) as pool:
            versions = pool.map(lambda subject: self.version_of(port, subject), SUBJECTS)
            return dict(zip(SUBJECTS, versions, strict=True))

    def kept(self) -> dict[tuple[str, str], int]:
        """The stored answers by slot and version."""
        connection = psycopg2.connect(self.site.environ["DATABASE_URL"])
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(
                    "SELECT p.slot, v.name || '@' || v.number, count(*) FROM inference_prediction p "
                    "JOIN inference_modelversion v ON v.id = p.version_id "
                    "WHERE p.bucket IS NOT NULL GROUP BY 1, 2"
                )
                return {(slot, version): count for slot, version, count in cursor.fetchall()}
        finally:
            connection.close()

    def everywhere(self, is_so: dict[str, str]) -> None:
        """Wait until every process answers these subjects so."""
        for port in self.ports:
            wait_for(
                lambda port=port: all(self.version_of(port, one) == to for one, to in is_so.items()),
                f"the process at {port} to follow",
            )


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    words = [WORDS, WORDS | {"Kent": "B-geo"}, WORDS | {"Bath": "B-geo"}]
    bundles = [str(tiny_bundle(tmp_path / str(place), known)) for place, known in enumerate(words)]
    with running() as site:
        shop = Shop(site, site.python(_START, *bundles).strip().splitlines()[-1])
        shop.ports = [site.web_start(workers=1, threads=4) for _ in range(PROCESSES)]
        for port in shop.ports:
            wait_for(lambda port=port: _answers(shop, port), f"the process at {port}", seconds=120)
        yield shop


def _answers(shop: Shop, port: int) -> bool:
    try:
        return bool(shop.version_of(port, "a probe"))
    except (OSError, http.client.HTTPException, AssertionError):
        return False


def test_one_subject_has_one_version_in_every_process_whatever_is_done_to_the_others(shop: Shop) -> None:
    first, *others = [shop.dealt(port) for port in shop.ports]
    assert all(other == first for other in others)
    kept = shop.kept()
    assert set(kept) == {("champion", "tiny@1"), ("challenger", "tiny@2"), ("challenger-2", "tiny@3")}
    assert sum(kept.values()) >= PROCESSES * len(SUBJECTS)
    found = Counter(first.values())
    by_slot = {slot: found[version] for slot, version in kept}
    # By chance once in a million times; each subject counts once, however often it asked.
    assert sample_ratio_p(by_slot, SHARES) > 1e-6

    shop.site.python(_RAISE)
    mine = [one for one, version in first.items() if version == "tiny@2"]
    raised = None
    for port in shop.ports:
        wait_for(lambda port=port: Counter(shop.dealt(port).values())["tiny@2"] > len(mine), "the share")
        now = shop.dealt(port)
        assert raised in (None, now)
        raised = now
        assert {now[one] for one in mine} == {"tiny@2"}, "raising a share moves nobody out of it"
    assert raised is not None
    assert set(raised.values()) == {"tiny@1", "tiny@2", "tiny@3"}

    shop.site.python(_DROP)
    worse = next(one for one, version in raised.items() if version == "tiny@3")
    shop.everywhere({worse: "tiny@1"})
    for port in shop.ports:
        after = {one: "tiny@1" if version == "tiny@3" else version for one, version in raised.items()}
        assert shop.dealt(port) == after, "its callers get the champion's answers, and nobody else's change"
