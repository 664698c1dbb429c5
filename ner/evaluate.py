"""How good predicted spans are: strict entity scores, kinds of error, calibration.

An entity counts when its boundaries and its label are right; the numbers are those of seqeval's
strict mode. As a command: `python -m ner.evaluate --bundle DIR --data FILE`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import pi, sqrt
from pathlib import Path
from typing import Any, Literal

from ner.errors import BadInput, NerError
from ner.spans import Decision, Example, Span, SpanChange, compare_spans

ErrorClass = Literal["missed", "spurious", "boundary", "type"]
ERROR_CLASSES: tuple[ErrorClass, ...] = ("missed", "spurious", "boundary", "type")
_ERROR_OF: dict[Decision, ErrorClass] = {
    Decision.ADD: "missed",
    Decision.REJECT: "spurious",
    Decision.RESIZE: "boundary",
    Decision.RELABEL: "type",
}
_BINS = 10

DocumentCounts = Mapping[str, tuple[int, int, int]]


class WrongCount(BadInput):
    """{gold} texts with true spans, but predictions for {predicted}."""

    code = "wrong_count"


class BadLabelMap(BadInput):
    """{path} is no JSON object from a label to a label or null."""

    code = "bad_label_map"


@dataclass(frozen=True, slots=True)
class Scores:
    """Right, spurious and missed entities; a score without any evidence is 0."""

    tp: int = 0
    fp: int = 0
    fn: int = 0

    @property
    def support(self) -> int:
        """True entities."""
        return self.tp + self.fn

    @property
    def precision(self) -> float:
        """Share of the predicted entities that are right."""
        return self.tp / (self.tp + self.fp) if self.tp else 0.0

    @property
    def recall(self) -> float:
        """Share of the true entities that were found."""
        return self.tp / self.support if self.tp else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn) if self.tp else 0.0

    def to_json(self) -> dict[str, float]:
        """Counts and rounded scores."""
        return {
            "precision": round(self.precision, 6),
            "recall": round(self.recall, 6),
            "f1": round(self.f1, 6),
            "support": self.support,
            "tp": self.tp,
            "fp": self.fp,
            "fn": self.fn,
        }


@dataclass(frozen=True, slots=True)
class ConfidenceBin:
    """Predicted entities of similar confidence, and how many of them are right."""

    count: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far confidence is from the share that is right, over predicted entities."""

    ece: float
    count: int
    bins: tuple[ConfidenceBin, ...]

    @property
    def beyond_chance(self) -> float:
        """The part of the error that is more than few entities make of a perfect confidence."""
        # The mean distance of a normal variable from its mean is sqrt(2 / pi) standard deviations.
        spread = [bin_.count * max(bin_.confidence * (1 - bin_.confidence), 0.0) for bin_ in self.bins]
        chance = sum(sqrt(2 / pi * variance) for variance in spread)
        return max(self.ece - chance / self.count, 0.0) if self.count else 0.0


@dataclass(frozen=True, slots=True)
class ErrorExample:
    """One wrong entity, with a little text around it."""

    kind: ErrorClass
    document: str
    context: str
    gold: str | None
    predicted: str | None


@dataclass(frozen=True, slots=True)
class EvalReport:
    """Scores of one model on one set of texts.

    `documents` holds (tp, fp, fn) by label for each text, in order: what a paired comparison needs. So does
    `uncertainties` how unsure the model was of each, where it said so: what a cascade needs.
    """

    micro: Scores
    labels: Mapping[str, Scores]
    errors: Mapping[ErrorClass, int]
    calibration: Calibration | None
    documents: tuple[DocumentCounts, ...]
    examples: tuple[ErrorExample, ...] = ()
    uncertainties: tuple[float, ...] = ()

    @property
    def macro_f1(self) -> float:
        """Mean F1 of all labels that were true or predicted at least once."""
        return sum(scores.f1 for scores in self.labels.values()) / max(len(self.labels), 1)

    @property
    def per_document(self) -> tuple[tuple[int, int, int], ...]:
        """(tp, fp, fn) of each text."""
        return tuple(_total(counts) for counts in self.documents)

    def to_json(self, *, documents: bool = True, examples: bool = False) -> dict[str, Any]:
        """The report as JSON; `examples` quote the texts and are left out unless asked for."""
        body: dict[str, Any] = {
            "micro": self.micro.to_json(),
            "macro": {"f1": round(self.macro_f1, 6)},
            "labels": {label: scores.to_json() for label, scores in self.labels.items()},
            "errors": dict(self.errors),
            "calibration": asdict(self.calibration) if self.calibration else None,
            "document_count": len(self.documents),
        }
        if documents:
            body["documents"] = [
                {label: list(counts) for label, counts in document.items()} for document in self.documents
            ]
            if self.uncertainties:
                body["uncertainties"] = [round(number, 6) for number in self.uncertainties]
        if examples:
            body["examples"] = [asdict(example) for example in self.examples]
        return body

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> EvalReport:
        """The report that `to_json` wrote, with its documents where they were kept."""
        calibration = body.get("calibration")
        return cls(
            micro=_scores(body["micro"]),
            labels={label: _scores(scores) for label, scores in body["labels"].items()},
            errors=dict(body["errors"]),
            calibration=Calibration(
                calibration["ece"],
                calibration["count"],
                tuple(ConfidenceBin(**bin_) for bin_ in calibration["bins"]),
            )
            if calibration
            else None,
            documents=tuple(
                {label: (tp, fp, fn) for label, (tp, fp, fn) in document.items()}
                for document in body.get("documents", ())
            ),
            examples=tuple(ErrorExample(**example) for example in body.get("examples", ())),
            uncertainties=tuple(body.get("uncertainties", ())),
        )


def error_class(change: SpanChange) -> ErrorClass | None:
    """Which kind of error turned a true span into a predicted one; None where it was right."""
    return _ERROR_OF.get(change.decision)


def evaluate(
    gold: Sequence[Example],
    predicted: Sequence[Iterable[Span]],
    *,
    examples_per_class: int = 5,
    uncertainties: Sequence[float] = (),
) -> EvalReport:
    """Compare predicted with true spans, text by text."""
    if len(gold) != len(predicted) or len(uncertainties) not in (0, len(gold)):
        raise WrongCount(gold=len(gold), predicted=len(predicted))
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    errors: Counter[ErrorClass] = Counter()
    shown: list[ErrorExample] = []
    documents: list[DocumentCounts] = []
    judged: list[tuple[float, bool]] = []
    for example, spans in zip(gold, predicted, strict=True):
        counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        # Sets: a span counts once however often it is given.
        for change in compare_spans(set(spans), set(example.spans)):
            _count(counts, change)
            if change.predicted and change.predicted.confidence is not None:
                right = change.decision is Decision.ACCEPT
                judged.append((change.predicted.confidence, right))
            if kind := error_class(change):
                errors[kind] += 1
                if errors[kind] <= examples_per_class:
                    shown.append(_show(kind, example, change))
        for label, triple in counts.items():
            totals[label] = [old + new for old, new in zip(totals[label], triple, strict=True)]
        documents.append({label: (tp, fp, fn) for label, (tp, fp, fn) in counts.items()})
    labels = {label: Scores(*totals[label]) for label in sorted(totals)}
    return EvalReport(
        micro=Scores(*(sum(column) for column in zip(*totals.values(), strict=True))),
        labels=labels,
        errors={kind: errors[kind] for kind in ERROR_CLASSES},
        calibration=_calibration(judged),
        documents=tuple(documents),
        examples=tuple(shown),
        uncertainties=tuple(uncertainties),
    )


def _count(counts: dict[str, list[int]], change: SpanChange) -> None:
    if change.decision is Decision.ACCEPT and change.corrected:
        counts[change.corrected.label][0] += 1
        return
    if change.predicted:
        counts[change.predicted.label][1] += 1
    if change.corrected:
        counts[change.corrected.label][2] += 1


def _total(counts: DocumentCounts) -> tuple[int, int, int]:
    tp, fp, fn = (sum(triple[i] for triple in counts.values()) for i in range(3))
    return tp, fp, fn


def _scores(body: Mapping[str, Any]) -> Scores:
    return Scores(body["tp"], body["fp"], body["fn"])


def _calibration(judged: Sequence[tuple[float, bool]]) -> Calibration | None:
    """Expected calibration error over bins of equal width."""
    if not judged:
        return None
    groups: dict[int, list[tuple[float, bool]]] = defaultdict(list)
    for confidence, right in judged:
        groups[min(int(confidence * _BINS), _BINS - 1)].append((confidence, right))
    bins = tuple(
        ConfidenceBin(
            count=len(group),
            confidence=sum(confidence for confidence, _ in group) / len(group),
            accuracy=sum(right for _, right in group) / len(group),
        )
        for _, group in sorted(groups.items())
    )
    ece = sum(bin_.count * abs(bin_.accuracy - bin_.confidence) for bin_ in bins) / len(judged)
    return Calibration(ece, len(judged), bins)


def _show(kind: ErrorClass, example: Example, change: SpanChange) -> ErrorExample:
    spans = [span for span in (change.predicted, change.corrected) if span]
    start = max(min(span.start for span in spans) - 40, 0)
    end = max(span.end for span in spans) + 40
    gold, predicted = (
        f"{example.text[span.start : span.end]} [{span.label}]" if span else None
        for span in (change.corrected, change.predicted)
    )
    return ErrorExample(kind, example.id, example.text[start:end], gold, predicted)


def map_labels(
    gold: Sequence[Example], predicted: Sequence[Sequence[Span]], names: Mapping[str, str | None]
) -> tuple[list[Example], list[list[Span]]]:
    """True labels in the model's words; `None` drops a label.

    Predictions of labels that no true label maps to are dropped too: where the data does not label
    dates, a predicted date is neither right nor wrong.
    """
    known = {name for name in names.values() if name}
    mapped = [
        Example(
            example.text,
            tuple(
                Span(span.start, span.end, name)
                for span in example.spans
                if (name := names.get(span.label, span.label))
            ),
            example.id,
            example.source,
        )
        for example in gold
    ]
    known |= {span.label for example in mapped for span in example.spans}
    return mapped, [[span for span in spans if span.label in known] for spans in predicted]


def format_report(report: EvalReport, *, sentences_per_second: float | None = None) -> str:
    """The report as an aligned table for people."""
    width = max([len(label) for label in report.labels] + [len("micro")])
    lines = [f"{'':{width}}  precision   recall       f1  support"]
    rows = [*report.labels.items(), ("micro", report.micro)]
    for name, scores in rows:
        lines.append(
            f"{name:{width}}  {scores.precision:9.4f}  {scores.recall:7.4f}  {scores.f1:7.4f}"
            f"  {scores.support:7,}"
        )
    lines.append(f"{'macro':{width}}  {'':9}  {'':7}  {report.macro_f1:7.4f}")
    lines.append("")
    lines.append("errors       " + ", ".join(f"{n:,} {kind}" for kind, n in report.errors.items()))
    if report.calibration:
        lines.append(
            f"calibration  ECE {report.calibration.ece:.4f}"
            f" over {report.calibration.count:,} predicted entities"
        )
    if sentences_per_second is not None:
        lines.append(f"speed        {sentences_per_second:,.0f} texts a second")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate a bundle on a file; what is wrong with either is one line on stderr, status 1."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (NerError, OSError) as error:
        print(f"ner.evaluate: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ner.evaluate", description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="folder of the model")
    parser.add_argument("--data", type=Path, required=True, help="file of labelled texts")
    parser.add_argument("--format", default="auto", help="gmb_csv, conll, jsonl (default: auto)")
    parser.add_argument("--labels", type=Path, help="JSON: true label -> model's label or null")
    parser.add_argument(
        "--split",
        choices=("train", "dev", "test", "all"),
        help="part by text hash (default: test for GMB, all for the rest)",
    )
    parser.add_argument("--repair", action="store_true", help="mend invalid tag sequences")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _label_map(path: Path) -> dict[str, str | None]:
    try:
        names = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadLabelMap(path=path) from error
    if not isinstance(names, dict) or not all(isinstance(name, str | None) for name in names.values()):
        raise BadLabelMap(path=path)
    return names


def _run(options: argparse.Namespace) -> int:
    # Here, because scores are also computed where no model is loaded.
    from ner.formats import detect, read_examples
    from ner.runtime import load_recogniser
    from ner.splits import SPLITS, take_split

    names = _label_map(options.labels) if options.labels else {}
    recogniser = load_recogniser(options.bundle)
    kind = detect(options.data) if options.format == "auto" else options.format
    part: str = options.split or ("test" if kind == "gmb_csv" else "all")
    split = next((split for split in SPLITS if split == part), None)
    examples = read_examples(options.data, kind, repair=options.repair)
    gold = list(take_split(examples, split))
    started = time.perf_counter()
    recognitions = recogniser.predict_many([example.text for example in gold])
    seconds = time.perf_counter() - started
    predicted: Sequence[Sequence[Span]] = [recognition.spans for recognition in recognitions]
    if names:
        gold, predicted = map_labels(gold, predicted, names)
    report = evaluate(gold, predicted)
    speed = len(gold) / seconds if seconds else None
    if options.json:
        body = {
            "bundle": str(options.bundle),
            "data": options.data.name,
            "format": kind,
            "split": part,
            "texts_per_second": round(speed, 1) if speed else None,
            **report.to_json(documents=False),
        }
        print(json.dumps(body, ensure_ascii=False))
    else:
        print(f"{options.bundle} on {options.data.name} ({part}, {len(gold):,} texts)\n")
        print(format_report(report, sentences_per_second=speed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
