"""Exact rate limits: one Lua script in Redis decides, however many ask at once.

The script is a generic cell rate algorithm: one number per key, the time at which the caller would have
used up everything. A key may spend its whole hour at once and then gets it back evenly. When Redis
is away or hangs, each process limits by itself and says so. What is remembered in Redis (`inference.cache`)
is read and written by the same script: one trip for both.
"""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from inference import metrics
from inference.authentication import caller_of
from inference.cache import recognition_cache
from inference.errors import RateLimited

if TYPE_CHECKING:
    from rest_framework.views import APIView

log = structlog.get_logger(__name__)

PERIOD = 3600.0
_TIMEOUT = 0.25
_CIRCUIT_SECONDS = 5.0
_LOCAL_KEYS = 10_000

# Times are microseconds of Redis's own clock: the web processes need not agree on theirs.
_SCRIPT = """
local limit, cost, period = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or now), now)
-- Rounded down: what a fraction of a microsecond adds up to must never cost the last request of the hour.
local wanted = math.floor(full + cost * period / limit)
local over = wanted - (now + period)
local written = #ARGV - 4
for place = 1, written do
  -- What cannot be kept is forgotten; it must not cost the caller the answer.
  redis.pcall('SET', KEYS[1 + place], ARGV[4 + place], 'EX', ARGV[4])
end
if over > 0 then
  return {0, full - now, over}
end
redis.call('SET', KEYS[1], string.format('%.0f', wanted), 'PX', math.ceil((wanted - now) / 1000))
local told = {1, wanted - now, 0}
for place = written + 2, #KEYS do
  told[#told + 1] = redis.call('GET', KEYS[place])
end
return told
"""
_SCRIPT_NAME = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Decision:
    """May this request pass, and what is left for the caller."""

    allowed: bool
    limit: int
    remaining: int
    reset_seconds: int
    retry_seconds: int
    degraded: bool = False
    found: tuple[bytes | None, ...] = ()
    """What lies under the keys that were read on the way."""

    def headers(self) -> dict[str, str]:
        """The draft standard's headers and the older ones that clients know."""
        found = {
            "RateLimit-Policy": f'"key";q={self.limit};w={int(PERIOD)}',
            "RateLimit": f'"key";r={self.remaining};t={self.reset_seconds}',
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_seconds),
        }
        if not self.allowed:
            found["Retry-After"] = str(self.retry_seconds)
        if self.degraded:
            found["X-RateLimit-Degraded"] = "1"
        return found


def _decided(limit: int, *, allowed: bool, used: float, over: float, degraded: bool = False) -> Decision:
    """`used` is how many seconds of the period are spent, `over` how many too many were asked for."""
    return Decision(
        allowed=allowed,
        limit=limit,
        # Rounded at a millionth: binary fractions must not cost a caller a request.
        remaining=max(math.floor((PERIOD - used) * limit / PERIOD + 1e-6), 0),
        reset_seconds=math.ceil(used),
        retry_seconds=max(math.ceil(over), 1),
        degraded=degraded,
    )


class LocalLimit:
    """The same algorithm in this process alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._full: dict[str, float] = {}

    def spend(self, name: str, *, limit: int, cost: int) -> Decision:
        """Take `cost` from what a caller has left in this process."""
        with self._lock:
            now = time.monotonic()
            if len(self._full) > _LOCAL_KEYS:
                self._full = {key: full for key, full in self._full.items() if full > now}
            full = max(self._full.get(name, now), now)
            wanted = full + cost * PERIOD / limit
            over = wanted - (now + PERIOD)
            if over > 1e-6:
                return _decided(limit, allowed=False, used=full - now, over=over, degraded=True)
            self._full[name] = wanted
            return _decided(limit, allowed=True, used=wanted - now, over=0.0, degraded=True)


class RateLimit:
    """Redis while it answers, this process while it does not. Safe for many threads."""

    def __init__(self, url: str) -> None:
        self._pool = redis.ConnectionPool.from_url(
            url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, retry=Retry(NoBackoff(), 0)
        )
        self._own = threading.local()
        os.register_at_fork(after_in_child=self._start_anew)
        self._local = LocalLimit()
        self._closed_until = 0.0

    @property
    def degraded(self) -> bool:
        """Is Redis being left alone after a failure?"""
        return time.monotonic() < self._closed_until

    def spend(
        self,
        name: str,
        *,
        limit: int,
        cost: int = 1,
        reads: Sequence[str] = (),
        writes: Mapping[str, bytes] | None = None,
    ) -> Decision:
        """Take `cost` from what a caller has left this hour; bring values to the cache, and fetch some."""
        if limit <= 0:
            return Decision(False, limit, 0, int(PERIOD), int(PERIOD))
        writes = writes or {}
        if not self.degraded:
            try:
                allowed, used, over, *found = self._run(
                    [f"rate:{name}", *writes, *reads],
                    [limit, cost, int(PERIOD * 1_000_000), settings.SHARED_CACHE_SECONDS, *writes.values()],
                )
                decision = _decided(limit, allowed=bool(allowed), used=used / 1e6, over=over / 1e6)
                return replace(decision, found=tuple(found)) if found else decision
            except redis.RedisError as error:
                self._closed_until = time.monotonic() + _CIRCUIT_SECONDS
                log.warning("rate limits are local", error=type(error).__name__)
        metrics.RATE_DEGRADED.inc()
        return self._local.spend(name, limit=limit, cost=cost)

    def _run(self, keys: Sequence[str], values: Sequence[Any]) -> Any:
        try:
            return self._ask("EVALSHA", _SCRIPT_NAME, len(keys), *keys, *values)
        except redis.exceptions.NoScriptError:
            return self._ask("EVAL", _SCRIPT, len(keys), *keys, *values)

    def _ask(self, *command: Any) -> Any:
        """One command and its answer.

        Each thread has a connection of its own: to take one out of a pool costs as much as the trip itself.
        """
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = self._pool.connection_class(**self._pool.connection_kwargs)
        try:
            return _asked(connection, command)
        except redis.ConnectionError:
            # One that died while idle is opened again, once; a hung server is not asked twice.
            return _asked(connection, command)

    def _start_anew(self) -> None:
        # The parent's connection is not this process's.
        self._own = threading.local()


def _asked(connection: Any, command: tuple[Any, ...]) -> Any:
    try:
        connection.send_packed_command(connection.pack_command(*command))
        return connection.read_response()
    except redis.ResponseError:
        raise
    except BaseException:
        # An answer that is still under way must not be taken for the next one's.
        connection.disconnect()
        raise


rate_limit = RateLimit(settings.CACHE_URL)


class KeyRateLimit(BaseThrottle):
    """Each text that a key sends costs one; a view's `cost` says how many a request has."""

    def allow_request(self, request: Request, view: APIView) -> bool:
        caller = caller_of(request)
        cost_of = getattr(view, "cost", None)
        if caller is None or cost_of is None:
            return True
        cost, place, refusal = cost_of(request), None, None
        if settings.SHARED_CACHE_SECONDS:
            try:
                place = view.unknown(request) if hasattr(view, "unknown") else None
            except Exception as error:  # noqa: BLE001  (whatever is wrong with a request, it counts all the same)
                refusal = error
        decision = rate_limit.spend(
            str(caller.pk),
            limit=caller.key.rate_per_hour,
            cost=cost,
            reads=[place.key] if place else (),
            writes=recognition_cache.outgoing(),
        )
        view.headers.update(decision.headers())
        if not decision.allowed:
            metrics.RATE_LIMITED.inc()
            raise RateLimited(limit=decision.limit, seconds=decision.retry_seconds)
        if refusal is not None:
            raise refusal
        if place and decision.found:
            recognition_cache.learn(place, decision.found[0])
        return True
