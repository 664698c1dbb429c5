"""Answers that wait in Redis become rows, each once, whoever dies; and who asks too early is told so."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
import redis
from django.test import Client
from django.utils import timezone

from corpus.models import Project
from corpus.services import Row, copy_line
from inference import metrics
from inference import stream_writer as writing
from inference.models import ApiKey, ModelVersion, Prediction
from inference.recorder import COLUMNS, Recorder
from inference.stream import BYTES, IDS, STREAM, PredictionStream, stream
from inference.stream_writer import StreamWriter
from labeling.models import Task
from labeling.services.traffic import SETTLING, traffic_take
from tests.inference.conftest import Post

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _chosen(settings: Any) -> Iterator[None]:
    settings.PREDICTION_RECORDING = "stream"
    stream.reopen()
    stream.take(1)  # makes the group
    yield
    stream.reopen()


@pytest.fixture
def writer() -> Iterator[StreamWriter]:
    made = StreamWriter()
    yield made
    made.close()


@pytest.fixture
def dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another writer took counts as left behind at once."""
    monkeypatch.setattr(writing, "_DEAD_AFTER_SECONDS", 0.0)
    monkeypatch.setattr(writing, "_CLAIM_EVERY_SECONDS", 0.0)


@pytest.fixture
def row(project: Project, champion: ModelVersion) -> Any:
    def make(
        text: str = "Ada\twrote \\N and\nleft.", *, version_id: int = champion.pk, age: float = 0.0
    ) -> Row:
        at = (timezone.now() - timedelta(seconds=age)).isoformat()
        keys = (str(uuid.uuid4()), str(project.pk), str(version_id))
        return (*keys, text, "[]", "0.5", "0.0", "en", "champion", None, "1.0", "r", None, at)

    return make


@pytest.fixture
def server(settings: Any) -> Iterator[Any]:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        yield client


def add(*rows: Row) -> None:
    assert stream.add(COLUMNS, [copy_line(row) for row in rows])


def written(writer: StreamWriter) -> int:
    """Let a writer do all there is; returns how many turns had work."""
    turns = 0
    while writer.turn():
        turns += 1
    return turns


def is_empty(server: Any) -> bool:
    return (server.xlen(STREAM), server.scard(IDS), int(server.get(BYTES) or 0)) == (0, 0, 0)


def test_an_answer_waits_in_the_stream_and_becomes_a_row_to_the_character(
    post: Post, champion: ModelVersion, writer: StreamWriter, server: Any
) -> None:
    text = "Ada\twrote \\N to\r\nLondon \u2028 \U0001f469\u200d\U0001f52c."
    told = post("predict", {"text": text, "language": "en"}).json()
    assert not Prediction.objects.exists()
    assert stream.waiting().rows == 1

    written(writer)

    stored = Prediction.objects.get()
    assert (str(stored.pk), stored.text, stored.slot) == (told["prediction_id"], text, "champion")
    assert [span["text"] for span in stored.spans] == [one["text"] for one in told["entities"]]
    assert is_empty(server)


def test_a_batch_is_one_entry_and_every_row_of_it_stands(
    post: Post, champion: ModelVersion, writer: StreamWriter, server: Any
) -> None:
    told = post("predict/batch", {"texts": [f"Ada saw London {n}." for n in range(300)]}).json()
    assert server.xlen(STREAM) == 1
    written(writer)
    ids = {item["prediction_id"] for item in told["results"]}
    assert ids == {str(pk) for pk in Prediction.objects.values_list("pk", flat=True)}


def test_the_rows_of_many_requests_share_a_copy(
    row: Any, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes, copy = [], StreamWriter._copy

    def counted(self: StreamWriter, columns: Any, lines: Any) -> None:
        sizes.append(len(lines))
        copy(self, columns, lines)

    monkeypatch.setattr(StreamWriter, "_copy", counted)
    for _ in range(40):
        add(row())
    written(writer)
    assert sizes == [40]


def test_who_corrects_before_the_row_stands_is_asked_to_come_again(
    post: Post, champion: ModelVersion, writer: StreamWriter
) -> None:
    pk = post("predict", {"text": "Ada saw London."}).json()["prediction_id"]
    rating = {"prediction_id": pk, "rating": 5}

    early = post("feedback", rating)
    assert (early.status_code, early.json()["code"]) == (503, "prediction_not_yet")
    assert early.headers["Retry-After"] == "1"

    written(writer)
    assert post("feedback", rating).status_code == 200
    unknown = post("feedback", rating | {"prediction_id": str(uuid.uuid4())})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


def test_a_row_written_between_the_two_looks_is_found(
    post: Post, champion: ModelVersion, writer: StreamWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    pk = post("predict", {"text": "Ada saw London."}).json()["prediction_id"]
    asked = PredictionStream.is_waiting

    def meanwhile(self: PredictionStream, **which: Any) -> bool:
        written(writer)
        return asked(self, **which)

    monkeypatch.setattr(PredictionStream, "is_waiting", meanwhile)
    assert post("feedback", {"prediction_id": pk, "rating": 5}).status_code == 200


def test_what_waits_is_no_other_projects_to_know(champion: ModelVersion, row: Any) -> None:
    waits = row()
    add(waits)
    pk = uuid.UUID(str(waits[0]))
    assert stream.is_waiting(project_id=champion.project_id, prediction_id=pk)
    assert not stream.is_waiting(project_id=champion.project_id + 1, prediction_id=pk)


@pytest.mark.usefixtures("dead")
def test_what_a_dead_writer_had_committed_is_there_once(
    row: Any, writer: StreamWriter, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(row(), row())
    first = StreamWriter()
    with monkeypatch.context() as patched:
        patched.setattr(PredictionStream, "done", killed)
        with pytest.raises(Killed):
            first.turn()
    first.close()
    assert Prediction.objects.count() == 2
    add(row())
    refused = metrics.STREAM_REFUSED._value.get()

    written(writer)

    assert Prediction.objects.count() == 3
    assert metrics.STREAM_REFUSED._value.get() == refused
    assert is_empty(server)


@pytest.mark.usefixtures("dead")
def test_what_a_dead_writer_had_not_written_is_claimed(
    row: Any, writer: StreamWriter, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(row(), row())
    dying = StreamWriter()
    with monkeypatch.context() as patched:
        patched.setattr(StreamWriter, "_copy", killed)
        with pytest.raises(Killed):
            dying.turn()
    assert not Prediction.objects.exists()

    written(writer)

    assert Prediction.objects.count() == 2
    assert is_empty(server)


def test_two_writers_of_the_same_entry_store_it_once_and_give_back_its_place_once(
    row: Any, server: Any
) -> None:
    add(row())
    first, second = StreamWriter(), StreamWriter()
    [taken] = stream.take(10)
    add(row())
    for writer in (first, second):
        writer._taken = [taken]
        writer.turn()
        writer.close()
    assert Prediction.objects.count() == 1
    # One row is still in the stream, and just its bytes are counted.
    assert (server.xlen(STREAM), server.scard(IDS)) == (1, 1)
    assert int(server.get(BYTES)) == taken.size


def test_an_entry_added_twice_is_stored_once(row: Any, writer: StreamWriter, server: Any) -> None:
    again = row()
    add(again)
    add(again)
    written(writer)
    assert Prediction.objects.count() == 1
    assert is_empty(server)


def test_a_row_that_the_database_never_takes_does_not_hold_up_the_others(
    row: Any, writer: StreamWriter, server: Any
) -> None:
    add(*(row(version_id=0) if number == 3 else row() for number in range(8)))
    add(row())
    written(writer)
    assert Prediction.objects.count() == 8
    assert is_empty(server)


def test_while_postgresql_is_away_rows_wait_and_then_stand(
    row: Any, writer: StreamWriter, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(row())

    def away(self: StreamWriter, columns: Any, lines: Any) -> None:
        raise psycopg2.OperationalError("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(StreamWriter, "_copy", away)
        with pytest.raises(psycopg2.OperationalError):
            writer.turn()
    assert stream.waiting().rows == 1
    writer.turn()
    assert Prediction.objects.count() == 1
    assert is_empty(server)


def test_a_full_stream_makes_rows_at_once_and_ready_says_so(
    post: Post, champion: ModelVersion, client: Client, settings: Any
) -> None:
    assert client.get("/api/v1/ready").json()["checks"]["recording"] == {"status": "ok", "detail": ""}
    settings.STREAM_LIMIT_BYTES = 100
    assert post("predict", {"text": "Ada saw London."}).status_code == 200
    assert Prediction.objects.count() == 1
    assert stream.waiting().rows == 0

    settings.STREAM_LIMIT_BYTES = 1000
    assert post("predict", {"text": "Ada saw London."}).status_code == 200
    assert stream.waiting().rows == 1
    settings.STREAM_LIMIT_BYTES = stream.waiting().bytes
    ready = client.get("/api/v1/ready").json()
    assert ready["status"] == "degraded"
    assert "full" in ready["checks"]["recording"]["detail"]


def test_without_redis_answers_are_rows_at_once_and_ready_says_so(
    post: Post, champion: ModelVersion, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = PredictionStream("redis://127.0.0.1:1/0")
    monkeypatch.setattr(stream, "_add", gone._add)
    assert post("predict", {"text": "Ada saw London."}).status_code == 200
    assert Prediction.objects.count() == 1
    ready = client.get("/api/v1/ready").json()
    assert (ready["status"], ready["checks"]["recording"]["status"]) == ("degraded", "degraded")


def test_a_redis_that_hung_and_added_it_after_all_makes_no_second_row(
    row: Any, writer: StreamWriter, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    adding = stream._add

    def late(**asked: Any) -> None:
        adding(**asked)
        raise redis.TimeoutError

    monkeypatch.setattr(stream, "_add", late)
    recorder = Recorder()
    recorder.record([row()])
    recorder.close()
    assert (Prediction.objects.count(), server.xlen(STREAM)) == (1, 1)
    written(writer)
    assert Prediction.objects.count() == 1
    assert is_empty(server)


def test_an_emptied_redis_is_written_to_again(row: Any, writer: StreamWriter, server: Any) -> None:
    add(row())
    written(writer)
    server.flushall()
    server.script_flush()
    add(row())
    writer.turn()  # makes the group again
    written(writer)
    assert Prediction.objects.count() == 2
    assert is_empty(server)


def test_a_row_that_comes_late_is_dated_when_it_comes(row: Any, writer: StreamWriter) -> None:
    """Webhooks and the queue read by time, up to 30 s ago: they would never see it."""
    late, fresh = row(age=60), row(age=2)
    add(late, fresh)
    written(writer)
    now = timezone.now()
    age = {str(one.pk): (now - one.created_at).total_seconds() for one in Prediction.objects.all()}
    assert age[str(late[0])] < 2
    assert 2 <= age[str(fresh[0])] < 5


def test_what_waited_long_still_reaches_the_queue(
    project: Project, key: tuple[ApiKey, str], row: Any, writer: StreamWriter
) -> None:
    Project.objects.update(traffic_share=1.0)
    project.refresh_from_db()
    assert traffic_take(project=project, now=timezone.now() + SETTLING).total == 0  # it has read until now
    late = [*row(age=60)]
    late[COLUMNS.index("api_key_id")] = str(key[0].pk)
    add(late)

    written(writer)

    assert traffic_take(project=project, now=timezone.now() + SETTLING).total == 1
    assert str(Task.objects.get().prediction_id) == late[0]


def test_operators_see_what_waits_and_for_how_long(get: Post, row: Any) -> None:
    add(row(), row())
    time.sleep(0.05)
    told = dict(
        line.rsplit(" ", 1) for line in get("metrics").content.decode().splitlines() if line[0] != "#"
    )
    assert float(told["ner_stream_rows_waiting"]) == 2
    assert float(told["ner_stream_bytes_waiting"]) > 100
    assert 0.05 <= float(told["ner_stream_oldest_seconds"]) < 10


def test_durable_is_the_default_and_never_touches_the_stream(
    post: Post, champion: ModelVersion, settings: Any, server: Any
) -> None:
    settings.PREDICTION_RECORDING = "durable"
    server.delete(STREAM)
    assert post("predict", {"text": "Ada saw London."}).status_code == 200
    assert Prediction.objects.count() == 1
    assert not server.exists(STREAM)


class Killed(Exception):
    """What the test does in place of kill -9."""


def killed(*_: Any, **__: Any) -> None:
    raise Killed
