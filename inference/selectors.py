"""Reading versions, slots and predictions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from corpus.errors import NotFound
from corpus.models import Project
from inference.errors import PredictionNotYet, UnknownModel
from inference.models import Deployment, Evaluation, ModelVersion, Prediction, PredictionJob, ShadowTest
from inference.shares import shares_of
from inference.stream import stream

Slot = Deployment.Slot

#: What the router may choose among, in the order in which one stands in for another.
CHOSEN_AMONG = (Slot.CHAMPION, Slot.SPEED, Slot.BACKUP)


def deployment_of(project: Project, slot: str = Slot.CHAMPION) -> Deployment | None:
    """What a slot of a project points at, with both versions."""
    return Deployment.objects.filter(project=project, slot=slot).select_related("version", "previous").first()


def champion_of(project: Project) -> ModelVersion:
    """The version that answers a project's callers."""
    deployment = deployment_of(project)
    if deployment is None:
        raise UnknownModel(model=str(Slot.CHAMPION))
    return deployment.version


def versions_visible(project: Project) -> QuerySet[ModelVersion]:
    """The versions a project may use: its own and the bundled ones. Names of models elsewhere are none."""
    found = ModelVersion.objects.filter(Q(project=project) | Q(project=None))
    return found.exclude(origin=ModelVersion.Origin.EXTERNAL)


def versions_usual(project: Project) -> list[ModelVersion]:
    """What is worth comparing: what the project's slots serve, and the newest bundled one of each family."""
    served = ModelVersion.objects.filter(deployments__project=project).distinct()
    families = ModelVersion.objects.filter(project=None, origin=ModelVersion.Origin.BUNDLED)
    newest = families.order_by("family", "-number").distinct("family")
    return [*served, *newest]


def bundled_versions() -> QuerySet[ModelVersion]:
    """The versions that any project may begin with; the best by their own figures first."""
    found = ModelVersion.objects.filter(project=None, origin=ModelVersion.Origin.BUNDLED)
    return found.order_by(F("metrics__test__micro__f1").desc(nulls_last=True), "name", "-number")


def version_named(project: Project, reference: str) -> ModelVersion:
    """A version of a project by `name@number`."""
    name, _, number = reference.rpartition("@")
    # More digits than a column can hold would be an error of the database, not an unknown model.
    if not name or not (number.isascii() and number.isdecimal()) or len(number) > 9:
        raise UnknownModel(pointer="/model", model=reference)
    version = versions_visible(project).filter(name=name, number=int(number)).first()
    if version is None:
        raise UnknownModel(pointer="/model", model=reference)
    return version


def version_of_family(project: Project, family: str) -> tuple[ModelVersion, str]:
    """The version of a family that a project's slots use, else the newest bundled one; and its slot.

    A candidate on the shelf is not served by its family's name: only promotion brings it to callers.
    """
    deployed = (
        Deployment.objects.filter(project=project, version__family=family)
        .exclude(slot=Slot.SHADOW)
        .select_related("version")
        .order_by("-changed_at")
        .first()
    )
    if deployed is not None:
        return deployed.version, deployed.slot
    bundled = ModelVersion.objects.filter(project=None, family=family).order_by("-number").first()
    if bundled is None:
        raise UnknownModel(pointer="/model", model=family)
    return bundled, ""


def version_f1(version: ModelVersion) -> float | None:
    """The measured entity F1 of a version: its newest exam on a test set, else its bundle's own."""
    return exams_newest([version])[version.pk]


def exams_newest(versions: Sequence[ModelVersion]) -> dict[int, float | None]:
    """`version_f1` of many versions by one query; None where nothing was measured."""
    newest = dict(_exams(versions).values_list("version_id", "f1"))
    found: dict[int, float | None] = {}
    for version in versions:
        f1 = newest.get(version.pk, version.metrics.get("test", {}).get("micro", {}).get("f1"))
        found[version.pk] = None if f1 is None else round(float(f1), 4)
    return found


@dataclass(frozen=True, slots=True)
class Measured:
    """What a version was found to be worth, and on which texts."""

    scores: Mapping[str, Mapping[str, float]]
    """By label: precision, recall, f1, support; `all` is the micro average."""

    on: str
    """The same for two versions that read the same texts; empty where nothing was measured."""


def measured_newest(versions: Sequence[ModelVersion]) -> dict[int, Measured]:
    """The scores behind `exams_newest`, by label."""
    rows = _exams(versions).values_list("version_id", "set_fingerprint", "report__micro", "report__labels")
    sat = {
        version: (f"exam {fingerprint[:12]}", micro, labels) for version, fingerprint, micro, labels in rows
    }
    found: dict[int, Measured] = {}
    for version in versions:
        test = version.metrics.get("test", {})
        own = ("the test split of its training data", test.get("micro"), test.get("labels"))
        on, micro, labels = sat.get(version.pk, own)
        found[version.pk] = Measured({"all": micro, **(labels or {})}, on) if micro else Measured({}, "")
    return found


def _exams(versions: Sequence[ModelVersion]) -> QuerySet[Evaluation]:
    """The newest exam of each version on a test set."""
    exams = Evaluation.objects.filter(version__in=versions, kind=Evaluation.Kind.TEST)
    return exams.order_by("version_id", "-created_at").distinct("version_id")


def exams_shared(
    *, project: Project, first: ModelVersion, second: ModelVersion
) -> tuple[Evaluation, Evaluation] | None:
    """The newest exam that both versions sat and told how unsure they were, without its report.

    On the project's own texts where there is one, else on the general ones.
    """
    theirs = Q(kind=Evaluation.Kind.TEST, project=project) | Q(kind=Evaluation.Kind.GENERAL)
    told = Evaluation.objects.filter(theirs, report__has_key="uncertainties").defer("report")
    both = told.filter(
        version=second, set_fingerprint__in=told.filter(version=first).values("set_fingerprint")
    )
    newest = both.filter(kind=Evaluation.Kind.TEST).first() or both.first()
    if newest is None:
        return None
    return told.get(version=first, set_fingerprint=newest.set_fingerprint), newest


def shares_in(project: Project) -> dict[str, float]:
    """Which percentage of a project's callers each slot answers; slots that answer none are left out."""
    return shares_of(dict(Deployment.objects.filter(project=project).values_list("slot", "share")))


def callers_are_shared(project: Project) -> bool:
    """Do several versions answer a project's callers? Then who reviews must not see which one did."""
    return len(shares_in(project)) > 1


def shadow_test_of(project: Project) -> ShadowTest | None:
    """The running test of the version in a project's shadow slot, once it has begun to read."""
    running = ShadowTest.objects.filter(
        project=project,
        ended_at=None,
        shadow__deployments__project=project,
        shadow__deployments__slot=Slot.SHADOW,
    )
    return running.select_related("project", "champion", "shadow").first()


def slots_of(project: Project) -> dict[int, list[str]]:
    """The slots of a project by the version they point at."""
    found: dict[int, list[str]] = defaultdict(list)
    for version_id, slot in Deployment.objects.filter(project=project).values_list("version_id", "slot"):
        found[version_id].append(slot)
    return found


def prediction_get(*, project: Project, prediction_id: UUID) -> Prediction:
    """A prediction of the project, NotFound, or PredictionNotYet for one that waits in the stream."""
    asked = Prediction.objects.filter(project=project, pk=prediction_id)
    asked = asked.select_related("document", "version", "project")
    prediction = asked.first()
    if prediction is None and stream.is_chosen:
        if stream.is_waiting(project_id=project.pk, prediction_id=prediction_id):
            raise PredictionNotYet()
        prediction = asked.first()  # it became a row between the two looks
    if prediction is None:
        raise NotFound()
    return prediction


def job_get(*, project: Project, job_id: UUID) -> PredictionJob:
    """A bulk prediction of the project, or NotFound."""
    job = _jobs(project).filter(pk=job_id).first()
    if job is None:
        raise NotFound()
    return job


def jobs_page(*, project: Project, before: UUID | None, limit: int) -> list[PredictionJob]:
    """The bulk predictions of a project, newest first: those that were started before a given one."""
    found = _jobs(project).order_by("-created_at", "-id")
    if before is not None:
        at = job_get(project=project, job_id=before)
        found = found.filter(Q(created_at__lt=at.created_at) | Q(created_at=at.created_at, pk__lt=at.pk))
    return list(found[:limit])


def oldest_job_seconds() -> float | None:
    """How long the bulk prediction has waited that waits longest for its first worker."""
    queued = PredictionJob.objects.filter(status=PredictionJob.Status.QUEUED).order_by("created_at").first()
    return round((timezone.now() - queued.created_at).total_seconds(), 1) if queued else None


def _jobs(project: Project) -> QuerySet[PredictionJob]:
    return PredictionJob.objects.filter(project=project).select_related("project", "api_key", "version")


@dataclass(frozen=True, slots=True)
class LabelRules:
    """What a project's labels ask of every answer."""

    thresholds: Mapping[str, float]
    """How sure a model must be before callers are told; labels without a bar are left out."""

    personal: frozenset[str]
    """Labels of personal data."""


def label_rules(project: Project) -> LabelRules:
    """What the current label set asks of answers."""
    label_set = project.label_sets.order_by("-revision").first()
    labels = list(label_set.labels.all()) if label_set is not None else []
    return LabelRules(
        thresholds={label.name: label.confidence_threshold for label in labels if label.confidence_threshold},
        personal=frozenset(label.name for label in labels if label.is_pii),
    )
