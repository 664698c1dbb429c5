"""How shadows do, for Prometheus: counted from the rows when asked, for nobody scrapes the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from inference.models import ShadowTest


class Shadows(Collector):
    """The running tests, by project: there are as many as people have begun."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called at each scrape."""
        tests = list(ShadowTest.objects.filter(ended_at=None).select_related("project"))
        told: dict[str, tuple[str, Callable[[ShadowTest], float | None]]] = {
            "compared": (
                "Answers of the champion that the shadow has read again.",
                lambda test: test.compared,
            ),
            "agreement": (
                "Mean F1 of the shadow's spans against the champion's.",
                lambda test: test.agreement,
            ),
            "latency_ms": ("Mean time of the shadow for a text, in batches.", lambda test: test.latency_ms),
            "failed": ("Texts that the shadow could not answer.", lambda test: test.failed),
            "dropped": ("Answers passed over, the shadow being too far behind.", lambda test: test.dropped),
        }
        for name, (meaning, value_of) in told.items():
            family = GaugeMetricFamily(f"ner_shadow_{name}", meaning, labels=["project"])
            for test in tests:
                if (value := value_of(test)) is not None:
                    family.add_metric([test.project.slug], value)
            yield family
