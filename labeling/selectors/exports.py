"""Reading a whole project as of one moment, record by record, however large it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from django.db import connections

from corpus.models import Project
from labeling.options import ExportOptions
from labeling.transfer import KEPT
from ner.formats.record import Record
from ner.spans import Span

_FETCH = 1_000

_NEWEST = """
    FROM corpus_document d
    {join} JOIN LATERAL (
        SELECT spans, source, stratum, created_at, author_id, api_key_id
        FROM feedback_correction WHERE document_id = d.id ORDER BY number DESC LIMIT 1
    ) c ON true
    LEFT JOIN auth_user u ON u.id = c.author_id
    LEFT JOIN inference_apikey k ON k.id = c.api_key_id
    LEFT JOIN LATERAL (
        SELECT p.spans, v.name || '@' || v.number AS model
        FROM inference_prediction p JOIN inference_modelversion v ON v.id = p.version_id
        WHERE %(predictions)s AND p.document_id = d.id ORDER BY p.created_at DESC, p.id DESC LIMIT 1
    ) p ON true
    WHERE d.project_id = %(project)s AND d.redacted_at IS NULL
      AND (%(strata)s::text[] = '{{}}' OR c.stratum = ANY(%(strata)s))
      AND (%(since)s::timestamptz IS NULL OR coalesce(c.created_at, d.created_at) >= %(since)s)
"""
_COLUMNS = "d.id, d.text, d.external_id, d.metadata, c.spans, c.source, u.username, k.name, p.spans, p.model"


class Snapshot:
    """What was true of a project at one moment; writers meanwhile change nothing of it."""

    def __init__(self, connection: Any, project: Project, options: ExportOptions) -> None:
        self._connection = connection
        self._query = _NEWEST.format(join="INNER" if options.reviewed_only else "LEFT")
        self._parameters = {
            "project": project.pk,
            "predictions": options.predictions,
            "strata": options.strata,
            "since": options.since,
        }

    def moment(self) -> datetime:
        """When it was taken."""
        found: datetime = self._one("SELECT now()")
        return found

    def count(self) -> int:
        """How many records it holds."""
        return int(self._one(f"SELECT count(*) {self._query}"))

    def records(self, *, limit: int | None = None) -> Iterator[tuple[str, Record]]:
        """The records with their document's id, oldest first, by a cursor on the server."""
        query = f"SELECT {_COLUMNS} {self._query} ORDER BY d.created_at, d.id"
        if limit is not None:
            query += f" LIMIT {limit:d}"
        with self._connection.cursor("export") as cursor:
            cursor.itersize = _FETCH
            cursor.execute(query, self._parameters)
            for row in cursor:
                yield str(row[0]), _record(*row[1:])

    def _one(self, query: str) -> Any:
        with self._connection.cursor() as cursor:
            cursor.execute(query, self._parameters)
            return cursor.fetchone()[0]


@contextlib.contextmanager
def export_snapshot(*, project: Project, options: ExportOptions) -> Iterator[Snapshot]:
    """A transaction of its own connection, REPEATABLE READ: progress can be written beside it."""
    beside = connections["default"].copy()
    beside.ensure_connection()
    try:
        raw = beside.connection
        raw.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        yield Snapshot(raw, project, options)
    finally:
        beside.close()


def _record(
    text: str,
    external_id: str,
    metadata: str,
    spans: str | None,
    source: str | None,
    author: str | None,
    key: str | None,
    predicted: str | None,
    model: str | None,
) -> Record:
    values: dict[str, Any] = msgspec.json.decode(metadata)
    kept = values.pop(KEPT, None) or {}
    return Record(
        text=text,
        spans=_spans(spans),
        id=external_id,
        annotator=(source or author or key or "") if spans is not None else "",
        predicted=_spans(predicted),
        model=model or "",
        source=kept.get("source", ""),
        comments=tuple(kept.get("comments", ())),
        metadata=values,
    )


class _StoredSpan(msgspec.Struct):
    """A span as the database holds it; what a reader does not need is passed over."""

    start: int
    end: int
    label: str
    confidence: float | None = None


_spans_decoder = msgspec.json.Decoder(list[_StoredSpan])


def _spans(body: str | None) -> tuple[Span, ...] | None:
    if body is None:
        return None
    return tuple(Span(s.start, s.end, s.label, s.confidence) for s in _spans_decoder.decode(body))
