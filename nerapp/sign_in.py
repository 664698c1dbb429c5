"""One-time sign-in links: how the first admin comes in without a default password."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core import signing
from django.db import transaction
from django.utils import timezone

from audit.services import SYSTEM, event_record
from corpus.errors import DomainError

SALT = "nerapp.sign_in"
VALID_FOR = timedelta(hours=24)
FIRST_ADMIN = "admin"


class LinkRefused(DomainError):
    """This sign-in link was used, has expired or is not one of ours."""

    code = "link_refused"
    status = 410


def _state(user: User) -> str:
    # Signing in changes last_login, so a link signed over it is spent by its first use.
    return user.last_login.isoformat() if user.last_login else ""


@transaction.atomic
def link_create(*, username: str = FIRST_ADMIN) -> str:
    """Make (if needed) an admin without a usable password, and a token that signs in once."""
    user, created = get_user_model().objects.get_or_create(
        username=username, defaults={"is_staff": True, "is_superuser": True}
    )
    if created:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    event_record(action="person.sign_in_link", actor=SYSTEM, subject=user)
    return signing.dumps({"user": user.pk, "state": _state(user)}, salt=SALT)


def _user_of(token: str, *, lock: bool) -> User:
    try:
        claim = signing.loads(token, salt=SALT, max_age=VALID_FOR)
    except signing.BadSignature as error:
        raise LinkRefused() from error
    users = User.objects.select_for_update() if lock else User.objects.all()
    user = users.filter(pk=claim["user"], is_active=True).first()
    if user is None or _state(user) != claim["state"]:
        raise LinkRefused()
    return user


def link_is_usable(*, token: str) -> bool:
    """Would this link still sign somebody in?"""
    try:
        _user_of(token, lock=False)
    except LinkRefused:
        return False
    return True


@transaction.atomic
def link_consume(*, token: str) -> User:
    """The person whom the link signs in; the link is spent. Raises LinkRefused."""
    user = _user_of(token, lock=True)
    # Here already, inside the lock, and not only in the login signal: two presses at once are one sign-in.
    user.last_login = timezone.now()
    user.save(update_fields=["last_login"])
    return user
