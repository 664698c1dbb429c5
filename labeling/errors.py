"""Why a task could not be worked on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from corpus.errors import Conflict, DomainError, Invalid, Refused
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


class TaskKept(Conflict):
    """This text is kept for {holder}."""

    code = "kept"


class SeatsTaken(Conflict):
    """This text has all the annotators that it needs ({wanted})."""

    code = "seats_taken"


class DecisionStands(Refused):
    """What is true of this text was decided by its annotators or an adjudicator; ask one to change it."""

    code = "decision_stands"


class NotInTeam(Invalid):
    """{person} does not review in this project."""

    code = "not_in_team"


class TextTheirs(Conflict):
    """{person} has this text already, or had it."""

    code = "already_assigned"


class TextNotKept(Conflict):
    """This text is kept for nobody, or somebody has begun it."""

    code = "not_kept"


class TextUndecided(Conflict):
    """Nothing is decided of this text yet; somebody has to review it first."""

    code = "undecided"


class GoldAlready(Conflict):
    """This text is a gold item already."""

    code = "gold_already"


class GoldNot(Conflict):
    """This text is no gold item."""

    code = "not_gold"


class NothingTicked(Invalid):
    """Tick the texts first."""

    code = "required"


class NobodyChosen(Invalid):
    """Say who is to get them."""

    code = "required"


class TooManyTicked(Invalid):
    """At most {limit} texts are changed in one step; these are {count}."""

    code = "too_many"


class TooManyAssigned(Invalid):
    """At most {limit} texts are assigned at once."""

    code = "too_many"


class SkipReasonMissing(Invalid):
    """Say in a few words why the document is skipped."""

    code = "required"


class SkipReasonTooLong(Invalid):
    """A reason may have {limit} characters at most; this one has {length}."""

    code = "reason_too_long"


class CommentEmpty(Invalid):
    """Say something in the comment."""

    code = "required"


class RangeOutside(Invalid):
    """A range needs a start and an end inside the text, which has {length} characters."""

    code = "range_outside"


class FileRefused(Invalid):
    """{problem}"""

    code = "format_error"

    def __init__(self, error: FormatError) -> None:
        super().__init__(problem=str(error))
        self.code = error.code
        self.line = error.facts.get("line")
        if error.code == "unknown_format":
            self.status = 415


class JobActive(Conflict):
    """This job is being worked on; cancel it first."""

    code = "job_active"


class OptionsFixed(Conflict):
    """Part of this file is stored already: it can be resumed, but only with the same options."""

    code = "options_fixed"


class OptionUnknown(Invalid):
    """{problem}"""

    code = "invalid_option"


class UnknownLabels(Conflict):
    """The project has no label {labels}. Map each to a label of the project, leave it out, or have it
    created by somebody who manages the labels.
    """

    code = "unknown_labels"

    def __init__(self, *, labels: list[str]) -> None:
        super().__init__(labels=", ".join(labels[:20]) + (" and more" if len(labels) > 20 else ""))
        self.labels = labels

    def extensions(self) -> dict[str, Any]:
        """All of them."""
        return {"labels": self.labels}


class RowsRefused(Invalid):
    """{count} of {read} records are bad, so none is stored. The first: {first}"""

    code = "rows_refused"


class NotExported(Conflict):
    """The file is not written yet, or its job has failed."""

    code = "not_exported"


class ParameterUnknown(Invalid):
    """There is no parameter {name}; known are {known}."""

    code = "unknown_parameter"


class ChoiceUnknown(Invalid):
    """{value} is none of the choices of {name}."""

    code = "invalid_choice"


class NumberInvalid(Invalid):
    """{name} must be a whole number."""

    code = "not_an_integer"


class SearchRefused(Invalid):
    """{name} may have {limit} characters at most, and no U+0000."""

    code = "search_refused"


class CursorInvalid(Invalid):
    """This is no place in the list; begin at its first page."""

    code = "invalid_cursor"


class TextNotWaiting(Conflict):
    """Nothing is left to ask for: this text is {state}."""

    code = "not_waiting"


class SurfaceRefused(Invalid):
    """Give between one and {limit} characters with at least one letter or digit."""

    code = "surface_refused"


class PlacesTooMany(Invalid):
    """A batch may hold {limit} places; this one has {count}."""

    code = "too_many_places"
    status = 413


class PlaceWrong(Invalid):
    """At {start} of task {task} these words do not stand, or not as words of their own."""

    code = "surface_mismatch"


class NothingToPropagate(Conflict):
    """None of these texts waits any more."""

    code = "nothing_to_propagate"


class RevokeReasonMissing(Invalid):
    """Say in a few words why this is taken back."""

    code = "required"
