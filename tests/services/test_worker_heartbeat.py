"""A worker says that it lives; when it dies, the silence is noticed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
import redis
from django.conf import settings

from nerapp import heartbeat
from nerapp.env import PROJECT
from nerapp.heartbeat import queues_missing, workers_alive
from tests.conftest import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("services")]


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A real worker of one queue, started as `make run` does."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "celery", "--app", "nerapp", "--quiet", "worker"),
            *("--without-gossip", "--without-mingle", "--concurrency", "1", "--queues", "predict"),
        ],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield process
    process.kill()
    process.wait(10)


def test_a_living_worker_is_seen_and_says_so_again_after_redis_was_emptied(
    worker: subprocess.Popen[bytes],
) -> None:
    wait_until(lambda: "predict" in (workers_alive() or {}), "the worker's first word", seconds=60)
    assert queues_missing() == ["default", "control", "train"]
    with redis.Redis.from_url(settings.CACHE_URL) as client:
        client.flushdb()
    wait_until(lambda: "predict" in (workers_alive() or {}), "its next word", seconds=30)


def test_silence_means_that_no_worker_lives() -> None:
    assert workers_alive() == {}
    assert queues_missing() == ["default", "control", "predict", "train"]


def test_without_redis_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "_redis", lambda: redis.Redis.from_url("redis://127.0.0.1:1/0"))
    assert workers_alive() is None
    assert queues_missing() == ["default", "control", "predict", "train"]
