"""Logs: one line an event, with the request id; for people or as JSON. Texts never go into a log."""

from __future__ import annotations

import logging.config
from typing import Literal

import structlog

#: What these say more often than this would hide everything else.
QUIETER = {
    "django.request": "ERROR",  # each request has its line in gunicorn's access log
    "celery.beat": "WARNING",
    "celery.worker.strategy": "WARNING",
    "celery.app.trace": "WARNING",
    "axes": "WARNING",
    "alembic": "WARNING",
    "mlflow": "WARNING",
}


def logging_config(*, level: str, style: Literal["console", "json"]) -> None:
    """Send structlog's and the standard library's events through one formatter to standard error."""
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[structlog.types.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if style == "json"
        # The supervisor colours by process and prints the time; a second set of colours would only disturb.
        else [
            structlog.dev.ConsoleRenderer(
                colors=False,
                pad_event_to=0,
                timestamp_key="timestamp",
                # The default prints every local variable, and with them the texts of users.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "structured": {
                    "()": structlog.stdlib.ProcessorFormatter,
                    "foreign_pre_chain": shared,
                    "processors": [
                        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                        *final,
                    ],
                }
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
            "root": {"handlers": ["stderr"], "level": level},
            "loggers": {name: {"level": level} for name, level in QUIETER.items()},
        }
    )
