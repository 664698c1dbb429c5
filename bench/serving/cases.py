"""The closed loop: what each kind of request costs, beside a bare view and beside the obvious stack.

Rounds are interleaved, so that what else the machine does hits all alike.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg2

from bench.serving.load import closed_loop, request_bytes
from bench.serving.meter import Round, memory_mb, metered, middle
from bench.serving.server import Server, distinct, sentences
from bench.serving.site import wait_for
from nerapp.embedded import free_port

BATCH = 100
_BATCH_CALLERS = 2


@dataclass(frozen=True)
class Case:
    """One kind of request, and what answers it."""

    port: int
    web: subprocess.Popen[bytes]
    requests: Iterator[bytes]
    texts: int = 1


def measure(server: Server, *, callers: int, seconds: float, rounds: int) -> dict[str, object]:
    """The median row of each case, and the memory of a web process after all of it."""
    with _beside(server) as beside:
        web, port = server.web, server.port
        cases = {
            **beside,
            "full": Case(port, web, server.predicts()),
            "repeated": Case(port, web, server.predicts(itertools.cycle(sentences()[:100]))),
            "batch_flagship": Case(port, web, server.batches(BATCH, "flagship"), BATCH),
            "batch_model2": Case(port, web, server.batches(BATCH, "model2"), BATCH),
        }
        found: dict[str, list[Round]] = {name: [] for name in cases}
        for turn in range(rounds + 1):
            for name, case in cases.items():
                many = callers if case.texts == 1 else _BATCH_CALLERS
                measured = server.metered(
                    lambda case=case, many=many: closed_loop(
                        case.port, case.requests, callers=many, seconds=seconds
                    ),
                    case.web,
                    case.texts,
                )
                _check(name, measured, case)
                if turn:  # the first warms up
                    found[name].append(measured)
        resident, shared = memory_mb(web)
    return {
        "callers": f"{callers}, of batches {_BATCH_CALLERS}",
        "seconds": seconds,
        "rounds": rounds,
        "batch_texts": BATCH,
        **{name: middle(measured) for name, measured in found.items()},
        "memory": {
            "web_rss_mb": round(resident, 1),
            "web_pss_mb": round(shared, 1),
            "how": "the largest web process after the rounds, flagship and model2 loaded; PSS shares shared "
            "pages out among those who have them",
        },
    }


def recording(server: Server, *, callers: int, seconds: float, rounds: int) -> dict[str, object]:
    """A request recorded before it is told beside one recorded by the stream, both with all that follows it.

    The processes of both servers count in both: whichever is free takes rows out of the stream.
    """
    assert server.web
    port = server.site.web_start(PREDICTION_RECORDING="stream")
    web = server.site.webs[-1]
    wait_for(lambda: _listens(port), "the server that records by the stream")
    parts = {"web": server.web, "web_stream": web, **server.site.services}
    found: dict[str, list[Round]] = {"durable": [], "stream": []}
    for turn in range(rounds + 1):
        for name, at in (("durable", server.port), ("stream", port)):
            measured = metered(
                parts,
                lambda at=at: closed_loop(at, server.predicts(), callers=callers, seconds=seconds),
            )
            if turn:  # the first warms up
                found[name].append(measured)
    server.site.web_stop(web)
    rows = {name: middle(measured) for name, measured in found.items()}
    ratio = round(rows["stream"]["cpu_us"] / rows["durable"]["cpu_us"], 3)
    return {**rows, "stream_vs_durable_cpu": ratio}


@contextlib.contextmanager
def _beside(server: Server) -> Iterator[dict[str, Case]]:
    """The bare view under the same server, and the obvious stack on the same PostgreSQL and Redis."""
    site = server.site
    obvious = {
        "DATABASE_URL": _database_make(server, "obvious"),
        "OBVIOUS_MODEL": server.model.partition("@")[0],
    }
    token = site.run(sys.executable, "-m", "bench.serving.obvious", **obvious).split()[-1]
    ports = [site.web_start("bench.serving.bare:application"), free_port()]
    bind = ("--bind", f"127.0.0.1:{ports[1]}", "--workers", "2", "--log-level", "warning")
    site.web_spawn("gunicorn", "bench.serving.obvious:application", *bind, **obvious)
    webs = site.webs[-2:]
    for port in ports:
        wait_for(lambda port=port: _listens(port), "a server beside")
    yield {
        "bare": Case(ports[0], webs[0], _plain("/answer")),
        "obvious": Case(ports[1], webs[1], _plain("/predict", token)),
    }
    for web in webs:
        site.web_stop(web)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _plain(path: str, token: str = "") -> Iterator[bytes]:
    for text in distinct():
        yield request_bytes(path, json.dumps({"text": text}).encode(), token, "Token")


def _database_make(server: Server, name: str) -> str:
    url = server.site.postgres.superuser_url()
    with contextlib.closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name}")
    return url.rsplit("/", 1)[0] + f"/{name}"


def _check(name: str, measured: Round, case: Case) -> None:
    """An answer must hold what it should: a fast answer of nothing would be the best figure of all."""
    sample = measured.measured.sample
    if not sample:
        raise SystemExit(f"{name} gave no answer: {dict(measured.measured.refusals)}")
    if case.texts > 1:
        is_whole = sample["count"] == case.texts and not sample["failed"]
    else:
        is_whole = name == "bare" or bool(sample["prediction_id"] and sample["entities"] is not None)
    if not is_whole:
        raise SystemExit(f"{name} answered {str(sample)[:500]}")
