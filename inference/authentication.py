"""API keys on the wire: who calls, and what the key may do.

A key that was looked up is remembered for a few seconds, together with what every request needs to
know of its project, so that most requests ask the database nothing. That is also how long a revoked
key can go on working in a process: less than the 5 seconds we promise.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from inference.errors import MissingScope, Unauthenticated
from inference.models import ApiKey
from inference.selectors import LabelRules, label_rules
from inference.services.keys import PREFIX, key_digest

if TYPE_CHECKING:
    from rest_framework.views import APIView

REMEMBER_SECONDS = 3.0
_REMEMBER_KEYS = 10_000
_USED_EVERY = timedelta(minutes=1)
_SECRET = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}\Z")


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a valid key, with what a request needs to know of the project."""

    key: ApiKey
    scopes: frozenset[str]
    rules: LabelRules

    #: What Django and DRF ask of a user.
    is_authenticated = True
    is_active = True

    @property
    def pk(self) -> Any:
        """The key's."""
        return self.key.pk


class KeyRing:
    """The keys seen lately by this process. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, tuple[float, Caller]] = OrderedDict()
        self._used: set[Any] = set()

    def caller(self, secret: str) -> Caller | None:
        """Who holds this secret; None for a key that is malformed, unknown, revoked or expired."""
        if not _SECRET.match(secret):
            return None
        # The digest is keyed, so nothing about a stored one can be learnt from how long a look-up takes.
        digest = key_digest(secret)
        now = time.monotonic()
        with self._lock:
            read_at, caller = self._known.get(digest, (0.0, None))
        if caller is None or now - read_at >= REMEMBER_SECONDS:
            caller = self._read(digest, now)
        if caller is None or not _is_live(caller.key):
            return None
        self._used.add(caller.key.pk)
        return caller

    def used_flush(self) -> None:
        """Note in the database when keys were last used, at most once a minute each."""
        used = set()
        while self._used:
            used.add(self._used.pop())
        if used:
            now = timezone.now()
            ApiKey.objects.filter(
                Q(last_used_at=None) | Q(last_used_at__lt=now - _USED_EVERY), pk__in=used
            ).update(last_used_at=now)

    def forget(self) -> None:
        """Look every key up again."""
        with self._lock:
            self._known.clear()

    def _read(self, digest: str, now: float) -> Caller | None:
        key = ApiKey.objects.select_related("project").filter(digest=digest).first()
        if key is None:
            with self._lock:
                self._known.pop(digest, None)
            return None
        caller = Caller(key, frozenset(key.scopes), label_rules(key.project))
        with self._lock:
            self._known[digest] = (now, caller)
            self._known.move_to_end(digest)
            while len(self._known) > _REMEMBER_KEYS:
                self._known.popitem(last=False)
        return caller


key_ring = KeyRing()


def _is_live(key: ApiKey) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > timezone.now())


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer ner_live_...`; a request without it stays anonymous, a wrong one is 401."""

    def authenticate(self, request: Request) -> tuple[Caller, ApiKey] | None:
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        scheme, _, secret = header.partition(" ")
        caller = key_ring.caller(secret.strip()) if scheme.lower() == "bearer" else None
        if caller is None:
            raise Unauthenticated()
        return caller, caller.key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="nerapp"'


class HasScope(BasePermission):
    """A view names the scope that it needs; without a name it is open to all."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        scope = getattr(view, "scope", "")
        if scope:
            scope_require(request, scope)
        return True


def caller_of(request: Request) -> Caller | None:
    """Who showed a key with this request, if anybody did."""
    user: object = request.user
    return user if isinstance(user, Caller) else None


def scope_require(request: Request, scope: str) -> Caller:
    """The caller, if the key has the scope; Unauthenticated or MissingScope otherwise."""
    caller = caller_of(request)
    if caller is None:
        raise Unauthenticated()
    if scope not in caller.scopes:
        raise MissingScope(scope=scope)
    return caller
