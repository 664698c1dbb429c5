"""What a caller who sends nothing but the longest texts does to the others."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench.serving.limit import KEYS
from bench.serving.load import closed_loop, request_bytes
from bench.serving.server import RATE_PER_HOUR, Server, of_length

OTHERS = 4
HOSTILE = 8
#: The longest text that is read.
CHARACTERS = 100_000


def measure(server: Server, *, rounds: int, seconds: float) -> dict[str, object]:
    """Percentiles of the others alone and beside the hostile caller, in turn, and the ratio of the p99s."""
    [key] = server.site.python(KEYS, "1", str(RATE_PER_HOUR), "hostile").split()[-1:]
    alone, beside, read = [], [], []
    for turn in range(rounds + 1):
        quiet = closed_loop(server.port, server.predicts(), callers=OTHERS, seconds=seconds)
        with ThreadPoolExecutor() as pool:
            attack = pool.submit(
                closed_loop, server.port, _longest(key), callers=HOSTILE, seconds=seconds + 1
            )
            busy = closed_loop(server.port, server.predicts(), callers=OTHERS, seconds=seconds)
            read.append(attack.result().count)
        if turn:  # the first warms up
            alone.append(quiet.percentiles(0.5, 0.95, 0.99))
            beside.append(busy.percentiles(0.5, 0.95, 0.99))
    ratios = [round(busy[2] / quiet[2], 2) for quiet, busy in zip(alone, beside, strict=True)]
    return {
        "others": OTHERS,
        "hostile": HOSTILE,
        "alone_ms": [statistics.median(column) for column in zip(*alone, strict=True)],
        "beside_ms": [statistics.median(column) for column in zip(*beside, strict=True)],
        "long_texts_read": sum(read[1:]),
        "ratios": ratios,
        "hostile_p99": statistics.median(ratios),
    }


def _longest(key: str) -> Iterator[bytes]:
    text = next(of_length(CHARACTERS))
    for number in itertools.count():  # each another one, so that none can be remembered
        body = {"text": f"{number} {text}"[:CHARACTERS]}
        yield request_bytes("/api/v1/predict", json.dumps(body).encode(), key)
