"""How bulk prediction goes, for Prometheus: counted from the rows when asked; nobody scrapes workers."""

from __future__ import annotations

from collections.abc import Iterator

from django.db.models import Count, F, Q, Sum
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from inference.models import PredictionJob
from inference.selectors import oldest_job_seconds

Status = PredictionJob.Status


class Jobs(Collector):
    """Two questions to the database about the few jobs that are not done."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called at each scrape."""
        told = PredictionJob.objects.filter(status__in=PredictionJob.ACTIVE).aggregate(
            queued=Count("pk", filter=Q(status=Status.QUEUED)),
            running=Count("pk", filter=Q(status=Status.RUNNING)),
            bytes=Sum(F("size_bytes") - F("position")),
        )
        states = GaugeMetricFamily("ner_jobs", "Unfinished bulk predictions, by state.", labels=["state"])
        for state in ("queued", "running"):
            states.add_metric([state], told[state])
        yield states
        yield GaugeMetricFamily(
            "ner_job_bytes_waiting", "Bytes of their files that are not answered yet.", told["bytes"] or 0
        )
        yield GaugeMetricFamily(
            "ner_job_oldest_queued_seconds",
            "How long the one has waited that waits longest for its first worker.",
            oldest_job_seconds() or 0.0,
        )
