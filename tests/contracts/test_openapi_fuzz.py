"""schemathesis finds no fault: no 5xx, no undocumented status, no answer that differs from the document."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from inference.models import ApiKey, ModelVersion, PredictionJob
from tests.inference.conftest import _fresh_process, champion, key

__all__ = ["_fresh_process", "champion", "key"]

#: `FUZZ_EXAMPLES=2000 pytest tests/contracts` looks longer.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))


@pytest.fixture(autouse=True)
def _one_connection() -> Iterator[None]:
    """What a test wrote is seen over its own connection only: no request may close it."""
    ends = (request_started, request_finished)
    for signal in ends:
        signal.disconnect(close_old_connections)
    yield
    for signal in ends:
        signal.connect(close_old_connections)


document = schemathesis.openapi.from_wsgi(
    "/api/v1/schema",
    get_wsgi_application(),
    # What is too long or too much is refused with 413, not 400.
    config=schemathesis.Config.from_dict(
        {"checks": {"negative_data_rejection": {"expected-statuses": [400, 401, 403, 404, 413, 415]}}}
    ),
)


@document.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@pytest.mark.django_db
def test_every_answer_is_as_documented(
    case: schemathesis.Case, champion: ModelVersion, key: tuple[ApiKey, str]
) -> None:
    # What the cases before have used up is no answer to this one.
    ApiKey.objects.update(rate_per_hour=10_000_000)
    PredictionJob.objects.update(status=PredictionJob.Status.CANCELLED)
    case.headers["Authorization"] = f"Bearer {key[1]}"
    response = case.call()
    case.validate_response(
        response,
        checks=[
            schemathesis.checks.not_a_server_error,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
            response_headers_conformance,
            negative_data_rejection,
        ],
    )
