"""Who may have an account: nobody by themselves; an admin makes accounts."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest


class ClosedSignup(DefaultAccountAdapter):
    """Sign-up is closed: an open labelling server is an open door to its texts."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False
