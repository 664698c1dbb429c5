"""The front door: the home page and the one-time sign-in of a new admin."""

from __future__ import annotations

from typing import cast

from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from corpus.selectors import projects_visible
from labeling.selectors.overview import projects_at_a_glance
from nerapp.sign_in import LinkRefused, link_consume, link_is_usable


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    """Where a person's work is: the only project they may work in, else all of them."""
    only = list(projects_visible(request.user)[:2])
    return redirect("labeling:project", slug=only[0].slug) if len(only) == 1 else redirect("projects")


@require_safe
@login_required
def projects(request: HttpRequest) -> HttpResponse:
    """The projects a person may work in, and the way to a new one."""
    found = list(projects_visible(request.user).order_by("name"))
    lines = projects_at_a_glance(projects=found, user=cast(User, request.user))
    return render(request, "home.html", {"projects": lines})


@require_safe
@login_required
def help_page(request: HttpRequest) -> HttpResponse:
    """What everything is, in plain words, to be read or printed."""
    return render(request, "help.html")


@require_http_methods(["GET", "HEAD", "POST"])
def sign_in_once(request: HttpRequest, token: str) -> HttpResponse:
    """Show a one-time link's button; pressing it signs in and spends the link.

    A GET spends nothing, so that a link preview or a browser's prefetch cannot use the link up.
    """
    if request.method != "POST":
        usable = link_is_usable(token=token)
        return render(request, "sign_in_once.html", {"usable": usable}, status=200 if usable else 410)
    try:
        user = link_consume(token=token)
    except LinkRefused:
        return render(request, "sign_in_once.html", {"usable": False}, status=410)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("home")


def no_such_page(request: HttpRequest) -> HttpResponse:
    """An address that a library brings and nerapp does not offer."""
    raise Http404
