"""What was decided and written down in English, said in the language of whoever reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.utils.formats import get_format
from django.utils.translation import gettext

from ner.said import Number, Said, heard

#: Before a kept sentence, to tell it from what people wrote.
_MARK = "\x1e"


def say(sentence: str) -> str:
    """A sentence in the language of now; words that a person wrote stay as they are."""
    if not isinstance(sentence, Said):
        return str(sentence)
    facts = {
        name: _number(fact) if isinstance(fact, Number) else say(fact)
        for name, fact in sentence.facts.items()
    }
    return gettext(sentence.template).format(**facts)


def say_kept(row: Mapping[str, Any], words: str) -> str:
    """The sentence of a row of JSON; of an old row, which has none yet, its words."""
    return say(heard(row.get("sentence") or row[words]))


class SaidField(models.TextField):  # type: ignore[type-arg]
    """Text that may be a `Said`, and is one again when it is read; any other text is kept as it is."""

    def from_db_value(self, value: str | None, *_: Any) -> str | None:
        return heard(json.loads(value[1:])) if value and value.startswith(_MARK) else value

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, Said):
            return _MARK + json.dumps(value.to_json())
        return value.lstrip(_MARK) if isinstance(value, str) else super().get_prep_value(value)


def _number(number: Number) -> str:
    """As the format writes it, with the language's own point and comma."""
    marks = {".": get_format("DECIMAL_SEPARATOR"), ",": get_format("THOUSAND_SEPARATOR")}
    return "".join(str(marks.get(sign, sign)) for sign in str(number))
