"""Why a task could not be worked on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from corpus.errors import Conflict, DomainError, Invalid
from ner.errors import FormatError


class TaskLocked(DomainError):
    """{holder} is reviewing this document until {until}."""

    code = "locked"
    status = 423

    def __init__(self, *, holder: str, until: datetime) -> None:
        super().__init__(holder=holder, until=f"{until:%H:%M} UTC")
        self.until = until

    def extensions(self) -> dict[str, Any]:
        """When it is worth asking again."""
        return {"holder": self.params["holder"], "until": self.until.isoformat()}


class TaskClosed(Conflict):
    """This task is closed already: {status}."""

    code = "closed"


class SkipReasonMissing(Invalid):
    """Say in a few words why the document is skipped."""

    code = "required"


class SkipReasonTooLong(Invalid):
    """A reason may have {limit} characters at most; this one has {length}."""

    code = "reason_too_long"


class FileRefused(Invalid):
    """{problem}"""

    code = "format_error"

    def __init__(self, error: FormatError) -> None:
        super().__init__(problem=str(error))
        self.code = error.code
        self.line = error.facts.get("line")
