"""What the workbench is given: one task as JSON, and its text as lines of marked segments.

The browser paints the same segments from the same JSON afterwards (static/js/workbench/render.js);
the two agree by one rule: a line break ends a line and is not part of it, and inside a line every
boundary of a span starts a new segment.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from corpus.models import Document, Label
from corpus.selectors import label_set_current, labels_of
from corpus.services import RESERVED_HOTKEYS
from feedback.models import Correction, Opinion
from feedback.selectors import correction_current, opinion_current
from inference.selectors import callers_are_shared
from labeling.models import Task
from labeling.selectors import comments_of, task_reason
from labeling.selectors.names import Naming, naming
from labeling.selectors.propagations import beside, propagated_spans
from labeling.selectors.seats import is_blind, seat_for_blind

if TYPE_CHECKING:
    from django.contrib.auth.models import User

_LINE_BREAK = re.compile(r"\r\n|\n|\r")
#: A longer line is painted in pieces, so that one edit never repaints a page-long line.
PIECE = 2_000
#: A line of more pieces than this is laid out piece by piece (static/css/workbench.css).
LONG_LINE = 3
#: A text without a name is called by its first words, so many characters of them.
NAME = 40
#: Spans that the model is less sure of are hatched.
SURE = 0.8
#: Label colours (static/css/tokens.css): 12 hues, and past them 4 kinds of underline.
HUES = 12
PATTERNS = 4

#: A span's id on the page, the span, and its label.
_Marked = tuple[str, Mapping[str, Any], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Layer:
    """One span's share of a segment."""

    id: str
    label: str
    title: str
    hue: int
    pattern: int
    up: int
    state: str
    unsure: bool
    first: bool
    last: bool
    percent: int | None

    @property
    def words(self) -> str:
        """What is said of the span after its text."""
        said = [self.title, _("suggested") if self.state == "suggested" else ""]
        said.append("" if self.percent is None else _("%(percent)s percent sure") % {"percent": self.percent})
        return ", ".join(word for word in said if word)


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text under the same spans."""

    text: str
    layers: tuple[Layer, ...]

    name: str = ""
    """What a screen reader says; empty where no span begins."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is painted in one go: a line, or part of a very long one."""

    index: int
    segments: tuple[Segment, ...]


def task_payload(*, task: Task, user: User) -> dict[str, Any]:
    """A task as the workbench reads it. Offsets are code points."""
    seat = seat_for_blind(task=task, user=user)
    blind = is_blind(task=task, seat=seat)
    # Whoever annotates blind sees their own opinion and nobody else's, and no difference to other texts.
    current = (
        opinion_current(document=task.document, author=user) if blind else correction_current(task.document)
    )
    until = seat.lease_expires_at if blind and seat else task.lease_expires_at
    label_set = label_set_current(project=task.project)
    labels = labels_of(label_set=label_set)
    # Whoever knew that it is the new one would judge it more kindly, or less.
    version = _("the model") if callers_are_shared(task.project) else str(task.prediction.version)
    # Who goes on from a correction has decided on these already; who annotates blind starts as the others do.
    name = naming(project=task.project, viewer=user)
    carried = [] if current or blind else propagated_spans(task, name)
    return {
        "id": task.pk,
        "status": Task.Status.OPEN if blind else task.status,
        "document": {
            "id": str(task.document_id),
            "name": task.document.external_id or _beginning(task.document.text),
            "language": task.document.language,
            "source": task.document.source,
        },
        "text": task.document.text,
        "reason": task_reason(task),
        "stratum": task.stratum,
        "labelSet": label_set.revision,
        "labels": [_label(label) for label in labels],
        "prediction": {
            "version": version,
            "spans": beside(_known(task.prediction.spans, labels), carried),
        },
        "propagated": carried,
        "number": current.number if current else 0,
        "current": correction_payload(current, name) if current else None,
        "comments": comments_payload(task.document, name, only=user if blind else None),
        "leaseUntil": until.isoformat() if until else None,
        "mine": blind or task.claimed_by_id in (None, user.pk),
    }


def comments_payload(document: Document, name: Naming, *, only: User | None) -> list[dict[str, Any]]:
    """What was said about a document, as the workbench reads it. Offsets are code points."""
    return [
        {
            "id": comment.pk,
            "author": name(comment.author),
            "at": comment.created_at.isoformat(),
            "body": comment.body,
            "start": comment.start,
            "end": comment.end,
            "resolvedBy": name(comment.resolved_by) or None,
        }
        for comment in comments_of(document=document, only=only)
    ]


def _beginning(text: str) -> str:
    """A name for a text that came without one."""
    words = " ".join(text[: 2 * NAME].split())
    return words if len(words) <= NAME else f"{words[: NAME - 1].rstrip()}…"


def correction_payload(correction: Correction | Opinion, name: Naming) -> dict[str, Any]:
    """A correction as the workbench reads it."""
    return {
        "number": correction.number,
        "author": name(correction.author) or correction.by,
        "at": correction.created_at.isoformat(),
        "spans": correction.spans,
    }


def pieces_of(payload: Mapping[str, Any]) -> list[list[Piece]]:
    """The lines of a task's text, each a list of pieces, under the spans that the reviewer starts from."""
    text: str = payload["text"]
    start_from = payload["current"] or payload["prediction"]
    human = payload["current"] is not None
    marks = {label["name"]: label for label in payload["labels"]}
    spans = [
        (f"s{index}", span, marks.get(span["label"], {"hue": 0, "pattern": 0, "title": span["label"]}))
        for index, span in enumerate(start_from["spans"])
    ]
    spans.sort(key=lambda item: (item[1]["start"], -item[1]["end"], item[1]["label"]))
    lines, index, first = [], 0, 0
    for start, end in _line_bounds(text):
        pieces = []
        for left, right in _piece_bounds(text, start, end):
            while first < len(spans) and spans[first][1]["end"] <= left:
                first += 1
            covering = _covering(itertools.islice(spans, first, None), left, right)
            segments = _segments(text, left, right, covering, human=human)
            pieces.append(Piece(index, tuple(segments)))
            index += 1
        lines.append(pieces)
    return lines


def _covering(spans: Iterator[_Marked], left: int, right: int) -> list[_Marked]:
    begun = itertools.takewhile(lambda item: item[1]["start"] < right, spans)
    return [item for item in begun if item[1]["end"] > left]


def _line_bounds(text: str) -> list[tuple[int, int]]:
    bounds, start = [], 0
    for match in _LINE_BREAK.finditer(text):
        bounds.append((start, match.start()))
        start = match.end()
    bounds.append((start, len(text)))
    return bounds


def _piece_bounds(text: str, start: int, end: int) -> list[tuple[int, int]]:
    bounds = []
    while end - start > PIECE:
        # Between words where there is a blank; a script without blanks is cut anywhere.
        cut = text.rfind(" ", start + PIECE // 2, start + PIECE) + 1 or start + PIECE
        bounds.append((start, cut))
        start = cut
    return [*bounds, (start, end)]


def _segments(text: str, left: int, right: int, covering: Sequence[_Marked], *, human: bool) -> list[Segment]:
    edges = {left, right}
    for _key, span, _mark in covering:
        edges.update(edge for edge in (span["start"], span["end"]) if left < edge < right)
    ordered = sorted(edges)
    segments = []
    for start, end in itertools.pairwise(ordered):
        here = [item for item in covering if item[1]["start"] < end and item[1]["end"] > start]
        layers = tuple(
            _layer(item, start, end, up=min(len(here) - 1 - depth, 3), human=human)
            for depth, item in enumerate(here)
        )
        names = [
            f"{text[span['start'] : span['end']]}, {layer.words}"
            for (_key, span, _mark), layer in zip(here, layers, strict=True)
            if layer.first
        ]
        segments.append(Segment(text[start:end], layers, "; ".join(names)))
    return segments


def _layer(item: _Marked, start: int, end: int, *, up: int, human: bool) -> Layer:
    key, span, mark = item
    confidence = None if human else span.get("confidence")
    return Layer(
        id=key,
        label=span["label"],
        title=mark["title"],
        hue=mark["hue"],
        pattern=mark["pattern"],
        up=up,
        state="human" if human else "suggested",
        unsure=confidence is not None and confidence < SURE,
        first=span["start"] == start,
        last=span["end"] == end,
        percent=None if confidence is None else round(confidence * 100),
    )


def _label(label: Label) -> dict[str, Any]:
    return {
        "name": label.name,
        "title": label.title or label.name,
        # A label set may be older than a key of the workbench: the key's first meaning stays.
        "hotkey": "" if label.hotkey in RESERVED_HOTKEYS else label.hotkey,
        "hue": label.hue % HUES,
        "pattern": label.hue // HUES % PATTERNS,
        "description": label.description,
        "guideline": label.guideline,
    }


def _known(spans: Sequence[dict[str, Any]], labels: Sequence[Label]) -> list[dict[str, Any]]:
    """Without labels that the project does not use: a base model may know more than is asked here."""
    names = {label.name for label in labels}
    return [span for span in spans if span["label"] in names]
