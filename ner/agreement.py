"""How far annotators agree on entities, and where they do not.

What is counted, and by whom it was proposed:

- **Span F1** between two annotators: one is taken for the truth, the other is scored. It is the same
  either way round. Strict wants the same start, end and label; lenient wants the same label and at least
  one shared character. Hripcsak and Rothschild (JAMIA 2005) show why this is the figure for entities: the
  number of texts that are *not* an entity is not defined, and kappa approaches F1 as it grows.
- **Cohen's kappa** (Educ. Psychol. Meas. 1960) on tokens, of a pair; for more than two the mean over pairs
  (Light, Psychol. Bull. 1971). A token's category is the label over it (all of them, where spans
  overlap), or O. O counts as a category like the others: most tokens are O, which raises what is
  observed and what chance would give alike.
- **Krippendorff's alpha** (nominal; *Computing Krippendorff's alpha-reliability*, 2011) on the same
  tokens. It takes any number of annotators, who need not all have seen each text. It does not know
  boundaries: two names side by side and one long name are the same to it.
- **Krippendorff's alpha for unitizing** (1995), which does know them: `ner.unitizing`.

Nearly everything is a sum over documents, so a bootstrap over documents (Efron's percentile interval) is one
matrix product. A figure is None where it is not defined: nothing was marked, or only one category used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ner.spans import Span
from ner.tokens import tokenize
from ner.unitizing import Unitizing

OUTSIDE = "O"
#: Of fewer documents a bootstrap tells nothing: a single one drawn again and again is always the same.
FEWEST_FOR_INTERVAL = 5

_Array: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Annotated:
    """One text and each annotator's spans of it."""

    text: str
    spans: Mapping[str, Sequence[Span]]


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure with its 95 % interval; None where it is not defined, or of too few documents."""

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """How far two annotators agree on the documents that both have annotated."""

    first: str
    second: str
    documents: int
    kappa: Measure
    strict: Measure
    lenient: Measure


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """How far all pairs agree on the spans of one label."""

    label: str
    spans: int
    strict: Measure
    lenient: Measure
    unitizing: Measure


@dataclass(frozen=True, slots=True)
class Agreement:
    """Everything about one set of documents."""

    documents: int
    kappa: Measure
    alpha: Measure
    unitizing: Measure
    strict: Measure
    lenient: Measure
    pairs: tuple[PairAgreement, ...] = ()
    labels: tuple[LabelAgreement, ...] = ()


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch of text that at least one annotator marked, with what each marked there."""

    start: int
    end: int
    versions: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)

    @property
    def is_agreed(self) -> bool:
        """Did everybody mark the same?"""
        return len(set(self.versions.values())) == 1


def regions(spans: Mapping[str, Sequence[Span]]) -> list[Region]:
    """The marked stretches of a text in order; spans that touch the same characters are one stretch."""
    placed = sorted({span for mine in spans.values() for span in mine})
    bounds: list[list[int]] = []
    for span in placed:
        if bounds and span.start < bounds[-1][1]:
            bounds[-1][1] = max(bounds[-1][1], span.end)
        else:
            bounds.append([span.start, span.end])
    return [
        Region(
            start,
            end,
            {
                name: tuple(sorted(span for span in mine if start <= span.start < end))
                for name, mine in spans.items()
            },
        )
        for start, end in bounds
    ]


def token_categories(text: str, spans: Sequence[Span]) -> list[str]:
    """The category of each token: the label over it, several joined by +, or O."""
    return _categories([(token.start, token.end) for token in tokenize(text)], spans)


def cohen_kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Cohen's kappa of two annotators who categorised the same units."""
    names = sorted({*first, *second})
    return _kappa(_kappa_row(first, second, names), len(names))


def krippendorff_alpha(units: Sequence[Sequence[str]]) -> float | None:
    """Krippendorff's nominal alpha. Each unit lists the values that it got; missing ones are left out."""
    names = sorted({value for unit in units for value in unit})
    return _alpha(_alpha_row(units, names))


def span_f1(first: Sequence[Span], second: Sequence[Span], *, lenient: bool = False) -> float | None:
    """F1 of two annotators' spans of one text; None where neither marked anything."""
    return _f1(_f1_row(first, second, lenient=lenient))


def agreement(documents: Sequence[Annotated], *, draws: int = 400, seed: int = 13) -> Agreement:
    """All figures for a set of documents that several have annotated, with bootstrap intervals."""
    documents = [document for document in documents if len(document.spans) > 1]
    categories = [_annotated_tokens(document) for document in documents]
    names = sorted({value for tags in categories for mine in tags.values() for value in mine})
    weights = _weights(len(documents), draws, seed)
    pairs = _pairs(documents, categories, names, weights)
    alpha_rows = _stack([_alpha_row(list(zip(*tags.values(), strict=True)), names) for tags in categories])
    everyone = [
        (a, b)
        for document in documents
        for a, b in combinations([document.spans[name] for name in sorted(document.spans)], 2)
    ]
    of = [
        index
        for index, document in enumerate(documents)
        for _ in range(len(document.spans) * (len(document.spans) - 1) // 2)
    ]
    units = Unitizing([(len(document.text), document.spans) for document in documents])
    kappas = [pair for pair, _ in pairs if pair.kappa.value is not None]
    return Agreement(
        documents=len(documents),
        kappa=_mean_kappa(kappas, [draws for pair, draws in pairs if pair.kappa.value is not None]),
        alpha=_measure(alpha_rows, weights, _alpha),
        unitizing=_unitized(units, weights),
        strict=_pooled(everyone, of, weights, lenient=False),
        lenient=_pooled(everyone, of, weights, lenient=True),
        pairs=tuple(pair for pair, _ in pairs),
        labels=tuple(_labels(everyone, of, weights, units)),
    )


# --- What each document adds ----------------------------------------------------------------------------


def _annotated_tokens(document: Annotated) -> dict[str, list[str]]:
    tokens = [(token.start, token.end) for token in tokenize(document.text)]
    return {name: _categories(tokens, spans) for name, spans in document.spans.items()}


def _categories(tokens: Sequence[tuple[int, int]], spans: Sequence[Span]) -> list[str]:
    placed = sorted(spans)
    found: list[str] = []
    first = 0
    for start, end in tokens:
        first = _passed(placed, first, start)
        over = {span.label for span in _until(placed, first, end) if span.end > start}
        found.append("+".join(sorted(over)) or OUTSIDE)
    return found


def _passed(placed: Sequence[Span], first: int, start: int) -> int:
    """Leave the spans behind that end before a place: whatever comes later starts no earlier."""
    while first < len(placed) and placed[first].end <= start:
        first += 1
    return first


def _until(placed: Sequence[Span], first: int, end: int) -> Iterator[Span]:
    for place in range(first, len(placed)):
        if placed[place].start >= end:
            return
        yield placed[place]


def _kappa_row(first: Sequence[str], second: Sequence[str], names: Sequence[str]) -> _Array:
    """Units, units agreed on, and how often each annotator used each category."""
    place = {name: index for index, name in enumerate(names)}
    row = np.zeros(2 + 2 * len(names))
    for a, b in zip(first, second, strict=True):
        row[0] += 1
        row[1] += a == b
        row[2 + place[a]] += 1
        row[2 + len(names) + place[b]] += 1
    return row


def _kappa(row: _Array, categories: int) -> float | None:
    count = row[0]
    if not count:
        return None
    observed = row[1] / count
    expected = float(row[2 : 2 + categories] @ row[2 + categories :]) / count**2
    # Within rounding of 1: both used one and the same category, and chance explains everything.
    return None if expected > 1 - 1e-12 else float((observed - expected) / (1 - expected))


def _alpha_row(units: Sequence[Sequence[str]], names: Sequence[str]) -> _Array:
    """Disagreeing pairs of values, each unit's divided by m - 1, and how often each category was used."""
    place = {name: index for index, name in enumerate(names)}
    row = np.zeros(1 + len(names))
    for unit in units:
        values = len(unit)
        if values < 2:
            continue  # a value that stands alone can be compared with nothing
        counts = {name: unit.count(name) for name in set(unit)}
        for name, count in counts.items():
            row[0] += count * (values - count) / (values - 1)
            row[1 + place[name]] += count
    return row


def _alpha(row: _Array) -> float | None:
    used = row[1:]
    total = float(used.sum())
    expected = total**2 - float(used @ used)
    return None if expected < 1e-9 else 1 - (total - 1) * float(row[0]) / expected


def _f1_row(first: Sequence[Span], second: Sequence[Span], *, lenient: bool) -> _Array:
    """Spans of both that the other one has too, and spans of both."""
    if lenient:
        matched = _touched(first, second) + _touched(second, first)
    else:
        matched = 2 * len(set(first) & set(second))
    return np.array([matched, len(first) + len(second)], dtype=np.float64)


def _f1(row: _Array) -> float | None:
    return float(row[0] / row[1]) if row[1] else None


def _touched(mine: Sequence[Span], others: Sequence[Span]) -> int:
    placed = sorted(others)
    first = found = 0
    for span in sorted(mine):
        first = _passed(placed, first, span.start)
        found += any(
            other.label == span.label and other.end > span.start for other in _until(placed, first, span.end)
        )
    return found


# --- Sums and intervals ---------------------------------------------------------------------------------


def _weights(documents: int, draws: int, seed: int) -> _Array:
    """How often each document is in each of the bootstrap's draws."""
    if documents < FEWEST_FOR_INTERVAL:
        return np.zeros((0, documents))
    random = np.random.default_rng(seed)
    return random.multinomial(documents, np.full(documents, 1 / documents), size=draws).astype(np.float64)


def _stack(rows: Sequence[_Array]) -> _Array:
    return np.vstack(rows) if rows else np.zeros((0, 2))


def _drawn(rows: _Array, weights: _Array, statistic: object) -> list[float | None]:
    assert callable(statistic)  # noqa: S101  (said to the type checker)
    return [statistic(row) for row in weights @ rows]


def _measure(rows: _Array, weights: _Array, statistic: object) -> Measure:
    assert callable(statistic)  # noqa: S101  (said to the type checker)
    if not len(rows):
        return Measure(None)
    return _interval(statistic(rows.sum(axis=0)), _drawn(rows, weights, statistic))


def _interval(value: float | None, drawn: Sequence[float | None]) -> Measure:
    known = [one for one in drawn if one is not None]
    if value is None or not known:
        return Measure(value)
    low, high = np.quantile(known, [0.025, 0.975])
    return Measure(value, float(low), float(high))


def _pairs(
    documents: Sequence[Annotated],
    categories: Sequence[Mapping[str, Sequence[str]]],
    names: Sequence[str],
    weights: _Array,
) -> list[tuple[PairAgreement, list[float | None]]]:
    people = sorted({name for document in documents for name in document.spans})
    found = []
    for first, second in combinations(people, 2):
        both = [
            index
            for index, document in enumerate(documents)
            if first in document.spans and second in document.spans
        ]
        if not both:
            continue
        kappa_rows = _stack(
            [_kappa_row(categories[index][first], categories[index][second], names) for index in both]
        )

        def kappa(row: _Array) -> float | None:
            return _kappa(row, len(names))

        drawn = _drawn(kappa_rows, weights[:, both], kappa)
        spans = [(documents[index].spans[first], documents[index].spans[second]) for index in both]
        pair = PairAgreement(
            first=first,
            second=second,
            documents=len(both),
            kappa=_interval(kappa(kappa_rows.sum(axis=0)), drawn),
            strict=_pooled(spans, both, weights, lenient=False),
            lenient=_pooled(spans, both, weights, lenient=True),
        )
        found.append((pair, drawn))
    return found


def _pooled(
    pairs: Sequence[tuple[Sequence[Span], Sequence[Span]]],
    of: Sequence[int],
    weights: _Array,
    *,
    lenient: bool,
) -> Measure:
    """F1 over the pairs of annotators of all documents; `of` names each pair's document."""
    rows = _stack([_f1_row(first, second, lenient=lenient) for first, second in pairs])
    return _measure(rows, weights[:, list(of)] if len(rows) else weights, _f1)


def _labels(
    pairs: Sequence[tuple[Sequence[Span], Sequence[Span]]],
    of: Sequence[int],
    weights: _Array,
    units: Unitizing,
) -> list[LabelAgreement]:
    labels = sorted({span.label for pair in pairs for mine in pair for span in mine})
    found = []
    for label in labels:
        only = [([s for s in a if s.label == label], [s for s in b if s.label == label]) for a, b in pairs]
        found.append(
            LabelAgreement(
                label=label,
                spans=sum(len(a) + len(b) for a, b in only),
                strict=_pooled(only, of, weights, lenient=False),
                lenient=_pooled(only, of, weights, lenient=True),
                unitizing=_unitized(units, weights, label=label),
            )
        )
    return found


def _unitized(units: Unitizing, weights: _Array, *, label: str = "") -> Measure:
    """The figure of one label, or of all: no plain sum, as what chance gives is of all units and gaps."""
    return _interval(units.alpha(label=label), [units.alpha(draw, label=label) for draw in weights])


def _mean_kappa(pairs: Sequence[PairAgreement], drawn: Sequence[Sequence[float | None]]) -> Measure:
    values = [pair.kappa.value for pair in pairs if pair.kappa.value is not None]
    if not values:
        return Measure(None)
    means = [
        float(np.mean([one for one in draw if one is not None]))
        for draw in zip(*drawn, strict=True)
        if any(one is not None for one in draw)
    ]
    return _interval(float(np.mean(values)), means)
