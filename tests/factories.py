"""Rows that a test needs and does not care about, each made by the service that makes it in production."""

from __future__ import annotations

from corpus.models import Document, Project
from corpus.services import document_store


def document_make(project: Project, text: str = "Ada Lovelace moved to London in 1835.") -> Document:
    """A stored text."""
    document, _ = document_store(project=project, text=text)
    return document
