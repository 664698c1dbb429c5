"""Train a family on a corpus: ``python -m ner.training.train --data FILE --arch NAME --out DIR``.

The corpus is split 60/20/20 by the hash of each text. The development part chooses the epoch and
the temperature; the test part is used once, at the end, as the product would see it: text in, spans
out. Its scores go into the bundle's metrics and card.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ner.bundle import open_bundle, rewrite_bundle
from ner.config import FAMILIES, TrainConfig
from ner.errors import NerError, TrainingFailed
from ner.evaluate import evaluate
from ner.formats import read_examples
from ner.runtime import load_recogniser
from ner.spans import Example
from ner.splits import SPLITS, Split, take_split
from ner.training.card import model_card


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    options = _parser().parse_args(arguments)
    try:
        _run(options)
    except (NerError, OSError) as error:
        print(f"ner.training.train: {error}", file=sys.stderr)
        return 1
    return 0


def _run(options: argparse.Namespace) -> None:
    examples = list(read_examples(options.data, options.format))
    parts = {split: list(take_split(examples, split)) for split in SPLITS}
    if not parts["dev"]:
        raise TrainingFailed(problem="no text falls into the development part")
    # TensorFlow takes seconds to load: not before the file has been read.
    from ner.training.loop import train

    start = open_bundle(options.start_from) if options.start_from else None
    for progress in train(
        _config(options),
        train=parts["train"][: options.limit],
        dev=parts["dev"][: options.limit],
        out=options.out,
        start_from=start,
        rehearsal_texts=_texts(options.rehearsal),
        checkpoint=options.checkpoint,
        vectors=options.vectors,
    ):
        share = progress.step / progress.total if progress.total else 0.0
        print(f"{share:5.0%}  loss {progress.loss:8.4f}  {progress.message}", flush=True)
    if parts["test"]:
        _test(options.out, parts, data=options.data, notes=options.notes)


def _test(out: Path, parts: dict[Split, list[Example]], *, data: Path, notes: Path | None) -> None:
    bundle = open_bundle(out)
    recogniser = load_recogniser(out)
    gold = parts["test"]
    predicted = recogniser.predict_many([example.text for example in gold])
    report = evaluate(gold, [recognition.spans for recognition in predicted])
    metrics: dict[str, Any] = {
        **bundle.metrics,
        "test": report.to_json(documents=False),
        "data": {
            "name": data.name,
            "sha256": hashlib.sha256(data.read_bytes()).hexdigest(),
            "texts": {split: len(texts) for split, texts in parts.items()},
        },
    }
    card = model_card(bundle.config, metrics, notes=notes.read_text("utf-8") if notes else "")
    changes = {
        "metrics.json": json.dumps(metrics, indent=1).encode() + b"\n",
        "card.md": card.encode(),
    }
    rewrite_bundle(bundle, out, changes)
    print(f"test: entity F1 {report.micro.f1:.4f} on {len(gold):,} texts; bundle in {out}")


def _config(options: argparse.Namespace) -> TrainConfig:
    from ner.training.architectures import default_config

    given = {
        name: getattr(options, name)
        for name in ("epochs", "seed", "threads")
        if getattr(options, name) is not None
    }
    return replace(default_config(options.arch), **given)


def _texts(path: Path | None) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line.strip()] if path else []


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ner.training.train", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="file of labelled texts")
    parser.add_argument("--format", default="auto", help="gmb_csv, conll, jsonl (default: auto)")
    parser.add_argument("--arch", choices=FAMILIES, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder of the new bundle")
    parser.add_argument("--vectors", type=Path, help="folder of vectors, or a bundle with them")
    parser.add_argument("--start-from", type=Path, help="bundle to continue")
    parser.add_argument("--rehearsal", type=Path, help="texts, one a line, to rehearse on")
    parser.add_argument("--checkpoint", type=Path, help="file to resume from after a kill")
    parser.add_argument("--notes", type=Path, help="Markdown to append to the model card")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--limit", type=int, help="use only so many texts, for a quick try")
    return parser


if __name__ == "__main__":
    sys.exit(main())
