"""Where a surface stands in texts that wait, and what was carried over to them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib.postgres.search import SearchQuery
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Left, Now
from django.utils.translation import gettext as _

from corpus.errors import NotFound
from corpus.models import Project
from corpus.selectors import label_set_current, labels_of
from feedback.models import Stratum
from labeling.errors import ChoiceUnknown, SurfaceRefused
from labeling.models import PropagatedSpan, Propagation, Task
from labeling.models.standing import SEARCHED_CHARACTERS
from labeling.selectors.names import Naming

if TYPE_CHECKING:
    from django.contrib.auth.models import User

SURFACE_LIMIT = 200
#: So many texts are looked into; a surface that stands in more is offered for these first.
TEXTS_LIMIT = 500
#: Characters on both sides of an occurrence.
CONTEXT = 60


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One place where the surface stands as words of its own. Offsets are code points."""

    task: int
    start: int
    end: int
    before: str
    surface: str
    after: str
    goes_before: bool
    goes_on: bool


@dataclass(frozen=True, slots=True)
class Occurrences:
    """What a decision on a surface could be carried over to."""

    rows: list[Occurrence]
    is_capped: bool

    @property
    def texts(self) -> int:
        """In how many texts."""
        return len({row.task for row in self.rows})


def surface_check(*, project: Project, surface: str, label: str) -> None:
    """Refuse a surface that cannot be looked for, or a label that the project has not."""
    if not 0 < len(surface) <= SURFACE_LIMIT or "\x00" in surface or not re.search(r"\w", surface):
        raise SurfaceRefused(pointer="/surface", limit=SURFACE_LIMIT)
    known = {one.name for one in labels_of(label_set=label_set_current(project=project))}
    if label and label not in known:
        raise ChoiceUnknown(pointer="/label", name="label", value=label[:50])


def occurrences(
    *, project: Project, user: User, surface: str, label: str, besides: int | None = None
) -> Occurrences:
    """Places in waiting texts where the surface stands and the decision would change something.

    Never in the random stratum, whose texts must be judged as they come; never in a text that somebody has
    on the screen; only where the machine says something else, and for "not an entity" anything.
    `besides` is the task in which the decision was made.
    """
    surface_check(project=project, surface=surface, label=label)
    words = SearchQuery(surface, config="simple", search_type="phrase")
    done = PropagatedSpan.objects.filter(
        propagation__project=project,
        propagation__surface=surface,
        propagation__label=label,
        propagation__revoked_at=None,
    )
    waiting = (
        Task.objects.filter(project=project, status=Task.Status.OPEN, document__redacted_at=None)
        # Nor where several annotate: they must start from the same and know of nobody's decision.
        .filter(annotators_wanted=1)
        # Annotators of one text must not start from a colleague's decision.
        .exclude(Q(stratum=Stratum.RANDOM) | Q(annotators_wanted__gt=1))
        .filter(Q(claimed_by=None) | Q(claimed_by=user) | Q(lease_expires_at__lt=Now()))
        .exclude(Q(pk__in=done.values("task")) | Q(pk=besides))
        .filter(document__standing__words=words)
        .annotate(text=Left("document__text", SEARCHED_CHARACTERS))
        .values_list("pk", "text", "prediction__spans")
    )
    texts = list(waiting[: TEXTS_LIMIT + 1])
    rows = [
        row
        for task, text, spans in sorted(texts[:TEXTS_LIMIT], key=lambda found: found[0])
        for row in _places(task, text, spans, surface=surface, label=label)
    ]
    return Occurrences(rows=rows, is_capped=len(texts) > TEXTS_LIMIT)


def places_of(text: str, surface: str) -> list[int]:
    """Where the surface stands exactly, with no letter or digit touching it."""
    return [match.start() for match in re.finditer(rf"(?<!\w){re.escape(surface)}(?!\w)", text)]


def _places(
    task: int, text: str, spans: list[dict[str, Any]], *, surface: str, label: str
) -> list[Occurrence]:
    said = {(span["start"], span["end"]): span["label"] for span in spans}
    found = []
    for start in places_of(text, surface):
        end = start + len(surface)
        machine = said.get((start, end), "")
        if machine != label:
            before, after = text[max(start - CONTEXT, 0) : start], text[end : end + CONTEXT]
            goes_before, goes_on = start > CONTEXT, end + CONTEXT < len(text)
            found.append(Occurrence(task, start, end, before, surface, after, goes_before, goes_on))
    return found


def propagated_spans(task: Task, name: Naming) -> list[dict[str, Any]]:
    """What others' decisions suggest in a text that waits, as the workbench reads it."""
    if task.status != Task.Status.OPEN:
        return []
    spans = PropagatedSpan.objects.filter(task=task, propagation__revoked_at=None)
    return [
        {
            "start": span.start,
            "end": span.end,
            "label": span.propagation.label,
            "text": span.propagation.surface,
            "propagation": span.propagation_id,
            "author": name(span.propagation.author),
            "words": _("from {name}'s decision on “{surface}”").format(
                name=name(span.propagation.author), surface=span.propagation.surface
            ),
        }
        for span in spans.select_related("propagation__author").order_by("start", "propagation")
    ]


def beside(spans: list[dict[str, Any]], carried: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The machine's spans without those whose place a decision that was carried over takes."""
    taken = [(span["start"], span["end"]) for span in carried if span["label"]]
    return [
        span for span in spans if not any(start < span["end"] and span["start"] < end for start, end in taken)
    ]


def propagations_latest(*, project: Project, limit: int = 100) -> QuerySet[Propagation]:
    """The batches made last, with how much of each waits still and how much was submitted."""
    waits = Q(spans__task__status=Task.Status.OPEN)
    return (
        Propagation.objects.filter(project=project)
        .select_related("author", "revoked_by")
        .annotate(
            waiting=Count("spans__task", filter=waits, distinct=True),
            submitted=Count("spans__task", filter=Q(spans__task__status=Task.Status.DONE), distinct=True),
        )
        .order_by("-created_at", "-id")[:limit]
    )


def propagation_get(*, project: Project, propagation_id: int) -> Propagation:
    """A batch of the project, or NotFound."""
    found = Propagation.objects.filter(project=project, pk=propagation_id).select_related("author").first()
    if found is None:
        raise NotFound()
    return found
