"""The page of all texts."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from corpus.errors import Invalid
from corpus.selectors import label_set_current, labels_of, permissions_in
from feedback.models import Stratum
from labeling.models import Standing
from labeling.selectors.names import members_shown, reviewers_of
from labeling.selectors.tallies import texts_count
from labeling.selectors.texts import ORDERS, TextsAsked, texts_asked, texts_page
from labeling.views.access import person_of, project_of


@require_safe
@login_required
def texts(request: HttpRequest, slug: str) -> HttpResponse:
    """Every text with its state; filters, search and places come from the address."""
    found = project_of(request, slug)
    me = person_of(request)
    members = members_shown(project=found, viewer=me)
    rights = permissions_in(project=found, user=me)
    counts = texts_count(project=found)
    problem: Invalid | None = None
    try:
        asked = texts_asked(project=found, given=dict(request.GET.lists()))
        page = texts_page(project=found, asked=asked, viewer=me)
    except Invalid as error:
        problem, asked, page = error, TextsAsked(), None
    context = {
        "project": found,
        "tab": "texts",
        "asked": asked,
        "page": page,
        "problem": problem,
        "total": sum(counts.values()),
        "states": [(value, words, counts[value]) for value, words in Standing.State.choices],
        "strata": Stratum.choices,
        "labels": labels_of(label_set=label_set_current(project=found)),
        "orders": ORDERS,
        "people": [(member.user_id, name) for member, name in members],
        "next": _address(asked, after=page.after) if page and page.after else "",
        "previous": _address(asked, before=page.before) if page and page.before else "",
        "may_review": "review" in rights,
        "may_adjudicate": "adjudicate" in rights,
        "reviewers": reviewers_of(members),
        "here": request.get_full_path(),
    }
    return render(request, "labeling/texts.html", context, status=400 if problem else 200)


def _address(asked: TextsAsked, **place: str) -> str:
    """The same list at another place."""
    wanted = {**asdict(asked), "after": "", "before": "", **place}
    if wanted["order"] == "newest":
        wanted["order"] = ""
    return "?" + urlencode({name: value for name, value in wanted.items() if value not in ("", None)})
