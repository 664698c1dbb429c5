"""A Label Studio project's configuration: which control tag marks which text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ner.errors import FormatError


class NoTextLabels(FormatError):
    """The labelling configuration has no Labels tag for a Text tag: {problem}."""

    code = "unfit_label_config"


@dataclass(frozen=True, slots=True)
class TextLabels:
    """A `Labels` tag and the `Text` tag that it marks."""

    from_name: str
    to_name: str
    key: str
    """Which value of a task's `data` holds the text."""

    labels: Sequence[str]

    def label(self, ours: str) -> str | None:
        """What a label of ours is called there, in whatever case; None where there is none like it."""
        return next((name for name in self.labels if name.casefold() == ours.casefold()), None)


def text_labels(config: str) -> TextLabels:
    """The first pair in a labelling configuration. Raises NoTextLabels."""
    try:
        root = fromstring(config, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError):
        raise NoTextLabels(problem="it is not XML") from None
    texts = {
        tag.get("name"): value[1:]
        for tag in root.iter()
        if tag.tag in ("Text", "HyperText") and (value := tag.get("value", "")).startswith("$")
    }
    for tag in root.iter():
        marks = tag.get("toName", "")
        if tag.tag in ("Labels", "HyperTextLabels") and marks in texts and tag.get("name"):
            labels = [label.get("value", "") for label in tag.iter("Label")]
            return TextLabels(tag.get("name", ""), marks, texts[marks], [name for name in labels if name])
    raise NoTextLabels(problem="none names the other")
