"""Bringing texts into a project from a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from audit.services import Actor
from corpus.errors import DomainError, EmptyText, TextTooLong
from corpus.models import Project
from corpus.services import documents_import
from labeling.errors import FileRefused
from ner.errors import FormatError
from ner.formats import Format, ReadReport, read_examples


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import found and did."""

    read: int
    new: int
    known: int
    spans_left_out: int


def texts_import(
    *, project: Project, path: Path, actor: Actor, format: Format | Literal["auto"] = "auto"
) -> Imported:
    """Store the texts of a file as documents, in any format that `ner.formats` reads; labels stay behind.

    All or nothing: the first bad line raises FileRefused, which names it, and stores none of the file.
    A text that the project has already is counted as known and changes nothing.
    """
    report = ReadReport()

    def texts() -> Iterator[tuple[str, str]]:
        for example in read_examples(path, format, allow_overlap=True, report=report):
            yield example.id, example.text

    try:
        documents, new = documents_import(project=project, texts=texts(), source="import", actor=actor)
    except FormatError as error:
        raise FileRefused(error) from error
    except (EmptyText, TextTooLong) as error:
        raise _with_place(error, report) from error
    return Imported(
        read=report.examples,
        new=new,
        known=len(documents) - new,
        spans_left_out=report.spans,
    )


def _with_place(error: DomainError, report: ReadReport) -> DomainError:
    """The store knows the text and the reader its place in the file."""
    error.detail = f"Text {report.examples} of the file: {error.detail}"
    error.args = (error.detail,)
    return error
