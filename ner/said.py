"""Sentences that are kept in English and can be said in another language whenever they are read.

A `Said` is its English words, as any string; it also knows the template they were made by and what was
filled in. Whoever shows it looks the template up among the translations (`corpus.said`), so what was once
decided and written down stays, word for word, and is still read in one's own language.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Number:
    """A number, and how it is written (a format specification of Python's)."""

    value: float
    spec: str = ",d"

    def __str__(self) -> str:
        return format(self.value, self.spec)


Fact = str | Number
Facts = dict[str, Fact | int]


class Said(str):
    """A sentence in English, with the template and the facts that it was made of."""

    __slots__ = ("facts", "template")
    template: str
    facts: Mapping[str, Fact]

    def __new__(cls, template: str, **facts: Fact | int) -> Self:
        """`template` names each fact in braces; a fact may be a sentence itself."""
        kept = {name: Number(fact) if isinstance(fact, int) else fact for name, fact in facts.items()}
        made = super().__new__(cls, template.format(**kept))
        made.template, made.facts = template, kept
        return made

    def strip(self, chars: str | None = None, /) -> str:
        """Itself: there is nothing around it to take away."""
        return self

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Fact]]:
        return (self.template,), dict(self.facts)

    def to_json(self) -> dict[str, Any]:
        """As it is kept."""
        return {"said": self.template, "facts": {name: _kept(fact) for name, fact in self.facts.items()}}


def heard(kept: Any) -> str:
    """A sentence as `to_json` kept it; what was kept as mere words stays that."""
    if not isinstance(kept, dict):
        return str(kept)
    return Said(kept["said"], **{name: _fact(fact) for name, fact in kept["facts"].items()})


def joined(sentences: Iterable[str], between: str = "; ") -> str:
    """One sentence of several; empty where there is none."""
    parts = list(sentences)
    if len(parts) < 2:
        return parts[0] if parts else ""
    names = [f"part{place}" for place in range(len(parts))]
    return Said(between.join(f"{{{name}}}" for name in names), **dict(zip(names, parts, strict=True)))


def _kept(fact: Fact) -> Any:
    if isinstance(fact, Number):
        return {"number": fact.value, "spec": fact.spec}
    return fact.to_json() if isinstance(fact, Said) else fact


def _fact(kept: Any) -> Fact:
    if isinstance(kept, dict) and "number" in kept:
        return Number(kept["number"], kept["spec"])
    return heard(kept)
