"""Predictions while things break: real web processes, a real PostgreSQL and a real Redis of their own."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg2
import pytest
import redis

from bench.serving.site import Site, running, wait_for
from tests.bundles import WORDS, tiny_bundle
from tests.chaos.serving import Told, Traffic, ask, get

pytestmark = pytest.mark.slow

_SET_UP = """
import sys
from pathlib import Path
from audit.services import SYSTEM
from corpus.services import LabelDraft, project_create
from inference.services import api_key_create, deployment_set, version_register
project = project_create(slug="chaos", name="Chaos", labels=[LabelDraft(name="per")], actor=SYSTEM)
versions = [
    version_register(path=Path(path), name="tiny", project=project, actor=SYSTEM) for path in sys.argv[1:]
]
deployment_set(project=project, slot="champion", version=versions[0], actor=SYSTEM, reason="start")
print(api_key_create(
    project=project, name="callers", scopes=["predict"], actor=SYSTEM, rate_per_hour=10_000_000
)[1])
"""

_PROMOTE = """
import sys, time
from audit.services import SYSTEM
from corpus.errors import DomainError
from corpus.models import Project
from inference.models import ModelVersion
from inference.services import version_promote
number, generation = int(sys.argv[1]), int(sys.argv[2])
project, version = Project.objects.get(), ModelVersion.objects.get(number=number)
print("ready", flush=True)
sys.stdin.readline()
try:
    version_promote(
        project=project, version=version, expected_generation=generation, actor=SYSTEM, reason="test"
    )
    print("moved", time.time())
except DomainError as error:
    print(error.code, time.time())
"""


@dataclass
class Served:
    """A site that serves `tiny@1`, with `tiny@2` to `tiny@5` on the shelf."""

    site: Site
    port: int
    key: str

    def sql(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """Straight to the database, past every service."""
        connection = psycopg2.connect(self.site.environ["DATABASE_URL"])
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    @property
    def generation(self) -> int:
        [(generation,)] = self.sql("SELECT generation FROM inference_deployment")
        return int(str(generation))

    def promote(self, number: int) -> float:
        """Promote in a process of its own; returns when it was committed."""
        outcome, at = self.site.python(_PROMOTE, str(number), str(self.generation)).split()[1:]
        assert outcome == "moved"
        return float(at)

    def point(self, number: int) -> None:
        """Move the champion past the check that `version_promote` makes."""
        self.sql(
            "UPDATE inference_deployment SET previous_id = version_id, generation = generation + 1,"
            " version_id = (SELECT id FROM inference_modelversion WHERE number = %s)",
            number,
        )

    def bundle(self, number: int) -> Path:
        """The stored bundle of a version."""
        [(sha256,)] = self.sql("SELECT sha256 FROM inference_modelversion WHERE number = %s", number)
        return Path(self.site.environ["NERAPP_DATA_DIR"]) / "bundles" / str(sha256)

    def workers(self) -> list[psutil.Process]:
        """The web processes that answer."""
        return psutil.Process(self.site.webs[0].pid).children()

    def is_limited_exactly(self) -> bool:
        """Do all web processes count in Redis?"""
        return all("x-ratelimit-degraded" not in told.headers for told in self.asked_at_once())

    def settled(self, version: str) -> bool:
        """Do all web processes serve this version?"""
        return all(told.version == version for told in self.asked_at_once())

    def asked_at_once(self) -> list[Told]:
        """So many that every web process answers some: one after the other, the same one may answer all."""
        with ThreadPoolExecutor(24) as callers:
            return list(callers.map(lambda _: ask(self.port, self.key), range(48)))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One site for all faults; each test leaves it healed."""
    folder = tmp_path_factory.mktemp("bundles")
    paths = [
        str(tiny_bundle(folder / f"v{number}", WORDS | {f"word{number}": "B-art"})) for number in range(1, 6)
    ]
    with running() as site:
        key = site.python(_SET_UP, *paths).strip()
        port = site.web_start()
        served = Served(site, port, key)
        wait_for(lambda: ask(port, key).status == 200, "the first answer")
        wait_for(lambda: len(served.workers()) == 2, "two web processes")
        yield served


def test_a_promotion_reaches_every_web_process_within_5_seconds_and_fails_no_request(served: Served) -> None:
    with Traffic(served.port, served.key, callers=6) as traffic:
        wait_for(lambda: len(traffic.told) > 50, "traffic")
        promoted = served.promote(2)
        time.sleep(6)

    assert traffic.failed() == []
    old = [told.got for told in traffic.served(sent_after=promoted) if told.version == "tiny@1"]
    assert max(old, default=promoted) - promoted < 5
    assert {told.version for told in traffic.served(sent_after=promoted + 5)} == {"tiny@2"}
    # Both processes answered: each keeps its own numbers, and both saw the new version.
    assert len(served.workers()) == 2


def test_of_two_promotions_at_once_one_wins(served: Served) -> None:
    generation = served.generation
    rivals = {number: served.site.python_start(_PROMOTE, str(number), str(generation)) for number in (3, 4)}
    for rival in rivals.values():
        assert rival.stdout
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals.values():
        assert rival.stdin
        rival.stdin.write("go\n")
        rival.stdin.flush()
    outcomes = {number: rival.communicate(timeout=90)[0].split()[0] for number, rival in rivals.items()}

    assert sorted(outcomes.values()) == ["deployment_moved", "moved"]
    [winner] = [number for number, outcome in outcomes.items() if outcome == "moved"]
    assert served.generation == generation + 1
    wait_for(lambda: served.settled(f"tiny@{winner}"), "the winner to serve", seconds=10)
    events = served.sql("SELECT data->>'to' FROM audit_auditevent WHERE action = 'version.promote'")
    assert events.count((f"tiny@{winner}",)) == 1


def test_a_corrupt_bundle_keeps_the_old_version_serving_and_ready_says_so(served: Served) -> None:
    wait_for(lambda: served.settled(ask(served.port, served.key).version), "the tests before to be over")
    before = ask(served.port, served.key).version
    weights = served.bundle(5) / "model.onnx"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with Traffic(served.port, served.key) as traffic:
        served.point(5)
        wait_for(
            lambda: all(get(served.port, "ready")[1]["status"] == "degraded" for _ in range(6)),
            "ready to say so",
        )
        assert get(served.port, "ready")[0] == 200
    assert traffic.failed() == []
    assert {told.version for told in traffic.told} == {before}

    weights.write_bytes(good)
    wait_for(lambda: served.settled("tiny@5"), "the repaired bundle to serve", seconds=40)
    wait_for(lambda: get(served.port, "ready")[1]["status"] == "ready", "ready", seconds=20)


def test_a_web_process_killed_is_replaced_while_the_others_answer(served: Served) -> None:
    victim = served.workers()[0]
    with Traffic(served.port, served.key) as traffic:
        wait_for(lambda: len(traffic.told) > 20, "traffic")
        killed = time.time()
        victim.send_signal(signal.SIGKILL)
        wait_for(
            lambda: (
                victim.pid not in [worker.pid for worker in served.workers()] and len(served.workers()) == 2
            ),
            "a new web process",
            seconds=30,
        )
        # Counted from here: the new process may be there within milliseconds of the kill.
        replaced = time.time()
        wait_for(lambda: len(traffic.served(sent_after=replaced)) > 10, "answers")

    # Only what the dead process held in its hands is lost: one request for each of its callers.
    assert all(told.status == 0 and told.sent <= killed + 1 for told in traffic.failed())
    assert len(traffic.failed()) <= traffic.callers


@pytest.mark.parametrize("hesitates", [0.0, 0.3])
def test_a_rolling_restart_fails_no_request(served: Served, hesitates: float) -> None:
    """Also not of those who were connected to a process that ends, and had not asked yet."""
    before = {worker.pid for worker in served.workers()}
    with Traffic(served.port, served.key, keeps_open=False, hesitates=hesitates) as traffic:
        wait_for(lambda: len(traffic.told) > 20, "traffic")
        served.site.webs[0].send_signal(signal.SIGHUP)
        wait_for(
            lambda: len(served.workers()) == 2 and not before & {worker.pid for worker in served.workers()},
            "new web processes",
            seconds=120,
        )
        renewed = time.time()
        wait_for(lambda: len(traffic.served(sent_after=renewed)) > 20, "answers")
    assert traffic.failed() == []


def test_a_web_process_that_is_told_to_end_while_it_loads_ends(served: Served) -> None:
    before = served.workers()
    for worker in before:
        os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: len(served.workers()) == 2 and not set(before) & set(served.workers()), "new ones")
    for worker in (starting := served.workers()):
        os.kill(worker.pid, signal.SIGUSR1)  # as the server does
    # One that does not hear of it serves on, and is killed in the middle of answers when the grace is over.
    wait_for(lambda: not set(starting) & set(served.workers()), "newer ones", seconds=15)
    wait_for(lambda: ask(served.port, served.key).status == 200, "an answer", seconds=120)


def test_answers_that_are_under_way_at_the_end_are_finished(served: Served) -> None:
    port = served.site.web_start()
    web = served.site.webs.pop()
    try:
        wait_for(lambda: ask(port, served.key).status == 200, "the first answer")
        long = "Ada saw London. " * 6000
        with ThreadPoolExecutor() as callers:
            # As many long texts as one caller may have in one process, should all come to the same.
            asked = [callers.submit(ask, port, served.key, text=f"{one} {long}") for one in range(3)]
            time.sleep(0.2)
            web.send_signal(signal.SIGTERM)
            assert [one.result().status for one in asked] == [200] * 3
        assert web.wait(20) == 0
        assert ask(port, served.key).status == 0
    finally:
        served.site.web_stop(web)


def test_without_redis_predictions_go_on_and_limits_are_local(served: Served) -> None:
    with Traffic(served.port, served.key) as traffic:
        wait_for(lambda: len(traffic.told) > 20, "traffic")
        served.site.service_signal(served.site.redis, signal.SIGKILL)
        died = time.time()
        wait_for(lambda: len(traffic.served(sent_after=died)) > 50, "answers without Redis")
        assert get(served.port, "ready")[1]["checks"]["cache"]["status"] == "degraded"
        assert get(served.port, "ready")[0] == 200
        served.site.service_start(served.site.redis)
        healed = time.time()
        wait_for(
            lambda: "x-ratelimit-degraded" not in ask(served.port, served.key).headers,
            "limits in Redis again",
            seconds=20,
        )
    assert traffic.failed() == []
    without = [told for told in traffic.served(sent_after=died) if told.got < healed]
    assert all(told.headers.get("x-ratelimit-degraded") == "1" for told in without if told.sent > died + 1)


def test_a_hung_redis_costs_a_request_half_a_second_at_most(served: Served) -> None:
    with Traffic(served.port, served.key) as traffic:
        wait_for(lambda: len(traffic.told) > 20, "traffic")
        usual = statistics.median(told.got - told.sent for told in traffic.told)
        served.site.service_signal(served.site.redis, signal.SIGSTOP)
        hung = time.time()
        try:
            time.sleep(4)
        finally:
            served.site.service_signal(served.site.redis, signal.SIGCONT)
    during = [told for told in traffic.told if hung < told.sent < hung + 4]
    assert traffic.failed() == []
    assert len(during) > 20
    # Half a second of waiting, and what two busy cores add to any request.
    assert max(told.got - told.sent for told in during) < 0.5 + max(1.0, 10 * usual)
    wait_for(
        lambda: "x-ratelimit-degraded" not in ask(served.port, served.key).headers,
        "limits in Redis again",
        seconds=20,
    )


def test_an_emptied_redis_fails_no_request(served: Served) -> None:
    with Traffic(served.port, served.key) as traffic:
        wait_for(lambda: len(traffic.told) > 20, "traffic")
        with redis.Redis.from_url(served.site.environ["CACHE_URL"]) as client:
            client.flushall()
            client.script_flush()
        emptied = time.time()
        wait_for(lambda: len(traffic.served(sent_after=emptied)) > 30, "answers")
    assert traffic.failed() == []
    # Not at once: the process may still pass Redis by after the fault of a test before.
    wait_for(served.is_limited_exactly, "exact limits", seconds=20)


def test_postgres_restarted_in_the_middle_is_503_and_then_forgotten(served: Served) -> None:
    with Traffic(served.port, served.key) as traffic:
        wait_for(lambda: len(traffic.told) > 20, "traffic")
        # What pg_ctl calls immediate: every connection is cut, nothing is finished.
        served.site.service_signal(served.site.postgres, signal.SIGQUIT)
        served.site.services["postgres"].wait(20)
        time.sleep(0.5)
        served.site.service_start(served.site.postgres)
        back = time.time()
        wait_for(lambda: len(traffic.served(sent_after=back + 1)) > 50, "answers", seconds=30)

    assert [told for told in traffic.failed() if told.status != 503] == []
    assert all(told.headers["retry-after"] == "2" for told in traffic.failed())
    assert {told.body["code"] for told in traffic.failed()} <= {"database_unavailable"}
    assert traffic.failed(sent_after=back + 5) == []
    # Whatever was answered 200 is there.
    ids = {told.body["prediction_id"] for told in traffic.served()}
    kept = served.sql("SELECT count(*) FROM inference_prediction WHERE id = ANY(%s::uuid[])", list(ids))
    assert kept == [(len(ids),)]


def test_a_new_web_process_with_a_corrupt_champion_serves_the_version_before(served: Served) -> None:
    before = ask(served.port, served.key).version
    number = 1 if before != "tiny@1" else 2
    served.promote(number)
    wait_for(lambda: served.settled(f"tiny@{number}"), "the promotion", seconds=10)
    weights = served.bundle(number) / "model.onnx"
    good = weights.read_bytes()
    weights.write_bytes(good[: len(good) // 2])
    try:
        # What is in memory goes on serving; a process that starts now has only the version before.
        assert ask(served.port, served.key).version == f"tiny@{number}"
        for worker in served.workers():
            os.kill(worker.pid, signal.SIGKILL)
        wait_for(lambda: served.settled(before), "new web processes with the version before", seconds=30)
        status, body = get(served.port, "ready")
        assert (status, body["checks"]["model"]["status"]) == (200, "degraded")
    finally:
        weights.write_bytes(good)
    wait_for(lambda: served.settled(f"tiny@{number}"), "the repaired bundle to serve", seconds=40)
