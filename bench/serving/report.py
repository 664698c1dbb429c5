"""From what was measured to the figures that have goals."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bench.keep import keep
from nerapp.env import PROJECT

Found = Mapping[str, Any]

#: Two cores, the callers on the same two, flagship, about 20 words a text.
GOALS = {
    "full_vs_bare_cpu": ">= 0.25",
    "full_vs_obvious": ">= 20",
    "open_1000": "<= 5, 20, 50 ms (p50, p95, p99)",
    "max_rps_p95_150": ">= 1800",
    "batch_texts_per_s": ">= 10000 with model2",
    "batch_vs_spacy": ">= 5 with flagship (words a second and core)",
    "web_rss_mb": "<= 250",
    "cold_start_s": "<= 3",
    "growth_p95": "<= 1.1",
    "rate_limit_exact": "every trial",
    "hostile_p99": "<= 2",
    "errors": "0",
    "lost": "0",
}
_COLUMNS = ("rps", "p50_ms", "p95_ms", "p99_ms", "cpu_us", "caller_cores", "other_cores", "errors")


def figures(found: Found) -> dict[str, Any]:
    """The figures of the parts that ran."""
    told: dict[str, Any] = {}
    if closed := found.get("closed"):
        full, bare, obvious = closed["full"], closed["bare"], closed["obvious"]
        told["full_vs_bare_cpu"] = round(bare["cpu_us"] / full["cpu_us"], 4)
        told["full_vs_obvious"] = round(full["rps"] / obvious["rps"], 1)
        told["batch_texts_per_s"] = {
            model: closed[f"batch_{model}"]["texts_per_s"] for model in ("flagship", "model2")
        }
        told["web_rss_mb"] = closed["memory"]["web_rss_mb"]
    if recorded := found.get("recording"):
        told["stream_vs_durable_cpu"] = recorded["stream_vs_durable_cpu"]
    if opened := found.get("open"):
        told[f"open_{opened['rate']:g}"] = [opened[f"p{share}_ms"] for share in (50, 95, 99)]
        told["open_achieved_rps"] = opened["rps"]
    if highest := found.get("max"):
        told["max_rps_p95_150"] = highest["max_rps"]
    if closed and (words := found.get("spacy", {}).get("ner_words_per_s")):
        texts_per_core = 1e6 / closed["batch_flagship"]["cpu_us"] * closed["batch_texts"]
        told["batch_vs_spacy"] = round(texts_per_core * found["words_per_text"] / words, 2)
    if cold := found.get("cold"):
        told["cold_start_s"] = cold["median_s"]
    if growth := found.get("growth"):
        told["growth_p95"] = growth["growth_p95"]
    if limit := found.get("limit"):
        told["rate_limit_exact"] = f"{limit['exact']} of {limit['trials']}"
    if hostile := found.get("hostile"):
        told["hostile_p99"] = hostile["hostile_p99"]
    told["errors"] = int(sum(row["errors"] for _, row in _rows(found)))
    if opened:
        told["lost"] = opened["lost"]
    told["scaled_down"] = found["scaled_down"]
    told["left_out"] = {name: part["left_out"] for name, part in found.items() if _is_left_out(part)}
    return told


def tell(found: Found, *, is_kept: bool) -> None:
    """Print the rows, the figures beside their goals, and a last line of JSON; keep a whole run."""
    told = figures(found)
    print(f"\n{'':24}" + "".join(f"{column:>13}" for column in _COLUMNS))
    for name, row in _rows(found):
        print(f"{name:24}" + "".join(f"{row[column]:13.1f}" for column in _COLUMNS))
    for name, part in found.items():
        if isinstance(part, Mapping) and not _rows(part):
            print(f"{name:24}{json.dumps(part)}")
    print()
    for name, value in told.items():
        print(f"{name:24}{json.dumps(value):44}{'goal ' + GOALS[name] if name in GOALS else ''}")
    if is_kept:
        print(f"kept in {keep('serving', {**found, 'figures': told}).relative_to(PROJECT)}")
    print(json.dumps(told))


def _rows(found: Any, name: str = "") -> list[tuple[str, Found]]:
    """Every row that a meter made, wherever it lies."""
    if not isinstance(found, Mapping):
        return []
    if "cpu_us" in found:
        return [(name, found)]
    return [row for key, part in found.items() for row in _rows(part, f"{name}.{key}".removeprefix("."))]


def _is_left_out(part: Any) -> bool:
    return isinstance(part, Mapping) and "left_out" in part
