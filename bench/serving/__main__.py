"""`python -m bench.serving`: predictions on real servers, beside a bare view and the obvious stack.

CPU time per request, from /proc over every process involved, is the figure to compare: on a shared machine
rates are noisy. The last line is JSON; a whole run is kept in bench/results. `SCALE` is the number of stored
predictions of the part `growth`, SPACY_PYTHON a Python that has spaCy and its model.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bench.serving import cases, growth, hostile, limit, rates, report, spacy_words
from bench.serving.server import Server, sentences, serving
from nerapp.env import PROJECT

SCALE = 1_000_000
#: Made by `make bench-serving`.
_SPACY = PROJECT / ".venv" / "spacy" / "bin" / "python"


@dataclass(frozen=True)
class Sizes:
    """How long and how often each part measures."""

    seconds: float = 5
    rounds: int = 3
    open_seconds: float = 60
    probe_seconds: float = 8
    probes: int = 9
    growth_rounds: int = 10
    shape_seconds: float = 4
    trials: int = 20
    starts: int = 3
    spacy_seconds: float = 8
    stored: int = SCALE


QUICK = Sizes(
    seconds=2,
    rounds=1,
    open_seconds=10,
    probe_seconds=3,
    probes=5,
    growth_rounds=2,
    shape_seconds=1.5,
    trials=5,
    starts=1,
    spacy_seconds=3,
    stored=50_000,
)


def main() -> None:
    """Measure the chosen parts."""
    arguments = _arguments()
    sizes = QUICK if arguments.quick else Sizes()
    for name in ("seconds", "rounds", "open_seconds"):
        if (given := getattr(arguments, name)) is not None:
            sizes = replace(sizes, **{name: given})
    if "SCALE" in os.environ:
        sizes = replace(sizes, stored=int(os.environ["SCALE"]))
    texts = sentences()
    found: dict[str, object] = {
        "load": "granian, 2 processes of 8 threads, for the obvious stack gunicorn with 2 sync ones; the "
        "callers are one process on the same machine; every text another one unless said otherwise",
        "words_per_text": round(statistics.mean(len(text.split()) + 1 for text in texts), 1),
        "scaled_down": _scaled_down(sizes),
    }
    parts = _parts(arguments, sizes, found)
    chosen = arguments.only or list(parts)
    with serving(arguments.model) as server:
        found["model"] = server.model
        for name in [name for name in parts if name in chosen]:
            started = time.perf_counter()
            print(f"{name} ...", end=" ", flush=True)
            found[name] = parts[name](server)
            print(f"{time.perf_counter() - started:.0f} s", flush=True)
    report.tell(found, is_kept=not arguments.quick and not arguments.only)


def _parts(
    arguments: argparse.Namespace, sizes: Sizes, found: dict[str, object]
) -> dict[str, Callable[[Server], dict[str, object]]]:
    def first_probe() -> float:
        return 0.8 * found["closed"]["full"]["rps"] if "closed" in found else 300.0

    return {
        "cold": lambda server: _cold(server, sizes.starts),
        "closed": lambda server: cases.measure(
            server, callers=arguments.callers, seconds=sizes.seconds, rounds=sizes.rounds
        ),
        "recording": lambda server: cases.recording(
            server, callers=arguments.callers, seconds=sizes.seconds, rounds=sizes.rounds
        ),
        "open": lambda server: rates.at_rate(server, rate=arguments.rate, seconds=sizes.open_seconds),
        "max": lambda server: rates.highest(
            server, start=first_probe(), probes=sizes.probes, seconds=sizes.probe_seconds
        ),
        "shapes": lambda server: growth.shapes(server, seconds=sizes.shape_seconds),
        "limit": lambda server: limit.measure(server, trials=sizes.trials),
        "hostile": lambda server: hostile.measure(server, rounds=sizes.rounds, seconds=sizes.seconds),
        "growth": lambda server: growth.stored(
            arguments.model, scale=sizes.stored, seconds=2, rounds=sizes.growth_rounds
        ),
        "spacy": lambda server: spacy_words.measure(
            os.environ.get("SPACY_PYTHON", str(_SPACY)), sentences(), seconds=sizes.spacy_seconds
        ),
    }


def _cold(server: Server, starts: int) -> dict[str, object]:
    """Seconds from spawn to the first `ready`, the files in the page cache."""
    taken = [round(server.restart(), 2) for _ in range(starts)]
    return {"median_s": statistics.median(taken), "each_s": taken}


def _scaled_down(sizes: Sizes) -> list[str]:
    """What this run has less of than a whole one."""
    whole = Sizes()
    return [
        f"{name} {getattr(sizes, name):g} instead of {getattr(whole, name):g}"
        for name in vars(whole)
        if getattr(sizes, name) < getattr(whole, name)
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    names = list(_parts(argparse.Namespace(), Sizes(), {}))
    parser.add_argument("--only", nargs="+", choices=names, help="measure these parts only; nothing is kept")
    parser.add_argument("--quick", action="store_true", help="all parts in some minutes; nothing is kept")
    parser.add_argument("--seconds", type=float, help="of each round of the closed loop")
    parser.add_argument("--rounds", type=int, help="of each case of the closed loop")
    parser.add_argument("--open-seconds", type=float, help="of the open loop")
    parser.add_argument("--rate", type=float, default=1000, help="of the open loop (default: %(default)s)")
    parser.add_argument("--callers", type=int, default=16, help="of the closed loop (default: %(default)s)")
    parser.add_argument("--model", default="flagship", help="bundled model to serve (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
