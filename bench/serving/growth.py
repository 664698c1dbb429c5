"""Does an answer take longer with more predictions in the table, more connections, longer texts?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from statistics import median

import psycopg2

from bench.serving.load import closed_loop
from bench.serving.meter import Round, middle
from bench.serving.server import Server, of_length, serving

SMALL = 10_000
CONNECTIONS = (1, 4, 16, 64)
CHARACTERS = (1, 10, 100, 1_000, 10_000)
_CALLERS = 8

#: As the superuser and without triggers: texts of some 20 words with two spans, evenly over the last month.
_FILL = """
SET session_replication_role = replica;
SET maintenance_work_mem = '256MB';
{drop};
INSERT INTO inference_prediction
    (id, project_id, version_id, text, spans, uncertainty, min_confidence, language, slot, latency_ms,
     request_id, api_key_id, created_at)
    SELECT gen_random_uuid(), project.id, version_id, 'Text ' || n || repeat(' Ada wrote to Zed in Kista', 4),
        '[{{"start":0,"end":4,"label":"per","text":"Text","confidence":0.71}},'
        '{{"start":28,"end":33,"label":"geo","text":"Kista","confidence":0.93}}]',
        random(), 0.7, '', 'champion', 1.5, md5(n::text), key.id, now() - ({n} - n) * interval '30 days' / {n}
    FROM generate_series(1, {n}) n, corpus_project project, inference_apikey key, inference_deployment;
{make};
VACUUM ANALYZE inference_prediction;
CHECKPOINT
"""


def stored(model: str, *, scale: int, seconds: float, rounds: int) -> dict[str, object]:
    """Two nerapps, one with many predictions, asked in turn: a machine that changes speed changes both.

    `growth_p95` is the median over the turns of how much longer the p95 of the one with many is.
    """
    with serving(model) as few, serving(model) as many:
        sizes = {SMALL: few, scale: many}
        for count, server in sizes.items():
            _fill(server, count)
        found: dict[int, list[Round]] = {count: [] for count in sizes}
        for turn in range(rounds + 1):
            # Now one first, now the other: what comes first in a turn may not be its fault or merit.
            for count, server in list(sizes.items())[:: 1 if turn % 2 else -1]:
                measured = _closed(server, seconds)
                if turn:
                    found[count].append(measured)
        ratios = [
            large.row()["p95_ms"] / small.row()["p95_ms"]
            for small, large in zip(found[SMALL], found[scale], strict=True)
        ]
        return {
            "callers": _CALLERS,
            "seconds": seconds,
            "rounds": rounds,
            **{str(count): middle(each) for count, each in found.items()},
            "stored_at_the_end": [
                server.sql("SELECT count(*) FROM inference_prediction") for server in sizes.values()
            ],
            "ratios": [round(ratio, 2) for ratio in ratios],
            "growth_p95": round(median(ratios), 3),
        }


def shapes(server: Server, *, seconds: float) -> dict[str, object]:
    """More connections at once, and longer texts."""
    return {
        "seconds": seconds,
        "connections": {
            str(count): middle([_closed(server, seconds, callers=count)]) for count in CONNECTIONS
        },
        "characters": {
            str(length): middle([_closed(server, seconds, texts=of_length(length))]) for length in CHARACTERS
        },
    }


def _closed(
    server: Server, seconds: float, *, callers: int = _CALLERS, texts: Iterator[str] | None = None
) -> Round:
    requests = server.predicts(texts)
    return server.metered(lambda: closed_loop(server.port, requests, callers=callers, seconds=seconds))


def _fill(server: Server, count: int) -> None:
    database = server.site.environ["DATABASE_URL"].rsplit("/", 1)[1]
    url = server.site.postgres.superuser_url().rsplit("/", 1)[0] + f"/{database}"
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes"
            " WHERE tablename = 'inference_prediction' AND indexdef NOT LIKE 'CREATE UNIQUE%'"
        )
        indexes = cursor.fetchall()
        statements = _FILL.format(
            n=count,
            drop=f"DROP INDEX {', '.join(name for name, _ in indexes)}",
            make=";\n".join(definition for _, definition in indexes),
        )
        for statement in statements.split(";\n"):
            cursor.execute(statement)
