"""How good live answers are, for Prometheus: read from the estimates when asked."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from feedback.models import QualityEstimate
from feedback.selectors.quality import ALL
from inference.models import Deployment


class Quality(Collector):
    """The newest estimate of each version in a slot, by project and slot."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called at each scrape."""
        f1, low, high, documents = (
            GaugeMetricFamily(f"ner_live_{name}", meaning, labels=["project", "slot"])
            for name, meaning in (
                ("f1", "F1 of live answers, by reviews of a random share of them."),
                ("f1_low", "The lower end of its 95 % interval."),
                ("f1_high", "The upper end of its 95 % interval."),
                ("reviewed", "Reviewed texts behind it."),
            )
        )
        for place, found in _estimates():
            f1.add_metric(place, found.f1)
            low.add_metric(place, found.low)
            high.add_metric(place, found.high)
            documents.add_metric(place, found.documents)
        yield from (f1, low, high, documents)


def _estimates() -> Iterator[tuple[list[str], QualityEstimate]]:
    newest = QualityEstimate.objects.filter(label=ALL, version__deployments__isnull=False)
    found = {
        (one.project_id, one.version_id): one
        for one in newest.order_by("project_id", "version_id", "-day").distinct("project_id", "version_id")
    }
    for deployment in Deployment.objects.select_related("project"):
        estimate = found.get((deployment.project_id, deployment.version_id))
        if estimate is not None:
            yield [deployment.project.slug, deployment.slot], estimate
