"""What is done with the texts that somebody ticked in the list, or with one from its own page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from corpus.errors import DomainError
from corpus.models import Project
from labeling.errors import NobodyChosen, NothingTicked
from labeling.selectors.names import members_shown, reviewers_of
from labeling.selectors.texts import texts_named
from labeling.services.texts import (
    Acted,
    text_assign,
    text_gold_mark,
    text_gold_unmark,
    text_raise,
    text_unassign,
    texts_each,
)
from labeling.views.access import person_of, project_of

#: So many texts are named in a sentence about why something was not done with them.
NAMED = 3

#: act -> the right it takes, the use case, and how it is said of `n` texts.
ACTS: dict[str, tuple[str, Callable[..., object], Callable[[int], str]]] = {
    "assign": (
        "adjudicate",
        text_assign,
        lambda n: ngettext("%(n)d text is kept for %(who)s.", "%(n)d texts are kept for %(who)s.", n),
    ),
    "unassign": (
        "adjudicate",
        text_unassign,
        lambda n: ngettext("%(n)d text waits for anybody again.", "%(n)d texts wait for anybody again.", n),
    ),
    "raise": (
        "review",
        text_raise,
        lambda n: ngettext(
            "%(n)d text comes next. Whoever reviews next gets it.",
            "%(n)d texts come next. Whoever reviews next gets them.",
            n,
        ),
    ),
    "gold": (
        "adjudicate",
        text_gold_mark,
        lambda n: ngettext("%(n)d text is a gold item now.", "%(n)d texts are gold items now.", n),
    ),
    "ungold": (
        "adjudicate",
        text_gold_unmark,
        lambda n: ngettext(
            "%(n)d text is no gold item any more.", "%(n)d texts are no gold items any more.", n
        ),
    ),
}


@require_POST
@login_required
def texts_act(request: HttpRequest, slug: str) -> HttpResponse:
    """Do one thing with each of the texts; what could not be done is told with its reason."""
    found = project_of(request, slug, permission="review")
    if request.POST.get("act") not in ACTS:
        raise Http404
    permission, use_case, said = ACTS[request.POST["act"]]
    found = project_of(request, slug, permission=permission)
    try:
        documents = _documents(request)
        given: dict[str, Any] = {"project": found, "user": person_of(request)}
        who = ""
        if use_case is text_assign:
            given["assignee"], who = _assignee(request, found)
        acted = texts_each(documents=documents, act=lambda one: use_case(document_id=one, **given))
    except DomainError as refused:
        messages.error(request, refused.words)
    else:
        if acted.done:
            messages.success(request, said(acted.done) % {"n": acted.done, "who": who})
        _tell_left(request, found, acted)
    return HttpResponseRedirect(_back(request, found))


def _documents(request: HttpRequest) -> list[UUID]:
    asked = request.POST.getlist("text")
    try:
        documents = [UUID(one) for one in asked]
    except ValueError:
        raise Http404 from None
    if not documents:
        raise NothingTicked()
    return documents


def _assignee(request: HttpRequest, found: Project) -> tuple[User, str]:
    shown = reviewers_of(members_shown(project=found, viewer=person_of(request)))
    asked = request.POST.get("user", "")
    person_id = next((one for one in shown if str(one) == asked), None)
    if person_id is None:
        raise NobodyChosen(pointer="/user")
    return User.objects.get(pk=person_id), shown[person_id]


def _tell_left(request: HttpRequest, found: Project, acted: Acted) -> None:
    """One sentence for each reason, with the texts that it kept."""
    named = texts_named(project=found, documents=[document_id for document_id, _why in acted.left])
    kept: dict[str, list[str]] = defaultdict(list)
    for document_id, refused in acted.left:
        kept[refused.words].append(named.get(document_id, str(document_id)[:8]))
    for why, names in kept.items():
        texts = ", ".join(_("“%(text)s”") % {"text": name} for name in names[:NAMED])
        if len(names) > NAMED:
            texts = _("%(texts)s and %(n)d more") % {"texts": texts, "n": len(names) - NAMED}
        words = ngettext(
            "%(n)d text stays as it was. %(texts)s: %(why)s",
            "%(n)d texts stay as they were. %(texts)s: %(why)s",
            len(names),
        )
        messages.warning(request, words % {"n": len(names), "texts": texts, "why": why})


def _back(request: HttpRequest, found: Project) -> str:
    back = request.POST.get("back", "")
    if url_has_allowed_host_and_scheme(back, allowed_hosts=None):
        return back
    return reverse("labeling:texts", args=[found.slug])
