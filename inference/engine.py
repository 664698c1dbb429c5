"""One engine per process: the recognisers in memory, and which of them serves which slot.

A recogniser is loaded once per bundle, whoever asks for it, and only if the bundle is byte for byte
the one that the database names. A web process keeps a table of what its slots serve and follows the
database by `refresh()` off the request path: the new version is loaded and has answered once before
the table changes, and while it cannot be loaded the old one goes on serving. Other processes keep no
table and ask the database each time.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from django.conf import settings

from corpus.models import Project
from inference import metrics
from inference.circuit import circuits
from inference.errors import ModelLoading, ModelUnsound, ModelUnusable, UnknownModel, VersionExternal
from inference.latency import latencies
from inference.models import Deployment, Division, ModelVersion
from inference.selectors import version_f1, version_named, version_of_family
from ner.errors import BundleNotFinite, BundleRefused
from ner.runtime import Recogniser, Recognition, load_recogniser

log = structlog.get_logger(__name__)

_WARM_UP = "Ada Lovelace moved to London in 1835."
#: Recognisers kept although no slot serves them: named versions, champions of a moment ago.
_SPARE = 4
_LOAD_WAIT_SECONDS = 5.0
_RETRY_REFUSED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Serving:
    """A version ready to answer, as one slot's choice or as the caller's own."""

    version: ModelVersion
    recogniser: Recogniser
    slot: str
    generation: int
    f1: float | None
    language: str
    share: float | None = None
    """Percent of the callers that was set for the slot; see `inference.shares`."""

    def recognise(self, texts: Sequence[str]) -> list[Recognition]:
        """Answers in order, or ModelUnsound: a span outside its text, a number that is none, or an error."""
        started = time.perf_counter()
        try:
            found = self.recogniser.predict_many(texts)
        except Exception:  # whatever a runtime raises: callers get another version's answer
            log.exception("not recognised", version=str(self.version))
            found = []
        if len(found) != len(texts) or not all(map(is_sound, texts, found)):
            metrics.OUTPUT_REFUSED.inc()
            circuits.failed(self.version.sha256)
            log.error("answer withheld", version=str(self.version))
            raise ModelUnsound(model=str(self.version))
        circuits.succeeded(self.version.sha256)
        if len(texts) == 1:  # of a batch nobody knows which text took how long
            _timed(self.version.sha256, texts[0], started)
        return found


@dataclass(frozen=True, slots=True)
class Refusal:
    """A deployment that could not be followed, and what serves in its place."""

    project_id: int
    slot: str
    version_id: int
    generation: int
    reason: str
    serving: str
    at: float = field(default_factory=time.monotonic)


def bundle_path(version: ModelVersion) -> Path | None:
    """Where the bundle of a version lies; None for a blank version, which has none.

    A bundled one is kept in the store too: an upgrade of nerapp may bring another model under its name.
    """
    if version.origin == ModelVersion.Origin.BLANK:
        return None
    stored = Path(settings.DATA_DIR) / "bundles" / version.sha256
    if version.origin == ModelVersion.Origin.BUNDLED and not stored.exists():
        return Path(settings.MODELS_DIR) / version.location
    return stored


class Engine:
    """See the module. Safe for many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loading: dict[str, threading.Lock] = {}
        self._recognisers: OrderedDict[str, Recogniser] = OrderedDict()
        #: By project, then slot. A project's slots are replaced as a whole: threads read them meanwhile.
        self._table: dict[int, dict[str, Serving]] = {}
        self._refusals: dict[tuple[int, str], Refusal] = {}
        #: What callers' own names for versions meant since the last look at the database.
        self._named: dict[tuple[int, str], Serving] = {}
        #: By project. Replaced as a whole, as the table's slots are.
        self._divisions: dict[int, Division] = {}
        self._refreshing = threading.Lock()
        self.follows = False
        self.refreshed_at: float | None = None
        self._refusals_told = 0.0

    def recogniser_for(self, version: ModelVersion) -> Recogniser:
        """The recogniser of a version, loaded and checked at most once in this process.

        Raises BundleRefused for a bundle that is not what the version's row says, ModelLoading when
        another thread has been loading it for too long, and VersionExternal for a name without a bundle.
        """
        # It has no hash, as the blank one has none: it would be answered for by an empty bundle's recogniser.
        if version.origin == ModelVersion.Origin.EXTERNAL:
            raise VersionExternal(pointer="/version", version=str(version))
        with self._lock:
            known = self._recognisers.get(version.sha256)
            if known is not None:
                self._recognisers.move_to_end(version.sha256)
                return known
            loading = self._loading.setdefault(version.sha256, threading.Lock())
        if not loading.acquire(timeout=_LOAD_WAIT_SECONDS):
            raise ModelLoading(model=str(version))
        try:
            with self._lock:
                known = self._recognisers.get(version.sha256)
            if known is None:
                known = self._load(version)
                with self._lock:
                    self._recognisers[version.sha256] = known
                    self._forget_spares()
            return known
        finally:
            loading.release()

    def serving(self, *, project_id: int, slot: str) -> Serving:
        """What answers for a slot of a project."""
        if self.follows:
            found = self._serves(project_id, slot)
            if found is None:
                # A project or slot younger than the last look at the database.
                self.refresh()
                found = self._serves(project_id, slot)
            if found is None:
                refusal = self._refusals.get((project_id, slot))
                if refusal is not None:
                    raise ModelUnusable(pointer="/model", model=slot, reason=refusal.reason)
                raise UnknownModel(pointer="/model", model=slot)
            return found
        deployment = (
            Deployment.objects.filter(project_id=project_id, slot=slot)
            .select_related("version", "previous")
            .first()
        )
        if deployment is None:
            raise UnknownModel(pointer="/model", model=slot)
        serving, refusal = self._follow(deployment, current=None)
        if serving is None:
            raise ModelUnusable(pointer="/model", model=slot, reason=refusal.reason if refusal else "unknown")
        return serving

    def slots(self, *, project_id: int) -> dict[str, Serving]:
        """What each filled slot of a project serves, the champion for one. Not to be changed."""
        if self.follows:
            self.serving(project_id=project_id, slot=Deployment.Slot.CHAMPION)
            return self._table[project_id]
        found: dict[str, Serving] = {}
        filled = Deployment.objects.filter(project_id=project_id)
        for deployment in filled.select_related("version", "previous"):
            serving, refusal = self._follow(deployment, current=None)
            if serving is not None:
                found[deployment.slot] = serving
            elif refusal is not None and deployment.slot == Deployment.Slot.CHAMPION:
                raise ModelUnusable(pointer="/model", model=deployment.slot, reason=refusal.reason)
        if Deployment.Slot.CHAMPION not in found:
            raise UnknownModel(pointer="/model", model=Deployment.Slot.CHAMPION)
        return found

    def division(self, *, project_id: int) -> Division:
        """By what a project's callers are dealt out to its slots."""
        if self.follows:
            return self._divisions.get(project_id) or Division(project_id=project_id)
        return Division.objects.filter(pk=project_id).first() or Division(project_id=project_id)

    def serving_version(self, version: ModelVersion, *, slot: str = "") -> Serving:
        """A version that the caller chose."""
        try:
            return self._serving(version, self.recogniser_for(version), slot=slot, generation=0)
        except BundleRefused as refused:
            raise ModelUnusable(pointer="/model", model=str(version), reason=refused.code) from refused

    def serving_named(self, *, project: Project, name: str) -> Serving:
        """The version that a caller named, by `name@number` or by its family.

        A process that follows the database asks it for a name once between two looks.
        """
        known = self._named.get((project.pk, name))
        if known is None:
            version, slot = (
                (version_named(project, name), "") if "@" in name else version_of_family(project, name)
            )
            known = self.serving_version(version, slot=slot)
            if self.follows:
                self._named[project.pk, name] = known
        return known

    def refresh(self) -> None:
        """Follow the database: load what was promoted, then let the table point to it."""
        with self._refreshing:
            self._named = {}
            rows = Deployment.objects.values_list("project_id", "slot", "generation", "version_id")
            current = {
                (project_id, slot): (generation, version) for project_id, slot, generation, version in rows
            }
            # After the slots: who already shares a new version is never dealt by the salt before.
            self._divisions = Division.objects.in_bulk()
            for project_id, slot in self.table().keys() - current.keys():
                kept = self._table[project_id]
                self._table[project_id] = {name: one for name, one in kept.items() if name != slot}
            moved = [key for key, state in current.items() if self._is_news(key, *state)]
            if moved:
                deployments = Deployment.objects.filter(
                    project_id__in={project_id for project_id, _ in moved}
                ).select_related("version", "previous")
                for deployment in deployments:
                    key = (deployment.project_id, deployment.slot)
                    if key in moved:
                        self._point(key, deployment)
            self.refreshed_at = time.monotonic()

    def forget(self) -> None:
        """Start anew: nothing is loaded, no slot is followed."""
        with self._refreshing, self._lock:
            self.follows, self.refreshed_at = False, None
            for kept in (
                self._loading,
                self._recognisers,
                self._table,
                self._refusals,
                self._named,
                self._divisions,
            ):
                kept.clear()

    def table(self) -> dict[tuple[int, str], Serving]:
        """What this process serves now, by project and slot."""
        return {
            (project_id, slot): serving
            for project_id, slots in self._table.copy().items()
            for slot, serving in slots.items()
        }

    def refusals(self) -> list[Refusal]:
        """Deployments that this process could not follow."""
        return list(self._refusals.values())

    def refusals_new(self) -> list[Refusal]:
        """Those of them that were refused since they were last asked for here."""
        refused = self.refusals()
        found = [one for one in refused if one.at > self._refusals_told]
        self._refusals_told = max((one.at for one in refused), default=self._refusals_told)
        return found

    def _serves(self, project_id: int, slot: str) -> Serving | None:
        return self._table.get(project_id, {}).get(slot)

    def _is_news(self, key: tuple[int, str], generation: int, version_id: int) -> bool:
        refusal = self._refusals.get(key)
        if refusal is not None and (refusal.generation, refusal.version_id) == (generation, version_id):
            # The file may have been repaired: look again, but not at every turn.
            return time.monotonic() - refusal.at > _RETRY_REFUSED_SECONDS
        known = self._serves(*key)
        return known is None or (known.generation, known.version.pk) != (generation, version_id)

    def _point(self, key: tuple[int, str], deployment: Deployment) -> None:
        project_id, slot = key
        serving, refusal = self._follow(deployment, current=self._serves(project_id, slot))
        if serving is not None:
            self._table[project_id] = self._table.get(project_id, {}) | {slot: serving}
        if refusal is not None:
            self._refusals[key] = refusal
        else:
            self._refusals.pop(key, None)
            log.info("model in service", slot=deployment.slot, version=str(deployment.version))

    def _follow(
        self, deployment: Deployment, *, current: Serving | None
    ) -> tuple[Serving | None, Refusal | None]:
        """What the slot serves from now on: its version, else what served before, else the one before."""
        reason = ""
        candidates = [deployment.version]
        if current is None and deployment.previous is not None:
            candidates.append(deployment.previous)
        serving = current
        for version in candidates:
            try:
                serving = self._serving(
                    version,
                    self.recogniser_for(version),
                    slot=deployment.slot,
                    generation=deployment.generation,
                    share=deployment.share,
                )
                break
            except BundleRefused as refused:
                reason = reason or refused.code
                log.error("bundle refused", version=str(version), reason=refused.code)
        if not reason:
            return serving, None
        return serving, Refusal(
            project_id=deployment.project_id,
            slot=deployment.slot,
            version_id=deployment.version_id,
            generation=deployment.generation,
            reason=reason,
            serving=str(serving.version) if serving else "",
        )

    def _serving(
        self,
        version: ModelVersion,
        recogniser: Recogniser,
        *,
        slot: str,
        generation: int,
        share: float | None = None,
    ) -> Serving:
        return Serving(
            version=version,
            recogniser=recogniser,
            slot=slot,
            generation=generation,
            f1=version_f1(version),
            language=recogniser.bundle.config.language if recogniser.bundle else "",
            share=share,
        )

    def _load(self, version: ModelVersion) -> Recogniser:
        path = bundle_path(version)
        try:
            recogniser = load_recogniser(path, expected_sha256=version.sha256 or None)
            if not is_sound(_WARM_UP, recogniser.predict(_WARM_UP)):
                raise BundleNotFinite(path=path, problem="its first answer")
            # Routing must not wait for callers to find out how fast it is.
            for text in (_WARM_UP, _WARM_UP * 30) * 3:
                started = time.perf_counter()
                recogniser.predict(text)
                _timed(version.sha256, text, started)
        except BundleRefused as refused:
            metrics.LOAD_REFUSED.labels(reason=refused.code).inc()
            raise
        return recogniser

    def _forget_spares(self) -> None:
        """Keep what the slots serve and the few used last. The caller holds the lock."""
        served = {serving.version.sha256 for serving in self.table().values()}
        spare = [sha256 for sha256 in self._recognisers if sha256 not in served]
        for sha256 in spare[: max(len(spare) - _SPARE, 0)]:
            del self._recognisers[sha256]
            self._loading.pop(sha256, None)
        metrics.LOADED.set(len(self._recognisers))


def _timed(version: str, text: str, started: float) -> None:
    latencies.record(version, characters=len(text), milliseconds=(time.perf_counter() - started) * 1000)


def is_sound(text: str, found: Recognition) -> bool:
    """Can this be an answer at all: spans inside the text, numbers that are some?"""
    numbers = [span.confidence for span in found.spans if span.confidence is not None]
    return (
        all(0 <= span.start < span.end <= len(text) for span in found.spans)
        and all(math.isfinite(number) and 0 <= number <= 1 for number in numbers)
        and math.isfinite(found.uncertainty)
    )


engine = Engine()


def recogniser_for(version: ModelVersion) -> Recogniser:
    """The recogniser of a version, from this process's engine."""
    return engine.recogniser_for(version)
