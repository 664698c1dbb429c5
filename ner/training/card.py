"""The model card: what a bundle is, what was measured, and what it must not be trusted with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ner.config import ModelConfig


def model_card(config: ModelConfig, metrics: Mapping[str, Any], *, notes: str = "") -> str:
    """The card as Markdown; only numbers that stand in ``metrics`` appear in it."""
    training = metrics.get("train", {})
    lines = [
        f"# {config.family}",
        "",
        f"Named entity recognition, language `{config.language}`, labels: "
        f"{', '.join(f'`{label}`' for label in config.labels)}.",
        "",
        "| fact | value |",
        "|---|---|",
        f"| parameters trained | {config.parameters:,} |",
        f"| output | {config.architecture.output} |",
        f"| training sentences | {training.get('sentences', 0):,} |",
        f"| training time, seconds | {training.get('seconds', 0):.0f} |",
        f"| seed | {config.training.seed} |",
        f"| temperature of the confidences | {config.temperature:.3f} |",
        f"| continued from | {config.parent or 'nothing'} |",
        "",
        *_scores(metrics),
    ]
    if notes:
        lines += [notes.strip(), ""]
    return "\n".join(lines)


def _scores(metrics: Mapping[str, Any]) -> list[str]:
    development = metrics.get("dev", {})
    lines = [
        "## Measured",
        "",
        "Entity F1 is strict: boundaries and label must both be right; padding counts for nothing.",
        f"On the development part ({development.get('sentences', 0):,} sentences, used to choose "
        f"the epoch): F1 {development.get('f1', 0):.4f}.",
        "",
    ]
    test = metrics.get("test")
    if not test:
        return lines
    lines += [
        f"On the test part ({test['document_count']:,} texts, neither trained on nor used to choose the "
        "epoch):",
        "",
        "| label | precision | recall | F1 | true entities |",
        "|---|---|---|---|---|",
    ]
    rows = {"all (micro)": test["micro"], **test["labels"]}
    lines += [
        f"| {name} | {row['precision']:.4f} | {row['recall']:.4f} | {row['f1']:.4f} | {row['support']:,} |"
        for name, row in rows.items()
    ]
    lines += ["", f"Macro F1 {test['macro']['f1']:.4f}.", ""]
    return lines
