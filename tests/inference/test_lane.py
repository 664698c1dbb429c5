"""Long texts take turns and never all threads; short ones do not wait for them."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from inference.errors import TooMuchAtOnce
from inference.lane import LONG, Lane
from inference.lane import lane as the_lane
from inference.models import ApiKey, ModelVersion
from tests.conftest import wait_until
from tests.inference.conftest import Post


@pytest.fixture
def lane(settings: Any, tmp_path: Path) -> Lane:
    settings.WEB_THREADS = 8
    settings.RUN_DIR = tmp_path / "run"
    return Lane()


@pytest.fixture
def pool(lane: Lane) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor() as pool:
        yield pool


@pytest.fixture
def held(lane: Lane, pool: ThreadPoolExecutor) -> Iterator[ExitStack]:
    """Somebody reads a long text until this is closed."""
    with ExitStack() as stack:
        stack.enter_context(lane.turn(characters=LONG, caller="first"))
        yield stack


def waiting(lane: Lane, caller: str, pool: ThreadPoolExecutor, over: list[str]) -> None:
    """Have a caller wait for a turn in a thread of its own."""

    def work() -> None:
        with lane.turn(characters=LONG, caller=caller):
            over.append(caller)

    before = lane._inside.total()
    pool.submit(work)
    wait_until(lambda: lane._inside.total() > before, "the caller to wait")


def is_refused(lane: Lane, caller: str, pool: ThreadPoolExecutor) -> bool:
    """Is a caller refused, rather than made to wait?"""

    def work() -> None:
        with lane.turn(characters=LONG, caller=caller):
            pass

    return isinstance(pool.submit(work).exception(timeout=5), TooMuchAtOnce)


def test_a_short_text_does_not_wait_for_a_long_one(
    lane: Lane, held: ExitStack, pool: ThreadPoolExecutor
) -> None:
    def work() -> str:
        with lane.turn(characters=LONG - 1, caller="other"):
            return "done"

    assert pool.submit(work).result(timeout=5) == "done"


def test_long_texts_take_turns(lane: Lane, held: ExitStack, pool: ThreadPoolExecutor) -> None:
    over: list[str] = []
    waiting(lane, "second", pool, over)
    assert over == []
    held.close()
    wait_until(lambda: over == ["second"], "its turn")
    wait_until(lambda: lane._inside.total() == 0, "the end")


def test_half_of_the_threads_stay_free_of_long_texts(
    lane: Lane, held: ExitStack, pool: ThreadPoolExecutor
) -> None:
    over: list[str] = []
    for caller in ("second", "third", "fourth"):
        waiting(lane, caller, pool, over)
    assert is_refused(lane, "fifth", pool)
    held.close()
    wait_until(lambda: sorted(over) == ["fourth", "second", "third"], "the turns of who waited")


def test_one_caller_leaves_a_place_to_the_others(
    lane: Lane, held: ExitStack, pool: ThreadPoolExecutor
) -> None:
    for _ in range(2):
        waiting(lane, "first", pool, [])
    assert is_refused(lane, "first", pool)
    waiting(lane, "other", pool, [])


def test_the_processes_of_a_machine_take_turns_too(
    lane: Lane, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with lane.turn(characters=LONG, caller="here"):
        [path] = settings.RUN_DIR.iterdir()
        locks = "import fcntl, sys; fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX); print('mine', flush=True)"
        other = subprocess.Popen([sys.executable, "-c", locks, path], stdout=subprocess.PIPE)
        assert other.stdout
        first_word = threading.Thread(target=other.stdout.readline)
        first_word.start()
        first_word.join(0.5)
        assert first_word.is_alive()
    first_word.join(10)
    assert other.wait(10) == 0


@pytest.mark.django_db
def test_who_comes_too_often_is_told_when_to_come_again(
    post: Post, champion: ModelVersion, key: tuple[ApiKey, str], settings: Any
) -> None:
    settings.WEB_THREADS = 4
    long = {"text": "Ada " * 5000}
    with the_lane.turn(characters=LONG, caller=key[0].pk):
        refused = post("predict", long)
    assert (refused.status_code, refused.json()["code"]) == (503, "too_much_at_once")
    assert refused.headers["Retry-After"] == "1"
    assert post("predict", long).status_code == 200
