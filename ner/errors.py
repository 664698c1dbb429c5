"""What can go wrong in the recogniser, each with a stable code.

The first docstring line is the message template; keyword arguments fill it and stay readable as
``error.facts``, so that an API can report them without parsing prose.
"""

from __future__ import annotations

from typing import Any, ClassVar


class NerError(Exception):
    """The recogniser failed."""

    code: ClassVar[str] = "ner_error"

    def __init__(self, **facts: Any) -> None:
        template = (type(self).__doc__ or "").partition("\n")[0]
        super().__init__(template.format(**facts))
        self.facts = facts

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only errors would not survive the trip between worker processes otherwise.
        return _rebuild, (type(self), self.facts)


def _rebuild(kind: type[NerError], facts: dict[str, Any]) -> NerError:
    return kind(**facts)


class BadInput(NerError):
    """{problem}."""

    code = "bad_input"


class BadTags(BadInput):
    """Tag {tag!r} at position {position} {problem}."""

    code = "bad_tags"


class BadConfig(BadInput):
    """Setting {name!r}: {problem}."""

    code = "bad_config"


class BundleRefused(NerError):
    """Bundle {path} was refused: {problem}."""

    code = "bundle_refused"


class BundleIncomplete(BundleRefused):
    """Bundle {path} is incomplete: {problem}."""

    code = "bundle_incomplete"


class BundleChanged(BundleRefused):
    """Bundle {path} was changed after it was written: {problem}."""

    code = "bundle_changed"


class BundleNotFinite(BundleRefused):
    """Bundle {path} holds numbers that are not finite: {problem}."""

    code = "bundle_not_finite"


class BundleUnreadable(BundleRefused):
    """Bundle {path} cannot be read: {problem}."""

    code = "bundle_unreadable"


class FormatError(NerError):
    """Line {line}: {problem}."""

    code = "format_error"


class TrainingFailed(NerError):
    """Training stopped: {problem}."""

    code = "training_failed"


class TrainingCancelled(NerError):
    """Training was cancelled after epoch {epoch}."""

    code = "training_cancelled"
