"""`{% project_tabs project "overview" %}`: the pages of a project, as far as the person may open them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import template
from django.template.context import Context
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from corpus.models import Project
from corpus.selectors import permissions_in

register = template.Library()


@dataclass(frozen=True, slots=True)
class Tab:
    """One page of a project, and the right that opens it."""

    name: str
    title: Promise | str
    view: str
    permission: str


TABS = (
    Tab("overview", _("Overview"), "labeling:project", "view"),
    Tab("texts", _("Texts"), "labeling:texts", "view"),
    Tab("review", _("Review"), "labeling:review", "review"),
    Tab("insights", _("Insights"), "labeling:insights", "view"),
    Tab("transfer", _("Import and export"), "labeling:imports", "export"),
    Tab("adjudication", _("Adjudication"), "labeling:adjudication", "adjudicate"),
    Tab("agreement", _("Agreement"), "labeling:agreement", "view"),
    Tab("team", _("Team"), "labeling:team", "view"),
)


@register.inclusion_tag("labeling/_tabs.html", takes_context=True)
def project_tabs(context: Context, project: Project, current: str) -> dict[str, Any]:
    """The tabs above each page of a project; `current` is the name of one of TABS."""
    allowed = permissions_in(project=project, user=context["request"].user)
    open_to_them = [tab for tab in TABS if tab.permission in allowed]
    return {
        "tabs": [
            {
                "title": tab.title,
                "url": reverse(tab.view, args=[project.slug]),
                "is_current": tab.name == current,
            }
            for tab in open_to_them
        ]
    }


@register.filter
def hue_of(hues: Mapping[str, int] | str, name: str) -> int:
    """A label's place in the palette; the first one for a label that was retired."""
    return hues.get(name, 0) if isinstance(hues, Mapping) else 0
