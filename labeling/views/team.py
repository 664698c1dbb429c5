"""The pages of the team: who works how, how far they agree, and what is kept for whom."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from corpus.errors import DomainError
from corpus.models import Membership, Project
from corpus.selectors import label_set_current, labels_of, project_allows
from feedback.selectors import agreement_of
from labeling.models import AssignmentRule
from labeling.selectors.disputes import disputed_spans
from labeling.selectors.names import names_shown, naming
from labeling.selectors.people import compared, people_rows, scores_by_label, scores_of
from labeling.selectors.team import disputed_rows
from labeling.services.assignments import (
    assignment_rule_end,
    assignment_rule_set,
    tasks_assign,
    tasks_unassign,
    team_change,
)
from labeling.views.access import is_number, person_of, project_of


@require_safe
@login_required
def team(request: HttpRequest, slug: str) -> HttpResponse:
    """Everybody's numbers; names and what may be changed as far as the person may."""
    return team_page(request, project_of(request, slug))


def team_page(
    request: HttpRequest, found: Project, *, typed: str = "", problem: DomainError | None = None
) -> HttpResponse:
    """The page, with what was typed into its form for new members and why that was refused."""
    me = person_of(request)
    may_manage = project_allows(project=found, user=me, permission="manage")
    may_adjudicate = project_allows(project=found, user=me, permission="adjudicate")
    rows = people_rows(project=found, viewer=me, pairs=agreement_of(project=found).pairs)
    admins = [row.user_id for row in rows if row.role == Membership.Role.ADMIN]
    context = {
        "project": found,
        "tab": "team",
        "people": rows,
        "may_manage": may_manage,
        "may_adjudicate": may_adjudicate,
        "may_open_all": may_manage or (may_adjudicate and not found.hide_names),
        "roles": Membership.Role.choices,
        "last_admin": admins[0] if len(admins) == 1 else None,
        "typed": typed,
        "problem": problem,
        "methods": AssignmentRule.Method.choices,
        "rules": found.assignment_rules.prefetch_related("people") if may_manage else (),
        "gold_count": found.gold_items.count(),
        "percent_overlap": round(found.overlap_share * 100),
        "percent_gold": round(found.gold_share * 100),
    }
    return render(request, "labeling/team.html", context, status=problem.status if problem else 200)


@require_safe
@login_required
def person(request: HttpRequest, slug: str, user_id: int) -> HttpResponse:
    """One person's numbers: their own, or anybody's for who may see names."""
    found = project_of(request, slug)
    me = person_of(request)
    may_manage = project_allows(project=found, user=me, permission="manage")
    may_see = may_manage or (
        project_allows(project=found, user=me, permission="adjudicate") and not found.hide_names
    )
    rows = people_rows(project=found, viewer=me, pairs=agreement_of(project=found).pairs)
    row = next((row for row in rows if row.user_id == user_id), None)
    if row is None or not (may_see or row.is_me):
        raise Http404
    about = User.objects.get(pk=user_id)
    gold, hues = compared(project=found, gold=True, user=about), _hues(found)
    context = {
        "project": found,
        "tab": "team",
        "row": row,
        "gold_labels": _in_colour(gold, hues),
        "gold_weeks": _by_week(gold),
        "decided_labels": _in_colour(compared(project=found, user=about), hues),
    }
    return render(request, "labeling/person.html", context)


@require_safe
@login_required
def agreement(request: HttpRequest, slug: str) -> HttpResponse:
    """How far the annotators agree, and where they do not."""
    found = project_of(request, slug)
    me = person_of(request)
    figures = agreement_of(project=found)
    names = names_shown(project=found, viewer=me)
    hues = _hues(found)
    may_adjudicate = project_allows(project=found, user=me, permission="adjudicate")
    context = {
        "project": found,
        "tab": "agreement",
        "figures": figures,
        "pairs": [
            (names.get(int(pair.first), "–"), names.get(int(pair.second), "–"), pair)
            for pair in figures.pairs
        ],
        "labels": [(hues.get(one.label, 0), one) for one in figures.labels],
        "disputed": disputed_rows(project=found) if may_adjudicate else [],
        "may_adjudicate": may_adjudicate,
    }
    return render(request, "labeling/agreement.html", context)


@require_safe
@login_required
def disputes(request: HttpRequest, slug: str) -> HttpResponse:
    """Each place on which annotators differ, of `?label=` or of all labels."""
    found = project_of(request, slug, permission="adjudicate")
    label, after = request.GET.get("label", ""), request.GET.get("after", "")
    problem, page = None, None
    try:
        page = disputed_spans(project=found, viewer=person_of(request), label=label, after=after)
    except DomainError as refused:
        problem = refused
    context = {
        "project": found,
        "tab": "agreement",
        "page": page,
        "problem": problem,
        "label": label,
        "is_first": not after,
        "labels": labels_of(label_set=label_set_current(project=found)),
        "hues": _hues(found),
        "next": "?" + urlencode({"label": label, "after": page.after}) if page and page.after else "",
    }
    return render(request, "labeling/disputes.html", context, status=400 if problem else 200)


@require_POST
@login_required
def team_settings(request: HttpRequest, slug: str) -> HttpResponse:
    """How many annotate a text, how often gold items come, whether names are shown."""
    found = project_of(request, slug, permission="manage")
    given = request.POST
    try:
        values: dict[str, Any] = {
            "annotators_per_document": int(given.get("annotators_per_document", "")),
            "overlap_share": float(given.get("overlap_percent", "")) / 100,
            "gold_share": float(given.get("gold_percent", "")) / 100,
            "hide_names": given.get("hide_names") == "on",
        }
        team_change(project=found, user=person_of(request), **values)
    except ValueError:
        messages.error(request, _("Give numbers; shares are 0 to 100 percent."))
    except ValidationError as invalid:
        for problem in invalid.messages:
            messages.error(request, problem)
    else:
        messages.success(request, _("Stored. Texts that nobody has begun follow."))
    return _back(found)


@require_POST
@login_required
def assign(request: HttpRequest, slug: str) -> HttpResponse:
    """Keep the next so many texts for a person."""
    found = project_of(request, slug, permission="adjudicate")
    assignee = _member(found, request.POST.get("user", ""))
    if assignee is None:
        messages.error(request, _("Say who is to get them."))
        return _back(found)
    count = request.POST.get("count", "")
    me = person_of(request)
    try:
        kept = tasks_assign(
            project=found, assignee=assignee, user=me, count=int(count) if is_number(count) else 0
        )
    except DomainError as refused:
        messages.error(request, refused.words)
    else:
        who = naming(project=found, viewer=me)(assignee)
        words = ngettext("%(n)d text is kept for %(who)s.", "%(n)d texts are kept for %(who)s.", kept)
        messages.success(request, words % {"n": kept, "who": who})
    return _back(found)


@require_POST
@login_required
def unassign(request: HttpRequest, slug: str) -> HttpResponse:
    """Give back to all what is kept for a person and not begun."""
    found = project_of(request, slug, permission="adjudicate")
    assignee = _member(found, request.POST.get("user", ""))
    if assignee is not None:
        freed = tasks_unassign(project=found, assignee=assignee, user=person_of(request))
        words = ngettext("%(n)d text waits for anybody again.", "%(n)d texts wait for anybody again.", freed)
        messages.success(request, words % {"n": freed})
    return _back(found)


@require_POST
@login_required
def rule_set(request: HttpRequest, slug: str) -> HttpResponse:
    """Make a rule that keeps new texts for people."""
    found = project_of(request, slug, permission="manage")
    people = [member for one in request.POST.getlist("people") if (member := _member(found, one))]
    try:
        assignment_rule_set(
            project=found,
            user=person_of(request),
            people=people,
            method=request.POST.get("method", ""),
            source=request.POST.get("source", "").strip(),
            language=request.POST.get("language", "").strip(),
        )
    except DomainError as refused:
        messages.error(request, refused.words)
    except (ValueError, ValidationError):
        messages.error(request, _("This is no rule: choose how texts are given out, and to whom."))
    return _back(found)


@require_POST
@login_required
def rule_end(request: HttpRequest, slug: str, rule_id: int) -> HttpResponse:
    """Take a rule away."""
    found = project_of(request, slug, permission="manage")
    rule = AssignmentRule.objects.filter(project=found, pk=rule_id).first()
    if rule is None:
        raise Http404
    assignment_rule_end(rule=rule, user=person_of(request))
    return _back(found)


def _hues(found: Project) -> dict[str, int]:
    return {label.name: label.hue for label in labels_of(label_set=label_set_current(project=found))}


def _in_colour(rows: list[Any], hues: dict[str, int]) -> list[tuple[str, int, Any]]:
    return [(label, hues.get(label, 0), scores) for label, scores in scores_by_label(rows).items()]


def _by_week(rows: list[Any]) -> list[tuple[Any, int, Any]]:
    """Gold results by calendar week, the newest first."""
    weeks: dict[tuple[int, int], list[Any]] = {}
    for row in rows:
        weeks.setdefault(row.at.isocalendar()[:2], []).append(row)
    return [(some[0].at, len(some), scores_of(some)) for some in weeks.values()]


def _member(found: Project, asked: str) -> User | None:
    if not is_number(asked):
        return None
    return User.objects.filter(pk=int(asked), memberships__project=found).first()


def _back(found: Project) -> HttpResponse:
    return HttpResponseRedirect(reverse("labeling:team", args=[found.slug]))
