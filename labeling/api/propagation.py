"""The workbench's JSON for carrying a decision over to other texts."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode

import msgspec
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api.access import ProjectView
from labeling.selectors import task_get
from labeling.selectors.propagations import occurrences
from labeling.services.propagations import propagation_apply

FIRST_ROWS = 20


class Place(msgspec.Struct, forbid_unknown_fields=True):
    """Where the surface stands: a task, and a code point in its text."""

    task: int
    start: int


class PropagateBody(msgspec.Struct, forbid_unknown_fields=True):
    """A decision and where it shall hold. An empty label means "not an entity"."""

    surface: str
    label: str
    places: list[Place]
    task: int | None = None


class OccurrencesView(ProjectView):
    """GET `?surface=&label=&task=`: where else a decision would change something, and the first places."""

    def get(self, request: Request, slug: str) -> Response:
        surface, label = request.GET.get("surface", ""), request.GET.get("label", "")
        # The workbench sends the number of the task that it shows; anything else names none.
        task = int(asked) if (asked := request.GET.get("task", "")).isascii() and asked.isdigit() else None
        found = occurrences(
            project=self.project, user=self.person, surface=surface, label=label, besides=task
        )
        page = reverse("labeling:propagation_new", args=[self.project.slug])
        return Response(
            {
                "count": len(found.rows),
                "texts": found.texts,
                "capped": found.is_capped,
                "rows": msgspec.to_builtins(found.rows[:FIRST_ROWS]),
                "page": f"{page}?{urlencode({'surface': surface, 'label': label, 'task': task or ''})}",
            }
        )


class PropagateView(ProjectView):
    """POST: mark the surface at the places given."""

    body = PropagateBody

    def post(self, request: Request, slug: str) -> Response:
        body = cast(PropagateBody, request.data)
        propagation = propagation_apply(
            project=self.project,
            user=self.person,
            surface=body.surface,
            label=body.label,
            places=[(place.task, place.start) for place in body.places],
            task=task_get(project=self.project, task_id=body.task) if body.task is not None else None,
        )
        return Response({"propagation": propagation.pk, "spans": propagation.spans.count()})
