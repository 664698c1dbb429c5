"""Where a project's learning stands, for a page of an app that may not know of retraining."""

from __future__ import annotations

from typing import Any

from django import template
from django.contrib.auth.models import AnonymousUser, User

from corpus.models import Project
from retraining.selectors import corrections_new_count, policy_of, run_active, run_last

register = template.Library()


@register.inclusion_tag("partials/learning.html")
def learning(project: Project, user: User | AnonymousUser) -> dict[str, Any]:
    """How far it is to the next retraining, what runs now, and what the last run came to."""
    policy = policy_of(project=project)
    new = corrections_new_count(project=project, limit=policy.new_corrections)
    return {
        "policy": policy,
        "new": new,
        "missing": max(policy.new_corrections - new, 0),
        "active": run_active(project=project),
        "last": run_last(project=project),
        "may_look": user.is_active and getattr(user, "is_staff", False),
    }
