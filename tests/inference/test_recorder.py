"""Predictions are rows before their callers are told, however many ask at once and whatever breaks."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import psycopg2
import pytest
from django.db import IntegrityError, OperationalError, connection
from django.utils import timezone

from corpus.models import Project
from corpus.services import Row
from inference.models import ModelVersion, Prediction
from inference.recorder import Recorder
from tests.conftest import superuser, wait_until
from tests.inference.conftest import Post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.close()


@pytest.fixture
def row(project: Project, champion: ModelVersion) -> Any:
    def make(text: str = "Ada\twrote \\N and\nleft.", version_id: int = champion.pk) -> Row:
        now = timezone.now().isoformat()
        keys = (str(uuid.uuid4()), str(project.pk), str(version_id))
        return (*keys, text, "[]", "0.5", "0.0", "en", "champion", None, "1.0", "r", None, now)

    return make


def backend_of(recorder: Recorder) -> int:
    return int(recorder._connection.get_backend_pid())


def test_a_text_is_stored_to_the_character(recorder: Recorder, row: Any) -> None:
    recorder.record([row()])
    assert Prediction.objects.get().text == "Ada\twrote \\N and\nleft."


def test_requests_that_wait_at_once_share_a_transaction(
    recorder: Recorder, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = 32
    together, groups = Barrier(callers), []
    copy = Recorder._copy

    def counted(self: Recorder, group: list[Any]) -> None:
        groups.append(len(group))
        copy(self, group)

    monkeypatch.setattr(Recorder, "_copy", counted)
    rows = [row(f"text {number}") for number in range(callers)]

    def ask(number: int) -> None:
        together.wait()
        recorder.record([rows[number]])

    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(ask, range(callers)))
    assert sum(groups) == Prediction.objects.count() == callers
    assert len(groups) < callers / 2


def test_a_row_that_cannot_be_stored_fails_alone(recorder: Recorder, row: Any) -> None:
    callers = 8
    together = Barrier(callers)
    rows = [row(version_id=0) if number == 3 else row() for number in range(callers)]

    def ask(number: int) -> str:
        together.wait()
        try:
            recorder.record([rows[number]])
        except IntegrityError:
            return "refused"
        return "stored"

    with ThreadPoolExecutor(callers) as pool:
        found = list(pool.map(ask, range(callers)))
    assert found == ["stored"] * 3 + ["refused"] + ["stored"] * 4
    assert Prediction.objects.count() == callers - 1


def test_a_restarted_server_costs_no_request(recorder: Recorder, row: Any) -> None:
    recorder.record([row()])
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [backend_of(recorder)])
    recorder.record([row()])
    assert Prediction.objects.count() == 2


def test_what_was_committed_before_the_answer_was_lost_is_there_once(
    recorder: Recorder, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, answers = Recorder._copy, iter([True, False])

    def torn(self: Recorder, group: list[Any]) -> None:
        copy(self, group)
        if next(answers):
            raise psycopg2.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(Recorder, "_copy", torn)
    recorder.record([row()])
    assert Prediction.objects.count() == 1


def test_nobody_is_told_of_a_prediction_that_is_no_row(
    recorder: Recorder, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: Recorder, group: list[Any]) -> None:
        raise psycopg2.OperationalError("connection refused")

    monkeypatch.setattr(Recorder, "_copy", away)
    with pytest.raises(OperationalError):
        recorder.record([row()])
    monkeypatch.undo()
    recorder.record([row()])
    assert Prediction.objects.count() == 1


def test_a_fault_of_ours_is_told_to_all_who_wait_for_the_same_commit(
    recorder: Recorder, row: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers = 8
    rows = [row() for _ in range(callers)]
    copy, faults = Recorder._copy, iter([True])

    def broken_once(self: Recorder, group: list[Any]) -> None:
        if next(faults, False):
            raise ValueError("a fault of ours")
        copy(self, group)

    def ask(number: int) -> str:
        try:
            recorder.record([rows[number]])
        except ValueError:
            return "told"
        return "stored"

    monkeypatch.setattr(Recorder, "_copy", broken_once)
    with ThreadPoolExecutor(callers) as pool:
        with recorder._turn:
            asked = [pool.submit(ask, number) for number in range(callers)]
            wait_until(lambda: len(recorder._waiting) == callers, "all to wait")
        assert [one.result() for one in asked] == ["told"] * callers
    assert not Prediction.objects.exists()


def test_a_disk_of_the_database_without_room_is_no_answer(
    recorder: Recorder, row: Any, post: Post, project: Project
) -> None:
    """What PostgreSQL says then, said by a trigger."""
    full = """
        CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER no_room BEFORE INSERT ON inference_prediction EXECUTE FUNCTION no_room();
    """
    with contextlib.closing(superuser("nerapp")) as connection, connection.cursor() as cursor:
        cursor.execute(full)
        try:
            with pytest.raises(OperationalError):
                recorder.record([row()])
            refused = post("predict", {"text": "Ada"})
        finally:
            cursor.execute("DROP FUNCTION no_room CASCADE")
    assert (refused.status_code, refused.json()["code"]) == (503, "database_unavailable")
    assert "Retry-After" in refused.headers
    assert not Prediction.objects.exists()
    assert post("predict", {"text": "Ada"}).status_code == 200
