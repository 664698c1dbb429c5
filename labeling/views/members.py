"""People come into a project, get another role there, and go: from the team's page."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from corpus.errors import DomainError
from corpus.models import Membership, Project
from corpus.selectors import projects_visible
from labeling.services.members import member_add, member_change, member_remove
from labeling.views.access import person_of, project_of
from labeling.views.team import team_page


@require_POST
@login_required
def add(request: HttpRequest, slug: str) -> HttpResponse:
    """Take the owner of an account into the project."""
    found = project_of(request, slug, permission="manage")
    name, role = request.POST.get("name", ""), _role(request)
    try:
        made = member_add(project=found, name=name, role=role, user=person_of(request))
    except DomainError as refused:
        # The page itself, not a way back to it: what was typed stands there to be mended.
        return team_page(request, found, typed=name, problem=refused)
    words = _("%(who)s is in the project now, as %(role)s.")
    messages.success(request, words % {"who": made.user, "role": made.get_role_display()})
    return _back(request, found)


@require_POST
@login_required
def change(request: HttpRequest, slug: str, user_id: int) -> HttpResponse:
    """Give a person another role."""
    found = project_of(request, slug, permission="manage")
    membership, role = _membership(found, user_id), _role(request)
    try:
        changed = member_change(membership=membership, role=role, user=person_of(request))
    except DomainError as refused:
        messages.error(request, refused.words)
    else:
        words = _("%(who)s is %(role)s from now on.")
        messages.success(request, words % {"who": changed.user, "role": changed.get_role_display()})
    return _back(request, found)


@require_POST
@login_required
def remove(request: HttpRequest, slug: str, user_id: int) -> HttpResponse:
    """Take a person out of the project."""
    found = project_of(request, slug, permission="manage")
    membership = _membership(found, user_id)
    try:
        member_remove(membership=membership, user=person_of(request))
    except DomainError as refused:
        messages.error(request, refused.words)
    else:
        words = _("%(who)s is not in the project any more. What was kept for them waits for anybody again.")
        messages.success(request, words % {"who": membership.user})
    return _back(request, found)


def _membership(found: Project, user_id: int) -> Membership:
    membership = found.memberships.select_related("user", "project").filter(user=user_id).first()
    if membership is None:
        raise Http404
    return membership


def _role(request: HttpRequest) -> str:
    role = request.POST.get("role", "")
    if role not in Membership.Role.values:
        raise Http404
    return role


def _back(request: HttpRequest, found: Project) -> HttpResponse:
    """To the team's page, unless whoever acted has just left the project."""
    if not projects_visible(person_of(request)).filter(pk=found.pk).exists():
        return HttpResponseRedirect(reverse("home"))
    return HttpResponseRedirect(reverse("labeling:team", args=[found.slug]))
