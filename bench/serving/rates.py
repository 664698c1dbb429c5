"""The open loop: latencies at a given rate, the highest rate that can be held, and whether rows were kept."""

from __future__ import annotations

from collections.abc import Callable

from bench.serving.load import open_loop
from bench.serving.meter import Round
from bench.serving.server import Server

P95_LIMIT_MS = 150.0
#: A rate is not held when requests wait so long to be sent.
_BEHIND_SECONDS = 1.0
#: The search ends where the lowest rate that failed is so little above the highest that was held.
_FINE = 1.04


def at_rate(server: Server, *, rate: float, seconds: float) -> dict[str, object]:
    """Latencies from the scheduled time, and how many acknowledged predictions are not in the table."""
    open_loop(server.port, server.predicts(), rate=rate / 10, seconds=3)
    found = server.metered(lambda: open_loop(server.port, server.predicts(), rate=rate, seconds=seconds))
    measured = found.measured
    return {
        "rate": rate,
        "seconds": seconds,
        **_rounded(found),
        "asked": len(measured.latencies) + measured.refusals.total(),
        "unanswered": measured.unanswered,
        "refusals": dict(measured.refusals),
        "acknowledged": len(measured.ids),
        "lost": server.lost(measured.ids),
    }


def highest(server: Server, *, start: float, probes: int, seconds: float) -> dict[str, object]:
    """The highest rate at which p95 stays below the limit and nothing fails, and what was tried."""
    tried: list[dict[str, float]] = []

    def is_held(rate: float) -> bool:
        found = server.metered(
            lambda: open_loop(
                server.port, server.predicts(), rate=rate, seconds=seconds, give_up=_BEHIND_SECONDS
            )
        )
        row = _rounded(found)
        held = row["p95_ms"] < P95_LIMIT_MS and not row["errors"]
        tried.append({"rate": round(rate, 1), "held": held, **row})
        return held

    rate = search(is_held, start=start, probes=probes)
    return {"seconds": seconds, "limit_ms": P95_LIMIT_MS, "max_rps": round(rate, 1), "tried": tried}


def search(is_held: Callable[[float], bool], *, start: float, probes: int) -> float:
    """The highest rate that was held, 0 if none: up or down by a quarter until it turns, then between."""
    held, failed, rate = 0.0, 0.0, start
    for _ in range(probes):
        if is_held(rate):
            held = rate
        else:
            failed = rate
        if not failed:
            rate = held * 1.25
        elif not held:
            rate = failed * 0.75
        elif failed / held < _FINE:
            break
        else:
            rate = (held + failed) / 2
    return held


def _rounded(found: Round) -> dict[str, float]:
    return {name: round(value, 2) for name, value in found.row().items()}
