"""Which queues have a living worker: each worker process says so in Redis, every few seconds.

A page or an answer that waits for a worker that nobody started must be able to say so.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

import redis
import structlog
from celery import signals
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger(__name__)

QUEUES = ("default", "control", "predict", "train")
_EVERY_SECONDS = 5.0
#: Longer than a worker that starts its pool anew, or a Redis that restarts, stays silent.
ALIVE_SECONDS = 30.0


@lru_cache(maxsize=1)
def _redis() -> redis.Redis[str]:
    return redis.Redis.from_url(
        settings.CACHE_URL,
        socket_timeout=0.5,
        socket_connect_timeout=0.5,
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
        decode_responses=True,
    )


class _Beat:
    """What this worker process consumes, and when it last said so."""

    queues: tuple[str, ...] = ()
    said_at = 0.0


@signals.worker_ready.connect
def _ready(sender: Any, **_: object) -> None:
    _Beat.queues = tuple(sender.app.amqp.queues.consume_from)
    _say()


@signals.heartbeat_sent.connect
def _beat(**_: object) -> None:
    if _Beat.queues and time.monotonic() - _Beat.said_at >= _EVERY_SECONDS:
        _say()


def _say() -> None:
    _Beat.said_at = time.monotonic()
    try:
        with _redis().pipeline(transaction=False) as pipe:
            for queue in _Beat.queues:
                pipe.set(f"worker:{queue}", repr(time.time()), ex=int(ALIVE_SECONDS))
            pipe.execute()
    except redis.RedisError as error:
        log.warning("heartbeat not written", error=type(error).__name__)


def workers_alive() -> dict[str, float] | None:
    """Seconds since a worker of each queue last said that it lives; None when Redis cannot be asked."""
    try:
        said = _redis().mget([f"worker:{queue}" for queue in QUEUES])
    except redis.RedisError:
        return None
    now = time.time()
    return {
        queue: max(now - float(at), 0.0) for queue, at in zip(QUEUES, said, strict=True) if at is not None
    }


def queues_missing() -> list[str]:
    """The queues without a living worker; all of them when Redis cannot be asked, for then none can work."""
    alive = workers_alive() or {}
    return [queue for queue in QUEUES if queue not in alive]
