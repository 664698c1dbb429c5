"""What waits in the stream of predictions, for Prometheus: one process can ask for all."""

from __future__ import annotations

from collections.abc import Iterator

import redis
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from inference.stream import stream


class Streamed(Collector):
    """One trip to Redis; nothing where it cannot be asked, or where answers do not go through the stream."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Called at each scrape."""
        if not stream.is_chosen:
            return
        try:
            waiting = stream.waiting()
        except redis.RedisError:
            return
        yield GaugeMetricFamily(
            "ner_stream_rows_waiting", "Predictions that are answered and no rows yet.", waiting.rows
        )
        yield GaugeMetricFamily("ner_stream_bytes_waiting", "Bytes of their rows.", waiting.bytes)
        yield GaugeMetricFamily(
            "ner_stream_oldest_seconds", "How long the oldest of them has waited.", waiting.oldest_seconds
        )
