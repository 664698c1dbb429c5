"""The places on which annotators differ, in the texts that wait for adjudication."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from corpus.models import Document, Project
from corpus.selectors import label_set_current, labels_of
from feedback.models import Opinion
from labeling.errors import ChoiceUnknown, CursorInvalid
from labeling.models import Task
from labeling.selectors.names import annotating
from labeling.selectors.team import disputed_waiting
from ner.agreement import Region, regions
from ner.spans import Span

if TYPE_CHECKING:
    from django.contrib.auth.models import User

PAGE = 50
#: So many texts are looked through for one page; a rare label may need another.
SCANNED = 400
#: So many are read at once: texts may be long.
_CHUNK = 20
#: Characters on both sides of a place.
CONTEXT = 60


@dataclass(frozen=True, slots=True)
class DisputedSpan:
    """One place, its words in context, and who marked what there. Offsets are code points."""

    task: int
    start: int
    before: str
    words: str
    after: str
    said: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    """Each annotator's name with the words and labels that they marked; nothing is an answer, too."""


@dataclass(frozen=True, slots=True)
class DisputesPage:
    """A page of them, and where the next one begins; empty at the end."""

    rows: list[DisputedSpan]
    after: str


def disputed_spans(
    *, project: Project, viewer: User, label: str = "", after: str = "", limit: int = PAGE
) -> DisputesPage:
    """The places on which annotators differ, in the order in which their texts were queued.

    With a label only places where somebody gave it. Raises ChoiceUnknown and CursorInvalid.
    """
    known = {one.name for one in labels_of(label_set=label_set_current(project=project))}
    if label and label not in known:
        raise ChoiceUnknown(pointer="label", name="label", value=label[:40])
    task_id, start = _place(after)
    waiting = disputed_waiting(project=project).filter(pk__gte=task_id).order_by("pk")
    tasks = list(waiting.only("pk", "document_id")[: SCANNED + 1])
    rows: list[DisputedSpan] = []
    for task, text, region, people in _regions(project, viewer, tasks[:SCANNED], known):
        if (task.pk, region.start) < (task_id, start) or not _gives(region, label):
            continue
        if len(rows) == limit:
            return DisputesPage(rows, f"{task.pk}-{region.start}")
        rows.append(_row(task, text, region, people))
    return DisputesPage(rows, f"{tasks[SCANNED].pk}-0" if len(tasks) > SCANNED else "")


def _place(after: str) -> tuple[int, int]:
    if not after:
        return 0, 0
    task, _, start = after.partition("-")
    if not all(one.isascii() and one.isdigit() and len(one) <= 18 for one in (task, start)):
        raise CursorInvalid(pointer="after")
    return int(task), int(start)


def _regions(
    project: Project, viewer: User, tasks: list[Task], known: set[str]
) -> Iterator[tuple[Task, str, Region, dict[str, str]]]:
    """Each disputed place with its text and the annotators' names by the keys of the region's versions."""
    names = annotating(project=project, viewer=viewer)
    for first in range(0, len(tasks), _CHUNK):
        chunk = tasks[first : first + _CHUNK]
        ids = [task.document_id for task in chunk]
        said: dict[UUID, list[Opinion]] = defaultdict(list)
        newest = Opinion.objects.filter(document__in=ids).order_by("document_id", "author_id", "-number")
        for opinion in newest.distinct("document_id", "author_id"):
            said[opinion.document_id].append(opinion)
        texts = dict(Document.objects.filter(pk__in=ids).values_list("pk", "text"))
        for task in chunk:
            opinions = sorted(said[task.document_id], key=lambda one: (one.created_at, one.pk))
            called = names([opinion.author_id for opinion in opinions])
            people = {str(one.pk): name for one, name in zip(opinions, called, strict=True)}
            spans = {
                str(one.pk): [span for span in map(Span.from_json, one.spans) if span.label in known]
                for one in opinions
            }
            for region in regions(spans):
                if not region.is_agreed:
                    yield task, texts[task.document_id], region, people


def _gives(region: Region, label: str) -> bool:
    return not label or any(span.label == label for spans in region.versions.values() for span in spans)


def _row(task: Task, text: str, region: Region, people: dict[str, str]) -> DisputedSpan:
    return DisputedSpan(
        task=task.pk,
        start=region.start,
        before=text[max(region.start - CONTEXT, 0) : region.start],
        words=text[region.start : region.end],
        after=text[region.end : region.end + CONTEXT],
        said=tuple(
            (people[key], tuple((text[span.start : span.end], span.label) for span in spans))
            for key, spans in region.versions.items()
        ),
    )
