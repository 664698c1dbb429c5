"""Web processes share what they recognised by Redis: no text lies there, and nothing is believed unseen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import redis
from django.conf import settings
from django.test import Client

from inference import limits, shared_cache
from inference.cache import recognition_cache
from inference.engine import Serving, engine
from inference.limits import RateLimit
from inference.models import ApiKey, ModelVersion, Prediction
from inference.shared_cache import LARGEST, PLACES, packed, place_of, unpacked
from ner.runtime import Recognition, TokenPrediction
from ner.spans import Span
from nerapp.health import numbers
from tests.inference.conftest import Post

TEXT = "Ada Lovelace moved to London in 1835."
FOUND = Recognition(
    tokens=(TokenPrediction("Ada", 0, 3, "B-per", 0.75), TokenPrediction("Lovelace", 4, 12, "I-per", 1 / 3)),
    spans=(Span(0, 12, "per", 0.7123456789),),
    alternatives=((("org", 0.2), ("O", 0.1)),),
    uncertainty=0.125,
)


def test_a_recognition_comes_back_as_it_was() -> None:
    place = place_of("v", TEXT)
    assert unpacked(place, packed(place, FOUND)) == FOUND
    assert unpacked(place, packed(place, Recognition())) == Recognition()
    assert unpacked(place, None) is None


def _changed(**fields: Any) -> bytes:
    place = place_of("v", TEXT)
    kept = shared_cache._decode(packed(place, FOUND) or b"")
    for name, value in fields.items():
        setattr(kept, name, value)
    return msgspec.msgpack.encode(kept)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff",
        msgspec.msgpack.encode([1, 2]),
        _changed(spans=[(0, len(TEXT) + 1, "per", 0.5)]),
        _changed(spans=[(5, 5, "per", 0.5)]),
        _changed(spans=[(0, 12, "per", 1.5)]),
        _changed(spans=[(0, 12, "per", 0.5)] * 2),
        _changed(uncertainty=float("nan")),
        _changed(starts=[-4, 4]),
        _changed(ends=[3, 500]),
        _changed(starts=[0]),
        _changed(chosen=[0, 7]),
        _changed(confidences=[0.5, float("inf")]),
        _changed(name=b"another text's"),
    ],
)
def test_what_no_model_can_have_given_is_no_answer(value: bytes) -> None:
    assert unpacked(place_of("v", TEXT), value) is None


def test_the_place_of_a_text_is_the_versions_own_and_the_secrets(settings: Any) -> None:
    here = place_of("v", TEXT)
    assert place_of("v", TEXT) == here
    assert place_of("w", TEXT).name != here.name
    shared_cache._secret.cache_clear()
    settings.SECRET_KEY = "another " * 10
    assert place_of("v", TEXT).name != here.name
    shared_cache._secret.cache_clear()


def test_there_are_so_many_places_and_no_more_and_values_have_a_limit() -> None:
    assert len({place_of("v", str(number)).key for number in range(PLACES)}) < PLACES
    long = replace(FOUND, tokens=FOUND.tokens * LARGEST)
    assert packed(place_of("v", TEXT), long) is None


@pytest.fixture
def ask(post: Post, champion: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """POST predict as to a web process, and how often the model was asked meanwhile."""
    monkeypatch.setattr(settings, "SHARED_CACHE_SECONDS", 60)
    engine.follows = True
    engine.refresh()
    computed: list[str] = []
    recognise = Serving.recognise

    def counted(self: Serving, texts: Any) -> list[Recognition]:
        computed.extend(texts)
        return recognise(self, texts)

    monkeypatch.setattr(Serving, "recognise", counted)

    def asked(text: str = TEXT, **options: Any) -> tuple[Any, int]:
        computed.clear()
        return post("predict", {"text": text, **options}), len(computed)

    return asked


def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.CACHE_URL)


def test_what_one_process_recognised_another_one_knows(ask: Callable[..., Any]) -> None:
    first, computed = ask()
    assert computed == 1
    ask("Another text brings it to Redis.")
    recognition_cache.forget()  # another process
    before = numbers()
    second, computed = ask()
    assert computed == 0
    assert second.json()["predictions"] == first.json()["predictions"]
    assert second.json()["entities"] == first.json()["entities"] != []
    assert Prediction.objects.count() == 3
    after = numbers()
    assert after.cache_hit_rates["redis"] != before.cache_hit_rates["redis"]
    assert ask()[1] == 0  # and now the process knows it itself


def test_no_word_of_a_text_lies_in_redis_and_what_does_is_forgotten(ask: Callable[..., Any]) -> None:
    ask()
    ask("Another text brings it to Redis.")
    with _client() as client:
        keys = list(client.scan_iter("recognised:*"))
        assert len(keys) == 1
        value = client.get(keys[0])
        assert 0 < client.ttl(keys[0]) <= 60
    assert isinstance(value, bytes)
    assert not any(word.encode() in value + keys[0] for word in TEXT.split())


@pytest.mark.parametrize("options", [{"store": False}, {"model": "tiny"}])
def test_what_is_not_to_be_kept_or_was_named_is_not_looked_for(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    looked: list[Any] = []
    monkeypatch.setattr(recognition_cache, "unknown", lambda *place: looked.append(place))
    ask(**options)
    assert looked == []


def test_a_text_that_is_not_to_be_kept_never_gets_to_redis(ask: Callable[..., Any]) -> None:
    ask(store=False)
    ask("Another text.", store=False)
    with _client() as client:
        assert not list(client.scan_iter("recognised:*"))


def test_a_forged_value_costs_a_computation_and_is_never_told(ask: Callable[..., Any]) -> None:
    place = place_of(engine.table().popitem()[1].version.sha256, TEXT)
    forged = msgspec.msgpack.encode([place.name, ["O"], [], [], [], [], [[0, 999, "per", 1.0]], [[]], 0.0])
    with _client() as client:
        client.set(place.key, forged)
    answer, computed = ask()
    assert (answer.status_code, computed) == (200, 1)
    assert all(entity["end"] <= len(TEXT) for entity in answer.json()["entities"])


def test_without_redis_every_text_is_computed_and_answered(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "rate_limit", RateLimit("redis://127.0.0.1:1/0"))
    answer, computed = ask()
    assert (answer.status_code, computed, answer.headers["X-RateLimit-Degraded"]) == (200, 1, "1")


def test_a_request_is_one_trip_to_redis(ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ask("The script is known from here on.")
    trips: list[str] = []
    go = RateLimit._ask

    def counted(self: RateLimit, *command: Any) -> Any:
        trips.append(command[0])
        return go(self, *command)

    monkeypatch.setattr(RateLimit, "_ask", counted)
    ask()
    ask()
    assert trips == ["EVALSHA", "EVALSHA"]


def test_a_bad_body_counts_and_who_is_over_the_limit_hears_only_that(
    ask: Callable[..., Any], post: Post, key: tuple[ApiKey, str]
) -> None:
    ApiKey.objects.update(rate_per_hour=2)
    assert [post("predict", {"txt": 1}).status_code for _ in range(3)] == [400, 400, 429]


def test_a_connection_that_died_is_opened_again_and_other_threads_have_their_own(client: Client) -> None:
    limit = RateLimit(settings.CACHE_URL)
    assert not limit.spend("one", limit=10).degraded
    limit._own.connection._sock.close()
    assert not limit.spend("one", limit=10).degraded
    theirs: list[Any] = []

    def spend() -> None:
        assert not limit.spend("one", limit=10).degraded
        theirs.append(limit._own.connection)

    thread = threading.Thread(target=spend)
    thread.start()
    thread.join()
    assert theirs[0] is not limit._own.connection
