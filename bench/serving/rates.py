"""The open loop: latencies at a given rate, the highest rate that can be held, and whether rows were kept."""

from __future__ import annotations

from bench.serving.load import open_loop
from bench.serving.meter import Round
from bench.serving.server import Server

P95_LIMIT_MS = 150.0
#: A rate is not held when so little of it is answered, or when callers wait so long to ask.
_HELD_SHARE = 0.98
_BEHIND_SECONDS = 1.0


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
    """The highest rate with p95 below the limit: up or down by a quarter at first, then between."""
    held, failed = 0.0, 0.0
    tried: list[dict[str, float]] = []
    rate = start
    for _ in range(probes):
        found = server.metered(
            lambda rate=rate: open_loop(
                server.port, server.predicts(), rate=rate, seconds=seconds, give_up=_BEHIND_SECONDS
            )
        )
        row = _rounded(found)
        is_held = row["p95_ms"] < P95_LIMIT_MS and not row["errors"] and row["rps"] >= rate * _HELD_SHARE
        tried.append({"rate": round(rate, 1), "held": is_held, **row})
        if is_held:
            held = max(held, rate)
        else:
            failed = min(failed or rate, rate)
        if not failed:
            rate = held * 1.25
        elif not held:
            rate = failed * 0.75
        elif failed / held < 1.04:
            break
        else:
            rate = (held + failed) / 2
    return {"seconds": seconds, "limit_ms": P95_LIMIT_MS, "max_rps": round(held, 1), "tried": tried}


def _rounded(found: Round) -> dict[str, float]:
    return {name: round(value, 2) for name, value in found.row().items()}
