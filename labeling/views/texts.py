"""The page of all texts."""

from __future__ import annotations

from dataclasses import asdict
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from corpus.errors import DomainError, Invalid, NotFound
from corpus.selectors import label_set_current, labels_of, project_allows
from feedback.models import Stratum
from labeling.models import Standing
from labeling.selectors.names import names_shown
from labeling.selectors.tallies import texts_count
from labeling.selectors.texts import ORDERS, TextsAsked, texts_asked, texts_page
from labeling.services.texts import text_raise
from labeling.views.access import person_of, project_of


@require_safe
@login_required
def texts(request: HttpRequest, slug: str) -> HttpResponse:
    """Every text with its state; filters, search and places come from the address."""
    found = project_of(request, slug)
    counts = texts_count(project=found)
    problem: Invalid | None = None
    try:
        asked = texts_asked(project=found, given=dict(request.GET.lists()))
        page = texts_page(project=found, asked=asked, viewer=person_of(request))
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
        "people": names_shown(project=found, viewer=person_of(request)).items(),
        "next": _address(asked, after=page.after) if page and page.after else "",
        "previous": _address(asked, before=page.before) if page and page.before else "",
        "may_review": project_allows(project=found, user=person_of(request), permission="review"),
        "here": request.get_full_path(),
    }
    return render(request, "labeling/texts.html", context, status=400 if problem else 200)


@require_POST
@login_required
def text_next(request: HttpRequest, slug: str, document_id: UUID) -> HttpResponse:
    """ "Next, please": put a text at the head of the queue."""
    found = project_of(request, slug, permission="review")
    try:
        text_raise(project=found, document_id=document_id, user=person_of(request))
    except NotFound as error:
        raise Http404 from error
    except DomainError as error:
        messages.warning(request, error.words)
    else:
        messages.success(request, _("The text comes next. Whoever reviews next gets it."))
    back = request.POST.get("back", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        back = reverse("labeling:texts", args=[found.slug])
    return HttpResponseRedirect(back)


def _address(asked: TextsAsked, **place: str) -> str:
    """The same list at another place."""
    wanted = {**asdict(asked), "after": "", "before": "", **place}
    if wanted["order"] == "newest":
        wanted["order"] = ""
    return "?" + urlencode({name: value for name, value in wanted.items() if value not in ("", None)})

