"""How telling goes, for Prometheus: counted from the rows when asked, for nobody scrapes the workers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Count, Min, Q
from django.utils import timezone
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from webhooks.models import Delivery, Webhook

DAY = timedelta(hours=24)


class Telling(Collector):
    """Three questions to the database, each answered from an index."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called at each scrape."""
        webhooks = Webhook.objects.aggregate(
            on=Count("pk", filter=Q(off_at=None, failing_since=None)),
            failing=Count("pk", filter=Q(off_at=None, failing_since__isnull=False)),
            off=Count("pk", filter=Q(off_at__isnull=False)),
        )
        states = GaugeMetricFamily("ner_webhooks", "Webhooks, by how they are.", labels=["state"])
        for state, count in webhooks.items():
            states.add_metric([state], count)
        yield states
        waiting = Delivery.objects.filter(status=Delivery.Status.WAITING)
        told = waiting.aggregate(count=Count("pk"), oldest=Min("occurred_at"))
        yield GaugeMetricFamily(
            "ner_webhook_deliveries_waiting", "Events that webhooks are still to be told.", told["count"]
        )
        age = (timezone.now() - told["oldest"]).total_seconds() if told["oldest"] else 0.0
        yield GaugeMetricFamily(
            "ner_webhook_oldest_waiting_seconds", "How long ago the oldest of them happened.", age
        )
        dead = Delivery.objects.filter(status=Delivery.Status.DEAD, ended_at__gt=timezone.now() - DAY)
        yield GaugeMetricFamily(
            "ner_webhook_deliveries_given_up", "Events that were given up in the last day.", dead.count()
        )
