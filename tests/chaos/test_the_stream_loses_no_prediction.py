"""Answers recorded by a Redis stream: each is a row once, whatever is killed. Real processes of its own."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import psycopg2
import pytest
import redis

from bench.serving.site import Site, running, wait_for
from tests.bundles import tiny_bundle
from tests.chaos.serving import Traffic, ask, get

pytestmark = pytest.mark.slow

_SET_UP = """
import sys
from pathlib import Path
from audit.services import SYSTEM
from corpus.services import LabelDraft, project_create
from inference.services import api_key_create, deployment_set, version_register
project = project_create(slug="chaos", name="Chaos", labels=[LabelDraft(name="per")], actor=SYSTEM)
version = version_register(path=Path(sys.argv[1]), name="tiny", project=project, actor=SYSTEM)
deployment_set(project=project, slot="champion", version=version, actor=SYSTEM, reason="start")
print(api_key_create(
    project=project, name="callers", scopes=["predict"], actor=SYSTEM, rate_per_hour=10_000_000
)[1])
"""


@dataclass
class Served:
    """A site whose answers go through the stream."""

    site: Site
    port: int
    key: str

    def rows(self) -> dict[str, int]:
        """How often each prediction is a row."""
        connection = psycopg2.connect(self.site.environ["DATABASE_URL"])
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT id::text, count(*) FROM inference_prediction GROUP BY id")
                return dict(cursor.fetchall())
        finally:
            connection.close()

    def waiting(self) -> int:
        """Predictions that are answered and no rows yet."""
        with redis.Redis.from_url(self.site.environ["REDIS_URL"]) as client:
            return int(client.scard("predictions:ids"))

    def workers(self) -> list[psutil.Process]:
        """The web processes: each answers, and writes."""
        return psutil.Process(self.site.webs[0].pid).children()

    def all_stand(self, traffic: Traffic) -> None:
        """Every answer is a row, once, and nothing else is."""
        answered = {told.body["prediction_id"] for told in traffic.served()}
        wait_for(lambda: self.waiting() == 0, "the stream to be written", seconds=30)
        found = self.rows()
        assert answered - found.keys() == set()
        assert {count for pk, count in found.items() if pk in answered} <= {1}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One site for all faults; each test leaves it healed."""
    bundle = tiny_bundle(tmp_path_factory.mktemp("bundles") / "v1")
    with running() as site:
        key = site.python(_SET_UP, str(bundle)).strip()
        port = site.web_start(PREDICTION_RECORDING="stream")
        served = Served(site, port, key)
        wait_for(lambda: ask(port, key).status == 200, "the first answer")
        wait_for(lambda: len(served.workers()) == 2, "two web processes")
        yield served


def test_a_prediction_is_a_row_within_about_a_second(served: Served) -> None:
    told = ask(served.port, served.key)
    wait_for(lambda: told.body["prediction_id"] in served.rows(), "the row", seconds=5)
    assert time.time() - told.got < 2


def test_web_processes_killed_again_and_again_lose_and_double_nothing(served: Served) -> None:
    with Traffic(served.port, served.key, callers=6) as traffic:
        for _ in range(6):
            wanted = len(traffic.told) + 30
            wait_for(
                lambda wanted=wanted: len(traffic.told) > wanted and len(served.workers()) == 2, "traffic"
            )
            # They are the writers, too: all of them die with what they had in their hands.
            for worker in served.workers():
                worker.send_signal(signal.SIGKILL)
        wait_for(lambda: ask(served.port, served.key).status == 200, "new web processes", seconds=30)
    assert len(traffic.served()) > 150
    served.all_stand(traffic)


def test_a_redis_killed_in_the_middle_loses_and_doubles_nothing(served: Served) -> None:
    with Traffic(served.port, served.key) as traffic:
        wait_for(lambda: len(traffic.told) > 50, "traffic")
        served.site.service_signal(served.site.redis, signal.SIGKILL)
        died = time.time()
        wait_for(lambda: len(traffic.served(sent_after=died)) > 50, "answers without Redis")
        assert get(served.port, "ready")[1]["checks"]["recording"]["status"] == "degraded"
        # Without Redis they are rows before they are told.
        assert {
            told.body["prediction_id"] for told in traffic.served(sent_after=died)
        } <= served.rows().keys()
        served.site.service_start(served.site.redis)
        wait_for(
            lambda: all(get(served.port, "ready")[1]["status"] == "ready" for _ in range(6)),
            "the stream to be used again",
            seconds=20,
        )
        back = time.time()
        wait_for(lambda: len(traffic.served(sent_after=back)) > 30, "answers")
    assert traffic.failed() == []
    served.all_stand(traffic)


def test_a_redis_that_hangs_fails_no_request_and_doubles_nothing(served: Served) -> None:
    with Traffic(served.port, served.key) as traffic:
        wait_for(lambda: len(traffic.told) > 50, "traffic")
        served.site.service_signal(served.site.redis, signal.SIGSTOP)
        try:
            time.sleep(3)
        finally:
            served.site.service_signal(served.site.redis, signal.SIGCONT)
        healed = time.time()
        wait_for(lambda: len(traffic.served(sent_after=healed)) > 50, "answers")
    assert traffic.failed() == []
    served.all_stand(traffic)


def test_an_emptied_redis_loses_at_most_what_waited(served: Served) -> None:
    with Traffic(served.port, served.key) as traffic:
        wait_for(lambda: len(traffic.told) > 50, "traffic")
        emptied = time.time()
        with redis.Redis.from_url(served.site.environ["REDIS_URL"]) as client:
            client.flushdb()
        flushed = time.time()
        wait_for(lambda: len(traffic.served(sent_after=flushed)) > 100, "answers")
    assert traffic.failed() == []
    wait_for(lambda: served.waiting() == 0, "the stream to be written", seconds=30)
    lost = [told for told in traffic.served() if told.body["prediction_id"] not in served.rows()]
    # What was answered within the last second or so before, and nothing after.
    assert all(emptied - 2 < told.got < flushed + 0.2 for told in lost), [emptied - one.got for one in lost]


def test_while_postgresql_is_away_answers_go_on_and_become_rows_later(served: Served) -> None:
    # A refusal may end the connection it comes on.
    with Traffic(served.port, served.key, keeps_open=False) as traffic:
        wait_for(lambda: len(traffic.told) > 50, "traffic")
        served.site.service_signal(served.site.postgres, signal.SIGQUIT)
        served.site.services["postgres"].wait(20)
        away = time.time()
        served.site.service_start(served.site.postgres)
        back = time.time()
        wait_for(lambda: len(traffic.served(sent_after=back)) > 50, "answers", seconds=30)
    # A key is looked up again every few seconds: who falls into such a look-up hears 503, as ever.
    assert {told.status for told in traffic.failed()} <= {503}
    assert [told for told in traffic.served(sent_after=away) if told.got < back] != []
    served.all_stand(traffic)
