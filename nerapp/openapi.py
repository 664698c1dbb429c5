"""The OpenAPI 3.1 document: made from the bodies that the views really read and answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.plumbing import ResolvedComponent
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from nerapp.api import PROBLEM
from nerapp.api_words import SUMMARIES

_REFERENCE = "#/components/schemas/{name}"


class Mistake(msgspec.Struct, kw_only=True):
    """One thing that was wrong with what was sent."""

    pointer: str
    code: str
    detail: str


class Problem(msgspec.Struct, kw_only=True):
    """Why a request was refused, as RFC 9457 has it. `code` is stable; `detail` is for people."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    request_id: str
    errors: list[Mistake]


class StructExtension(OpenApiSerializerExtension):
    """Lets a msgspec Struct stand wherever drf-spectacular expects a serializer."""

    target_class = "msgspec.Struct"
    match_subclasses = True

    def get_name(self, auto_schema: Any = None, direction: Any = None) -> str:
        return str(self.target.__name__)

    def get_identity(self, auto_schema: Any, direction: Any) -> str:
        # The name also stands for those that were met first inside another one.
        return str(self.target.__name__)

    def map_serializer(self, auto_schema: Any, direction: Any) -> dict[str, Any]:
        _, components = msgspec.json.schema_components([self.target], ref_template=_REFERENCE)
        own = components.pop(self.target.__name__)
        for name, schema in components.items():
            component = ResolvedComponent(name, ResolvedComponent.SCHEMA, schema=schema, object=name)
            auto_schema.registry.register_on_missing(component)
        return _untitled(own)


class KeyScheme(OpenApiAuthenticationExtension):
    """How a caller shows its key."""

    target_class = "inference.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "ner_live_...",
            "description": "An API key: `Authorization: Bearer ner_live_...`. Make one in the back office or "
            "with `manage.py apikey_create`. Or a token that `POST token` gave in exchange for one.",
        }


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the class name that msgspec repeats as title."""
    return {key: value for key, value in schema.items() if key != "title"}


#: What each kind of operation may be refused with, besides what its view lists.
_KEY = {"401": "No valid key.", "403": "The key lacks a scope."}
_WRITE = {
    "400": "The body is wrong.",
    "411": "Content-Length is missing.",
    "413": "The body, a text or a list is too large.",
    "415": "The body is not plain JSON in UTF-8.",
    "429": "Over the key's rate limit; see Retry-After.",
}
_ALWAYS = {
    "400": "A query parameter is wrong.",
    "500": "A fault of ours.",
    "503": "Cannot be answered now; see Retry-After.",
}
#: Answer without a key too, with less.
_OPEN = {"health", "metrics"}
_OWN = {
    "predict": {"404": "Unknown model."},
    "predict_batch": {"404": "Unknown model."},
    "predict_route": {
        "404": "Unknown model.",
        "409": "No version meets what was asked for, and none may stand in.",
    },
    "job_start": {
        "404": "Unknown model.",
        "413": "The file is larger than this server takes; refused before it is read.",
        "415": "The body is no file, or the file no UTF-8.",
        "422": "The idempotency key was used with another file or other options.",
        "429": "Over the key's rate limit, or too many unfinished jobs; see Retry-After.",
    },
    "job_list": {"404": "No such job to go on from."},
    "job_read": {"404": "No such job."},
    "job_cancel": {"404": "No such job.", "409": "It has ended already."},
    "job_result": {
        "404": "No such job.",
        "409": "It is not done.",
        "410": "The result was removed after its time.",
    },
    "models_read": {"404": "Nothing here."},
    "experiment_create": {"404": "One of the versions is not there."},
    "experiment_estimate": {"404": "One of the versions is not there."},
    "experiment_read": {"404": "No such experiment."},
    "experiment_start": {
        "404": "No such experiment.",
        "409": "It was started before, or something else moves the project's callers.",
    },
    "experiment_stop": {"404": "No such experiment.", "409": "It is not running."},
    "experiment_conclude": {
        "404": "No such experiment or version.",
        "409": "It was not started, or the champion has changed since.",
    },
    "models_comparison": {"404": "One of the versions is not there."},
    "quality_read": {"404": "Unknown model."},
    "drift_read": {"404": "No such report."},
    "lineage_read": {"404": "Unknown model."},
    "why_serving": {"404": "No model serves the project."},
    "rollout_start": {
        "404": "Unknown model.",
        "409": "Callers are being moved already, the gate refused it, or it is the champion.",
    },
    "rollout_read": {"404": "No such rollout."},
    "rollout_approve": {"404": "No such rollout.", "409": "It does not wait for approval."},
    "rollout_pause": {"404": "No such rollout.", "409": "It is over."},
    "rollout_resume": {"404": "No such rollout.", "409": "It is over."},
    "rollout_roll_back": {"404": "No such rollout.", "409": "It is over."},
    "metrics": {"404": "Nothing here for callers who are no operators."},
    "import_start": {
        "409": "The same file is being imported at this moment.",
        "413": "The file is larger than this server takes; refused before it is read.",
        "415": "The body is no file, or the file no text.",
    },
    "import_read": {"404": "No such import."},
    "import_cancel": {"404": "No such import.", "409": "It has ended already."},
    "export_read": {"404": "No such export."},
    "export_cancel": {"404": "No such export.", "409": "It has ended already."},
    "export_file": {
        "404": "No such export.",
        "409": "It is not written yet.",
        "410": "The file was removed after its time.",
    },
    "feedback": {
        "404": "No such prediction.",
        "409": "A label was retired meanwhile.",
        "410": "The document was erased.",
        "412": "The document was corrected meanwhile; both versions are in the answer.",
        "422": "The idempotency key was used with other content.",
        "428": "The document has corrections: If-Match is needed.",
    },
}


def problems_add(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """drf-spectacular's postprocessing hook: every operation lists the problems it may answer with."""
    _, components = msgspec.json.schema_components([Problem], ref_template=_REFERENCE)
    schemas = result["components"].setdefault("schemas", {})
    schemas.update({name: _untitled(schema) for name, schema in components.items()})
    for path in result["paths"].values():
        for method, operation in path.items():
            _operation_finish(method, operation)
    result["components"]["schemas"] = dict(sorted(schemas.items()))
    return result


def _operation_finish(method: str, operation: dict[str, Any]) -> None:
    operation["summary"] = SUMMARIES[operation["operationId"]]
    # The first to name a status describes it.
    kinds: list[Mapping[str, str]] = [_OWN.get(operation["operationId"], {})]
    if method == "post":
        kinds.append(_WRITE)
    if operation.get("security"):
        kinds.append(_KEY)
    if operation["operationId"] in _OPEN:
        operation["security"].append({})
    for kind in (*kinds, _ALWAYS):
        for status, description in kind.items():
            operation["responses"].setdefault(status, _problem(description))
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {PROBLEM: {"schema": {"$ref": _REFERENCE.format(name="Problem")}}},
    }


@lru_cache(maxsize=1)
def schema() -> dict[str, Any]:
    """The document; it cannot change while the process runs."""
    document: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return document


class SchemaView(APIView):
    """This document."""

    authentication_classes = ()
    schema = None

    def get(self, request: Request) -> Response:
        return Response(schema())


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """The document as pages, with everything they need from this server."""
    return render(request, "api_docs.html")
