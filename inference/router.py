"""Which version answers a request. Decisions from measured speed and quality come with the routing step."""

from __future__ import annotations

from dataclasses import dataclass

from corpus.models import Project
from inference.engine import Serving, engine
from inference.errors import MissingScope
from inference.models import ApiKey, Deployment
from inference.selectors import version_named, version_of_family

AUTO = "auto"
_SLOTS = frozenset(Deployment.Slot.values)


@dataclass(frozen=True, slots=True)
class Choice:
    """The version that answers, and why it does."""

    serving: Serving
    reason: str


def choose(*, project: Project, model: str, scopes: frozenset[str]) -> Choice:
    """The version for what a caller asked: `auto`, a slot, a family, or `name@number`.

    Slots and single versions need the scope `route`: they reach what the project has not promoted.
    """
    if model == AUTO:
        serving = engine.serving(project_id=project.pk, slot=Deployment.Slot.CHAMPION)
        return Choice(serving, "the project's champion")
    if model in _SLOTS:
        _route_require(scopes)
        return Choice(engine.serving(project_id=project.pk, slot=model), f"the slot {model} was asked for")
    if "@" in model:
        _route_require(scopes)
        version = version_named(project, model)
        return Choice(engine.serving_version(version), "this version was asked for")
    version, slot = version_of_family(project, model)
    return Choice(engine.serving_version(version, slot=slot), f"the family {version.family} was asked for")


def _route_require(scopes: frozenset[str]) -> None:
    if ApiKey.Scope.ROUTE not in scopes:
        raise MissingScope(pointer="/model", scope=str(ApiKey.Scope.ROUTE))
