"""Every text of a project with its state: filtered, searched and paged by index at any size."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.postgres.search import SearchQuery
from django.db.models import F, OrderBy, Q, QuerySet
from django.db.models.functions import Coalesce, Left
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from corpus.models import Document, Project
from corpus.selectors import label_set_current, labels_of, project_allows
from feedback.models import GoldItem, Stratum
from labeling.errors import ChoiceUnknown, CursorInvalid, NumberInvalid, ParameterUnknown, SearchRefused
from labeling.models import Assignment, Standing, Task
from labeling.selectors.names import Naming, naming
from labeling.selectors.queue import task_reason
from labeling.selectors.seats import WAITING

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAGE = 50
EXCERPT = 160
#: So many characters of a text are its name in a sentence.
NAMED = 40
SEARCH_LIMIT = 200
#: A search looks through so many texts in the order of the list before it asks the index of words.
WALK = 10_000
FACETS = ("stratum", "label", "source", "language")
_CURSORS = ("after", "before")
PARAMETERS = frozenset({"q", "state", "reviewer", "order", *FACETS, *_CURSORS})
ORDERS: dict[str, Promise | str] = {
    "newest": _("newest first"),
    "oldest": _("oldest first"),
    "unsure": _("least sure first"),
}
#: The column of each order, and whether it falls.
_KEYS = {"newest": ("arrived_at", True), "oldest": ("arrived_at", False), "unsure": ("uncertainty", True)}


@dataclass(frozen=True, slots=True)
class TextsAsked:
    """Which texts somebody wants to see."""

    q: str = ""
    state: str = ""
    stratum: str = ""
    label: str = ""
    source: str = ""
    language: str = ""
    reviewer: int | None = None
    order: str = "newest"
    after: str = ""
    before: str = ""

    @property
    def is_filtered(self) -> bool:
        """Is anything left out?"""
        return replace(self, order="newest", after="", before="") != TextsAsked()


@dataclass(frozen=True, slots=True)
class TextRow:
    """One line of the list."""

    id: UUID
    excerpt: str
    name: str
    state: str
    words: Promise | str
    reason: str
    labels: tuple[tuple[str, int], ...]
    """Names with their place in the palette."""

    source: str
    language: str
    reviewer: str
    arrived_at: datetime
    task: int | None
    is_raised: bool
    like: str
    like_id: UUID | None
    kept_for: str = ""
    """For whom it waits; told to adjudicators only, as what follows."""

    is_gold: bool = False

    @property
    def may_be_raised(self) -> bool:
        """Can somebody ask for it next?"""
        return not self.is_raised and self.state in {"waiting", "new", "left_out"}


@dataclass(frozen=True, slots=True)
class TextsPage:
    """A page of the list, and the cursors of its neighbours; empty where there is none."""

    rows: list[TextRow]
    after: str
    before: str


def texts_asked(*, project: Project, given: Mapping[str, Sequence[str]]) -> TextsAsked:
    """Read the parameters of an address; what is unknown or malformed is refused, never ignored."""
    values: dict[str, str] = {}
    for name, several in given.items():
        if name not in PARAMETERS:
            raise ParameterUnknown(pointer=name, name=name[:40], known=", ".join(sorted(PARAMETERS)))
        if len(several) > 1:
            raise ChoiceUnknown(pointer=name, name=name, value="given twice")
        if several[0]:
            values[name] = several[0]
    labels = {label.name for label in labels_of(label_set=label_set_current(project=project))}
    choices = {
        "state": set(Standing.State.values),
        "stratum": set(Stratum.values),
        "label": labels,
        "order": set(ORDERS),
    }
    for name, known in choices.items():
        if values.get(name, next(iter(known), "")) not in known:
            raise ChoiceUnknown(pointer=name, name=name, value=values[name][:40])
    for name in ("q", "source", "language"):
        if "\x00" in values.get(name, "") or len(values.get(name, "")) > SEARCH_LIMIT:
            raise SearchRefused(pointer=name, name=name, limit=SEARCH_LIMIT)
    reviewer = values.pop("reviewer", None)
    if reviewer is not None and not (reviewer.isascii() and reviewer.isdigit() and len(reviewer) < 10):
        raise NumberInvalid(pointer="reviewer", name="reviewer")
    asked = TextsAsked(**values, reviewer=int(reviewer) if reviewer else None)
    if asked.after and asked.before:
        raise CursorInvalid(pointer="before")
    for cursor in filter(None, (asked.after, asked.before)):
        _cursor_read(cursor, order=asked.order)
    return asked


def texts_page(*, project: Project, asked: TextsAsked, viewer: User, limit: int = PAGE) -> TextsPage:
    """A page of a project's texts. Costs the same at the beginning and after a million rows."""
    column, falls = _KEYS[asked.order]
    backwards = bool(asked.before)
    falls = falls != backwards
    found = _filtered(project, asked)
    if cursor := asked.after or asked.before:
        found = _beyond(found, column, *_cursor_read(cursor, order=asked.order), smaller=falls)
    ordered = found.order_by(*_order(F(column), falls=falls)).select_related("reviewer").defer("words")
    count = limit + 1
    standings = _searched(ordered, column, asked.q, count, falls=falls) if asked.q else list(ordered[:count])
    more = len(standings) > limit
    standings = standings[:limit]
    if backwards:
        standings.reverse()
    ends = [_cursor_write(getattr(one, column), one.pk) for one in (*standings[:1], *standings[-1:])]
    has_next = bool(standings) and (more or backwards)
    has_previous = bool(standings) and ((more and backwards) or bool(asked.after))
    return TextsPage(
        rows=_rows(project, standings, viewer),
        after=ends[-1] if has_next else "",
        before=ends[0] if has_previous else "",
    )


def _filtered(project: Project, asked: TextsAsked) -> QuerySet[Standing]:
    found = Standing.objects.filter(project=project)
    if asked.state:
        found = found.filter(state=asked.state)
    if asked.reviewer is not None:
        found = found.filter(reviewer=asked.reviewer)
    if facets := [f"{name}:{value}" for name in FACETS if (value := getattr(asked, name))]:
        found = found.filter(facets__contains=facets)
    if asked.order == "unsure":
        found = found.filter(uncertainty__isnull=False)
    return found


def _searched(
    ordered: QuerySet[Standing], column: str, words: str, count: int, *, falls: bool
) -> list[Standing]:
    """The first texts of a list that hold the words.

    Frequent words are soon met by walking the list, rare ones are few enough to be sorted. The planner would
    have to guess which they are, and a wrong guess walks a million texts: so the walk has an end.
    """
    # Words as they are, "a phrase" in quotes, -not, or: the grammar of search boxes.
    hits = ordered.filter(words=SearchQuery(words, config="simple", search_type="websearch"))
    end = ordered.values_list(column, "pk")[WALK : WALK + 1].first()
    near = list((hits if end is None else _beyond(hits, column, *end, smaller=not falls))[:count])
    if end is None or len(near) == count:
        return near
    # By an expression that no index has, for an index in this order would be walked after all.
    return list(hits.order_by(*_order(Coalesce(column, column), falls=falls))[:count])


def _order(column: Coalesce | F, *, falls: bool) -> list[OrderBy]:
    return [one.desc() if falls else one.asc() for one in (column, F("document_id"))]


def _beyond(
    found: QuerySet[Standing], column: str, key: datetime | float, document: UUID, *, smaller: bool
) -> QuerySet[Standing]:
    # Not one comparison of pairs: with the first bound on its own the index is entered at the right place.
    sign = "lt" if smaller else "gt"
    return found.filter(
        Q(**{f"{column}__{sign}e": key}),
        Q(**{f"{column}__{sign}": key}) | Q(**{column: key, f"document__{sign}": document}),
    )


def _rows(project: Project, standings: Sequence[Standing], viewer: User) -> list[TextRow]:
    ids = [standing.pk for standing in standings]
    # Not the texts themselves: they may be a million characters long.
    heads = Document.objects.filter(pk__in=[*ids, *(one.like_id for one in standings if one.like_id)])
    documents: dict[UUID, Any] = {
        row["id"]: row
        for row in heads.annotate(head=Left("text", EXCERPT + 1)).values(
            "id", "head", "external_id", "source", "language"
        )
    }
    tasks: dict[UUID, Task] = {}
    for task in Task.objects.filter(document__in=ids).order_by("id").defer("skip_reason"):
        if task.document_id not in tasks or tasks[task.document_id].status != Task.Status.OPEN:
            tasks[task.document_id] = task
    hues = {label.name: label.hue for label in labels_of(label_set=label_set_current(project=project))}
    name = naming(project=project, viewer=viewer)
    rows = [_row(one, documents, tasks.get(one.pk), hues, name) for one in standings]
    if not project_allows(project=project, user=viewer, permission="adjudicate"):
        return rows
    gold = set(GoldItem.objects.filter(document__in=ids).values_list("document_id", flat=True))
    kept: dict[int, list[str]] = defaultdict(list)
    waiting = Assignment.objects.filter(
        task__in=tasks.values(), is_kept=True, is_gold=False, state__in=WAITING
    )
    for seat in waiting.select_related("user"):
        kept[seat.task_id].append(name(seat.user))
    return [
        replace(row, is_gold=row.id in gold, kept_for=", ".join(kept[row.task]) if row.task else "")
        for row in rows
    ]


def _row(
    standing: Standing,
    documents: Mapping[UUID, Any],
    task: Task | None,
    hues: Mapping[str, int],
    name: Naming,
) -> TextRow:
    document = documents[standing.pk]
    like = documents.get(standing.like_id) if standing.like_id else None
    return TextRow(
        id=standing.pk,
        excerpt=_excerpt(document["head"]),
        name=document["external_id"],
        state=standing.state,
        words=Standing.State(standing.state).label,
        reason="" if task is None else task_reason(task),
        labels=tuple(
            (facet[6:], hues.get(facet[6:], 0)) for facet in standing.facets if facet.startswith("label:")
        ),
        source=document["source"],
        language=document["language"],
        reviewer=name(standing.reviewer),
        arrived_at=standing.arrived_at,
        task=task.pk if task is not None and standing.state != Standing.State.ERASED else None,
        is_raised=task is not None and task.status == Task.Status.OPEN and task.raised_at is not None,
        like=_excerpt(like["head"]) if like else "",
        like_id=standing.like_id,
    )


def texts_named(*, project: Project, documents: Sequence[UUID]) -> dict[UUID, str]:
    """What to call texts in a sentence about them: their names, else their first words."""
    found = Document.objects.filter(project=project, pk__in=documents).annotate(head=Left("text", NAMED + 1))
    return {
        pk: name or " ".join(head[:NAMED].split()) + ("…" if len(head) > NAMED else "")
        for pk, name, head in found.values_list("pk", "external_id", "head")
    }


def _excerpt(head: str) -> str:
    words = " ".join(head[:EXCERPT].split())
    return words + ("…" if len(head) > EXCERPT else "")


def _cursor_write(key: datetime | float, document: UUID) -> str:
    said = key.isoformat() if isinstance(key, datetime) else repr(key)
    return base64.urlsafe_b64encode(f"{said} {document.hex}".encode()).decode().rstrip("=")


def _cursor_read(cursor: str, *, order: str) -> tuple[datetime | float, UUID]:
    try:
        said, document = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        key = float(said) if order == "unsure" else datetime.fromisoformat(said)
        if isinstance(key, datetime) and key.tzinfo is None:
            raise ValueError("a moment without its zone")
        return key, UUID(hex=document)
    except (ValueError, binascii.Error, UnicodeError) as error:
        raise CursorInvalid(pointer="after") from error
