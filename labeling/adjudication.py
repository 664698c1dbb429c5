"""What the page of adjudication is given: one text, each annotator's version, and where they differ."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from corpus.services import RESERVED_HOTKEYS
from feedback.selectors import correction_current, opinions_newest
from labeling.models import Task
from labeling.selectors.names import annotating
from labeling.workbench import task_payload
from ner.agreement import Region, regions
from ner.spans import Span

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def adjudication_payload(*, task: Task, user: User) -> dict[str, Any]:
    """A disputed text as the page reads it: a task of the workbench that starts from what is agreed."""
    text = task.document.text
    opinions = opinions_newest(document=task.document)
    body = task_payload(task=task, user=user)
    known = {label["name"] for label in body["labels"]}
    spans = {
        str(opinion.pk): [span for span in map(Span.from_json, opinion.spans) if span.label in known]
        for opinion in opinions
    }
    found = regions(spans)
    current = correction_current(task.document)
    agreed = [span for region in found if region.is_agreed for span in next(iter(region.versions.values()))]
    return {
        **body,
        "labels": _labels(body["labels"], versions=len(opinions)),
        "number": current.number if current else 0,
        "current": {"author": "", "spans": [span.to_json(text) for span in agreed]},
        "prediction": {"version": "", "spans": []},
        "names": annotating(project=task.project, viewer=user)([one.author_id for one in opinions]),
        "agreed": len(agreed),
        "regions": [_region(region, list(spans), text) for region in found if not region.is_agreed],
    }


def _region(region: Region, order: Sequence[str], text: str) -> dict[str, Any]:
    return {
        "start": region.start,
        "end": region.end,
        "text": text[region.start : region.end],
        "versions": [[span.to_json(text) for span in region.versions[key]] for key in order],
    }


def _labels(labels: Sequence[dict[str, Any]], *, versions: int) -> list[dict[str, Any]]:
    """Labels whose keys are not those of the versions: 0, 1, ..., n choose a version here."""
    digits = {str(number) for number in range(versions + 1)}
    taken = {label["hotkey"] for label in labels} | digits | RESERVED_HOTKEYS | {""}
    given = []
    for label in labels:
        hotkey = label["hotkey"]
        if hotkey in digits or not hotkey:
            letters = [one for one in label["name"].lower() if one in ascii_lowercase]
            hotkey = next((one for one in [*letters, *ascii_lowercase] if one not in taken), "")
            taken.add(hotkey)
        given.append({**label, "hotkey": hotkey})
    return given
