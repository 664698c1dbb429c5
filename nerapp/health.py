"""Is it alive, is it ready, how is it: `live`, `ready`, `health` and `metrics`.

`live` and `ready` are for load balancers and say no more than they need; details and numbers are for
operators: staff in a browser, or a key with the scope `ops`.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import psutil
import redis
from django.conf import settings
from django.contrib.auth import get_user
from django.db import Error, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Avg, Count
from django.http import HttpResponse
from django.utils import timezone
from drf_spectacular.utils import OpenApiResponse, extend_schema
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from redis.backoff import NoBackoff
from redis.retry import Retry
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from corpus.errors import NotFound
from feedback.quality_metrics import Quality
from inference.authentication import caller_of
from inference.engine import engine
from inference.job_metrics import Jobs
from inference.limits import rate_limit
from inference.models import ApiKey, Prediction
from inference.selectors import oldest_job_seconds
from inference.shadow_metrics import Shadows
from inference.stream import stream
from inference.stream_metrics import Streamed
from nerapp.heartbeat import QUEUES, workers_alive
from retraining.models import TrainingRun
from webhooks.metrics import Telling

State = Literal["ok", "degraded", "failed"]


class Live(msgspec.Struct, kw_only=True):
    """The process answers."""

    status: Literal["ok"]


class Check(msgspec.Struct, kw_only=True):
    """One thing that serving needs."""

    status: State
    detail: str


class Ready(msgspec.Struct, kw_only=True):
    """Whether this process can answer predictions; degraded is not down."""

    status: Literal["ready", "degraded", "not_ready"]
    checks: dict[str, Check]


class ServedModel(msgspec.Struct, kw_only=True):
    """What a slot serves in the process that answered."""

    project: int
    slot: str
    version: str
    f1_score: float | None
    refused: Annotated[str, msgspec.Meta(description="Why what is deployed there is not served, if so.")]


class Traffic(msgspec.Struct, kw_only=True):
    """The predictions of one version in the last hour."""

    version: str
    predictions: int
    share: float
    mean_latency_ms: float


class Numbers(msgspec.Struct, kw_only=True):
    """What was counted since the start, over all web processes."""

    requests: int
    errors: int
    error_rate: float
    texts_predicted: int
    entities_found: int
    rate_limited: int
    cache_hit_rate: Annotated[
        float | None,
        msgspec.Meta(description="Of the texts asked about, known at either level; null before the first."),
    ]
    cache_hit_rates: Annotated[
        dict[Literal["process", "redis"], float | None],
        msgspec.Meta(description="By level: of the texts that each was asked about; null before the first."),
    ]
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    requests_per_second: Annotated[float, msgspec.Meta(description="Mean since the start of this process.")]


class Health(msgspec.Struct, kw_only=True):
    """The state as operators see it; all but `status` is left out for others."""

    status: Literal["ready", "degraded", "not_ready"]
    checks: dict[str, Check] | msgspec.UnsetType = msgspec.UNSET
    models: list[ServedModel] | msgspec.UnsetType = msgspec.UNSET
    traffic: list[Traffic] | msgspec.UnsetType = msgspec.UNSET
    numbers: Numbers | msgspec.UnsetType = msgspec.UNSET
    memory_mb: float | msgspec.UnsetType = msgspec.UNSET
    queue_depth: dict[str, int | None] | msgspec.UnsetType = msgspec.UNSET
    oldest_queued_run_seconds: float | msgspec.UnsetType | None = msgspec.UNSET
    oldest_queued_job_seconds: float | msgspec.UnsetType | None = msgspec.UNSET
    workers: (
        Annotated[
            dict[str, float | None], msgspec.Meta(description="Seconds since each queue's last heartbeat.")
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET


_STARTED = time.monotonic()
#: What is counted from rows: one process knows it for all.
_FROM_ROWS = CollectorRegistry()
_FROM_ROWS.register(Jobs())
_FROM_ROWS.register(Telling())
_FROM_ROWS.register(Streamed())
_FROM_ROWS.register(Shadows())
_FROM_ROWS.register(Quality())


class LiveView(APIView):
    """This process answers. It asks nobody else, so that a database outage restarts no web process."""

    authentication_classes = ()

    @extend_schema(operation_id="live", tags=["health"], auth=[], responses=Live)
    def get(self, request: Request) -> Response:
        return Response(Live(status="ok"))


class ReadyView(APIView):
    """This process can answer predictions: database, migrations, cache, model."""

    authentication_classes = ()

    @extend_schema(operation_id="ready", tags=["health"], auth=[], responses={200: Ready, 503: Ready})
    def get(self, request: Request) -> Response:
        found = ready()
        return Response(found, status=503 if found.status == "not_ready" else 200)


class HealthView(APIView):
    """The status; for operators everything behind it."""

    @extend_schema(operation_id="health", tags=["health"], responses=Health)
    def get(self, request: Request) -> Response:
        found = ready()
        if not is_operator(request):
            return Response(Health(status=found.status))
        return Response(
            Health(
                status=found.status,
                checks=found.checks,
                models=_models(),
                traffic=_traffic() if found.checks["database"].status == "ok" else [],
                numbers=numbers(),
                memory_mb=_memory_mb(),
                queue_depth=_queue_depth(),
                oldest_queued_run_seconds=_oldest_run() if found.checks["database"].status == "ok" else None,
                oldest_queued_job_seconds=oldest_job_seconds()
                if found.checks["database"].status == "ok"
                else None,
                workers=_workers(),
            )
        )


class MetricsView(APIView):
    """Prometheus' text, or JSON for `Accept: application/json`. For operators; others find nothing here."""

    @extend_schema(
        operation_id="metrics",
        tags=["health"],
        responses={
            (200, "text/plain"): OpenApiResponse(str, description="Prometheus' text form."),
            (200, "application/json"): Numbers,
        },
    )
    def get(self, request: Request) -> Response | HttpResponse:
        if not is_operator(request):
            raise NotFound()
        if "application/json" in request.headers.get("Accept", ""):
            return Response(numbers())
        text = generate_latest(_registry()) + generate_latest(_FROM_ROWS)
        return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def is_operator(request: Request) -> bool:
    """Staff, or a key with the scope `ops`."""
    caller = caller_of(request)
    if caller is not None:
        return ApiKey.Scope.OPS in caller.scopes
    # From the session itself: DRF has put its own (absent) user over Django's.
    user = get_user(request._request)
    return user.is_active and bool(getattr(user, "is_staff", False))


def ready() -> Ready:
    """Look at everything that a prediction needs."""
    checks = {"database": _database()}
    if checks["database"].status == "ok":
        checks["migrations"] = _migrations()
    checks["cache"] = _cache()
    if stream.is_chosen:
        checks["recording"] = _recording()
    checks["model"] = _model(database=checks["database"].status == "ok")
    states = {check.status for check in checks.values()}
    if "failed" in states:
        return Ready(status="not_ready", checks=checks)
    return Ready(status="degraded" if "degraded" in states else "ready", checks=checks)


def _database() -> Check:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return Check(status="failed", detail="The database does not answer.")
    return Check(status="ok", detail="")


class _Migrated:
    """Once the database is as new as the code it stays so: looked at until then."""

    seen = False


def _migrations() -> Check:
    if not _Migrated.seen:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return Check(status="failed", detail="Migrations are missing: run manage.py prepare_database.")
        _Migrated.seen = True
    return Check(status="ok", detail="")


def _client(url: str) -> redis.Redis[bytes]:
    return redis.Redis.from_url(
        url, socket_timeout=0.25, socket_connect_timeout=0.25, retry=Retry(NoBackoff(), 0)
    )


def _cache() -> Check:
    if not rate_limit.degraded:
        try:
            with _client(settings.CACHE_URL) as client:
                client.ping()
            return Check(status="ok", detail="")
        except redis.RedisError:
            pass
    return Check(status="degraded", detail="Redis does not answer: rate limits are per process.")


def _recording() -> Check:
    obstacle = stream.obstacle()
    return Check(status="degraded" if obstacle else "ok", detail=obstacle)


def _model(*, database: bool) -> Check:
    if engine.refreshed_at is None and database:
        engine.refresh()
    refused = engine.refusals()
    if any(not refusal.serving for refusal in refused):
        return Check(status="failed", detail="A slot has no version that can be loaded.")
    if refused:
        return Check(status="degraded", detail="A deployed bundle was refused; the version before it serves.")
    if engine.refreshed_at is None:
        return Check(status="failed", detail="No model was loaded yet.")
    return Check(status="ok", detail="" if engine.table() else "No project has a model deployed yet.")


def _models() -> list[ServedModel]:
    refused = {(refusal.project_id, refusal.slot): refusal for refusal in engine.refusals()}
    served = [
        ServedModel(
            project=project_id,
            slot=serving.slot,
            version=str(serving.version),
            f1_score=serving.f1,
            refused=refused[project_id, serving.slot].reason if (project_id, serving.slot) in refused else "",
        )
        for (project_id, _), serving in engine.table().items()
    ]
    return served + [
        ServedModel(project=project_id, slot=slot, version="", f1_score=None, refused=refusal.reason)
        for (project_id, slot), refusal in refused.items()
        if not refusal.serving
    ]


def _traffic() -> list[Traffic]:
    hour = timezone.now() - timedelta(hours=1)
    rows = list(
        Prediction.objects.filter(created_at__gt=hour)
        .values("version__name", "version__number")
        .annotate(count=Count("id"), latency=Avg("latency_ms"))
        .order_by("-count")
    )
    total = sum(row["count"] for row in rows)
    return [
        Traffic(
            version=f"{row['version__name']}@{row['version__number']}",
            predictions=row["count"],
            share=round(row["count"] / total, 4),
            mean_latency_ms=round(row["latency"], 3),
        )
        for row in rows
    ]


def _registry() -> CollectorRegistry:
    """This process's numbers, or those of all web processes where they share a folder."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    _forget_the_dead(Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _forget_the_dead(folder: Path) -> None:
    """What a process holds now is not counted after its end; what it has counted stays."""
    for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*.db")}:
        if not psutil.pid_exists(pid):
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


def numbers() -> Numbers:
    """The counters as a few numbers; percentiles are the upper bounds of their buckets, interpolated."""
    totals: dict[str, float] = {}
    buckets: dict[float, float] = {}
    cached: Counter[tuple[str, str]] = Counter()
    for family in _registry().collect():
        for sample in family.samples:
            totals[sample.name] = totals.get(sample.name, 0.0) + sample.value
            if sample.name == "ner_prediction_seconds_bucket":
                bound = float(sample.labels["le"])
                buckets[bound] = buckets.get(bound, 0.0) + sample.value
            elif sample.name == "ner_cache_total":
                cached[sample.labels["level"], sample.labels["outcome"]] += int(sample.value)
    requests = int(totals.get("ner_prediction_seconds_count", 0))
    errors = int(totals.get("ner_predictions_failed_total", 0))
    return Numbers(
        requests=requests,
        errors=errors,
        error_rate=round(errors / requests, 6) if requests else 0.0,
        texts_predicted=int(totals.get("ner_texts_predicted_total", 0)),
        entities_found=int(totals.get("ner_entities_found_total", 0)),
        rate_limited=int(totals.get("ner_rate_limited_total", 0)),
        cache_hit_rate=_share(
            cached["process", "hit"] + cached["redis", "hit"],
            cached["process", "hit"] + cached["process", "miss"],
        ),
        cache_hit_rates={
            level: _share(cached[level, "hit"], cached[level, "hit"] + cached[level, "miss"])
            for level in _CACHE_LEVELS
        },
        p50_ms=_percentile(buckets, 0.50),
        p95_ms=_percentile(buckets, 0.95),
        p99_ms=_percentile(buckets, 0.99),
        requests_per_second=round(requests / max(time.monotonic() - _STARTED, 1e-9), 3),
    )


_CACHE_LEVELS: tuple[Literal["process", "redis"], ...] = ("process", "redis")


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _percentile(buckets: dict[float, float], share: float) -> float | None:
    """Milliseconds below which a share of the requests stayed, from cumulative buckets."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0
    if not total:
        return None
    wanted, low, below = share * total, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            high = bound if bound != float("inf") else low
            inside = buckets[bound] - below
            return round((low + (high - low) * (wanted - below) / inside) * 1000, 3) if inside else None
        low, below = bound, buckets[bound]
    return None


def _memory_mb() -> float:
    """Resident memory of the process that answered."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return round(pages * os.sysconf("SC_PAGE_SIZE") / 1024 / 1024, 1)
    except OSError:
        import resource

        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


def _queue_depth() -> dict[str, int | None]:
    try:
        with _client(settings.REDIS_URL) as client:
            return {queue: int(client.llen(queue)) for queue in QUEUES}
    except redis.RedisError:
        return dict.fromkeys(QUEUES)


def _oldest_run() -> float | None:
    queued = TrainingRun.objects.filter(status=TrainingRun.Status.QUEUED).order_by("queued_at").first()
    return round((timezone.now() - queued.queued_at).total_seconds(), 1) if queued else None


def _workers() -> dict[str, float | None]:
    alive = workers_alive() or {}
    return {queue: round(alive[queue], 1) if queue in alive else None for queue in QUEUES}
