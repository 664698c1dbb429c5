"""Why feedback was refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corpus.errors import Conflict, DomainError, Invalid
from ner.errors import BadInput

if TYPE_CHECKING:
    from feedback.models import Correction, Opinion


class SpansRefused(Invalid):
    """{problem}"""

    code = "invalid_spans"

    def __init__(self, error: BadInput) -> None:
        index = error.facts.get("index")
        pointer = "/spans" if index is None else f"/spans/{index}"
        if index is not None and (field := error.facts.get("field")):
            pointer += f"/{field}"
        super().__init__(pointer=pointer, problem=str(error))
        self.code = error.code
        if error.code == "too_many_spans":
            self.status = 413


class StaleVersion(DomainError):
    """You started from correction {base_number} of this document; meanwhile it is at {number}."""

    code = "stale_version"
    status = 412

    def __init__(
        self, *, base: Correction | Opinion | None, base_number: int, current: Correction | Opinion
    ) -> None:
        super().__init__(base_number=base_number, number=current.number)
        self.base = base
        self.current = current

    def extensions(self) -> dict[str, Any]:
        """Both versions, so that the caller can merge without asking again."""
        return {
            "base": {"number": self.params["base_number"], "spans": self.base.spans if self.base else None},
            "current": {"number": self.current.number, "spans": self.current.spans},
        }


class VersionUnknown(Invalid):
    """There is no correction {base_number} of this document to start from; it is at {number}."""

    code = "unknown_version"


class VersionRequired(DomainError):
    """This document was corrected before: say with If-Match which number you start from (now {number})."""

    code = "version_required"
    status = 428

    def __init__(self, *, current: Correction) -> None:
        super().__init__(number=current.number)
        self.current = current

    def extensions(self) -> dict[str, Any]:
        """What there is now, so that the caller can start from it."""
        return {"current": {"number": self.current.number, "spans": self.current.spans}}


class OtherText(Invalid):
    """This prediction is not one of this document."""

    code = "prediction_of_other_text"


class ScoreOutOfRange(Invalid):
    """A rating is 1 (bad) to 5 (good)."""

    code = "out_of_range"


class CommentTooLong(Invalid):
    """A comment may have {limit} characters at most; this one has {length}."""

    code = "comment_too_long"
    status = 413


class EitherSpansOrRating(Invalid):
    """Send either spans, or a rating with an optional comment."""

    code = "spans_or_rating"


class IdempotencyKeyTwice(Invalid):
    """The idempotency keys of the header and of the body differ."""

    code = "invalid_idempotency_key"


class VersionMalformed(Invalid):
    """If-Match holds the number of the correction you started from, such as "3"."""

    code = "invalid_version"


class SpanFieldUnknown(Invalid):
    """Span {index} has {count} unknown fields; known are start, end, label and text."""

    code = "unknown_field"


class GoldOutdated(Conflict):
    """The document was corrected again meanwhile: look at the newest correction before you vouch for it."""

    code = "gold_outdated"
