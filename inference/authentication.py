"""API keys, and tokens in their place, on the wire: who calls, and what they may do.

A key that was looked up is remembered for a few seconds, together with what every request needs to
know of its project, so that most requests ask the database nothing. That is also how long a revoked
key can go on working in a process: less than the 5 seconds we promise.
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
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
from inference.tokens import token_read

if TYPE_CHECKING:
    from rest_framework.views import APIView

REMEMBER_SECONDS = 3.0
_REMEMBER_KEYS = 10_000
_USED_EVERY = timedelta(minutes=1)
_SECRET = re.compile(re.escape(PREFIX) + r"[A-Za-z0-9_-]{43}\Z")
#: Three parts in base64url; ours have some 350 characters.
_TOKEN = re.compile(r"(?=.{1,1000}\Z)[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\Z")


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a valid key, with what a request needs to know of the project."""

    key: ApiKey
    scopes: frozenset[str]
    rules: LabelRules
    is_token: bool = False
    """Did the caller show a token in the place of the key?"""

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

    def caller(self, shown: str) -> Caller | None:
        """Who shows this key or token; None for one that is malformed, unknown, revoked or expired."""
        if _SECRET.match(shown):
            # The digest is keyed, so nothing about a stored one can be learnt from how long a look-up takes.
            return self._live(digest=key_digest(shown))
        claims = token_read(shown) if _TOKEN.match(shown) else None
        caller = self._live(pk=str(claims.key)) if claims is not None else None
        if caller is None or claims is None:
            return None
        return replace(caller, scopes=claims.scopes & caller.scopes, is_token=True)

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

    def _live(self, **known_by: str) -> Caller | None:
        """The holder of the key with this one property, if it may still be used."""
        (name,) = known_by.values()
        now = time.monotonic()
        with self._lock:
            read_at, caller = self._known.get(name, (0.0, None))
        if caller is None or now - read_at >= REMEMBER_SECONDS:
            caller = self._read(name, known_by, now)
        if caller is None or not _is_live(caller.key):
            return None
        self._used.add(caller.key.pk)
        return caller

    def _read(self, name: str, known_by: dict[str, str], now: float) -> Caller | None:
        key = ApiKey.objects.select_related("project").filter(**known_by).first()
        if key is None:
            with self._lock:
                self._known.pop(name, None)
            return None
        caller = Caller(key, frozenset(key.scopes), label_rules(key.project))
        with self._lock:
            self._known[name] = (now, caller)
            self._known.move_to_end(name)
            while len(self._known) > _REMEMBER_KEYS:
                self._known.popitem(last=False)
        return caller


key_ring = KeyRing()


def _is_live(key: ApiKey) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > timezone.now())


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer`, then a key or a token; without it one stays anonymous, a wrong one is 401.

    Programs that know only basic authentication send it as the password, under any user name.
    """

    def authenticate(self, request: Request) -> tuple[Caller, ApiKey] | None:
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        scheme, _, shown = header.partition(" ")
        if scheme.lower() == "basic":
            shown = _password(shown.strip())
        caller = key_ring.caller(shown.strip()) if scheme.lower() in {"bearer", "basic"} else None
        if caller is None:
            raise Unauthenticated()
        return caller, caller.key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="nerapp"'


def _password(encoded: str) -> str:
    """The password of basic authentication (RFC 7617); nothing where there is none."""
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


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
