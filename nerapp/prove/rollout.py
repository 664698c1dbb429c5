"""`python -m nerapp.prove.rollout`: exit code 0 when better models come to traffic and worse ones do not.

A champion serves live callers. An honestly better version comes to all of them by itself; so does one during
whose rollout web, worker and beat are killed in each phase; worse versions are refused by the gate and, with
the gate passed by, rolled back; one is rolled back by hand.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import django
import psutil

from ner.bundle import Bundle, open_bundle, rewrite_bundle
from ner.formats import read_examples
from nerapp import env
from nerapp.prove.corpus import world_read
from nerapp.prove.product import Client, Product, ProofFailed, running_product
from nerapp.prove.setting import prepare, review, say
from nerapp.prove.spoiled import SPOILED
from nerapp.prove.traffic import Traffic

if TYPE_CHECKING:
    from inference.models import Deployment, ModelVersion
    from retraining.models import Rollout, TrainingSet

_TEXTS = env.PROJECT / "corpora" / "general.jsonl"
#: Texts reviewed for the gate's exam, all drawn at random: half of them are its test set.
_REVIEWED = 160
_ROLLOUT_SECONDS = 420
#: Steps of seconds and tens of answers, where a project has hours and hundreds.
_PLAN: dict[str, Any] = {"min_seconds": 5, "min_samples": 40, "watch_seconds": 10, "shadow_percent": 100.0}
_FROM_THE_SHADOW = [0.0, 5.0, 10.0, 25.0, 50.0, 100.0]
#: For versions that the shadow would stop: they must be taken from callers.
_AT_ONCE = [10.0, 50.0, 100.0]
#: A version that was taken back for so long has answered nobody is gone.
_SILENCE_SECONDS = 6.0


@dataclass
class Found:
    """What was seen, over all rollouts."""

    refused_by_gate: list[str] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    detect_seconds: dict[str, float] = field(default_factory=dict)
    rollback_seconds: dict[str, float] = field(default_factory=dict)
    manual_rollback_seconds: float = 0.0
    share_errors: list[float] = field(default_factory=list)
    requests: int = 0
    failed_requests: int = 0
    broken_connections: int = 0

    def to_json(self) -> dict[str, Any]:
        """The last line of the output."""
        return {
            "failed_requests": self.failed_requests,
            "detect_seconds_max": max(self.detect_seconds.values(), default=None),
            "rollback_seconds_max": max(self.rollback_seconds.values(), default=None),
            "manual_rollback_seconds": self.manual_rollback_seconds,
            "share_error": round(max(self.share_errors, default=0.0), 2),
            "requests": self.requests,
            "broken_connections": self.broken_connections,
            "refused_by_gate": self.refused_by_gate,
            "outcomes": self.outcomes,
            "seconds": self.seconds,
            "detect_seconds": self.detect_seconds,
        }

    def is_as_it_should_be(self) -> bool:
        """Nothing failed, better ones came to all, worse ones did not, and in time."""
        done = {"honest", "honest, with kills"}
        return (
            self.failed_requests == 0
            and set(self.refused_by_gate) == set(SPOILED)
            and all(
                outcome == ("done" if name in done else "rolled_back")
                for name, outcome in self.outcomes.items()
            )
            and max(self.detect_seconds.values()) <= 60
            and max([*self.rollback_seconds.values(), self.manual_rollback_seconds]) <= 5
        )


class Proof:
    """One nerapp, its project, its traffic, and what is tried there."""

    def __init__(self, product: Product, found: Found) -> None:
        from audit.services import SYSTEM
        from corpus.services import project_change
        from retraining.services import policy_change, rollout_policy_change

        world = world_read(_TEXTS, "auto")
        self.world = replace(world, review=world.review[:_REVIEWED])
        self.product, self.found, self.actor = product, found, SYSTEM
        self.project, self.secret, path = prepare(self.world, champion="baseline")
        # All texts may judge a model, and none is trained on here.
        project_change(project=self.project, actor=self.actor, random_share=1.0, diverse_share=0.0)
        policy_change(project=self.project, actor=self.actor, enabled=False, must_be_better=True)
        rollout_policy_change(project=self.project, actor=self.actor, **_PLAN)
        self.person = Client(product.port)
        self.person.sign_in(path)

    def run(self) -> None:
        """All of it, one after the other, under traffic that never stops."""
        training_set = self._exam()
        texts = [example.text for example in read_examples(_TEXTS)]
        flagship = self._bundled("flagship")
        with Traffic(self.product.port, self.secret, texts) as self.traffic:
            if not self._gate("honest", flagship, training_set):
                raise ProofFailed("the gate refused an honestly better version")
            self._comes_to_all("honest", flagship)
            self._comes_to_all("honest, with kills", self._like(flagship, "killed"), kill=True)
            self._is_taken_back_by_hand(self._like(flagship, "by hand"))
            for name, spoil in SPOILED.items():
                version = self._made(name, partial(spoil, self._bundle(flagship)))
                if not self._gate(name, version, training_set):
                    self.found.refused_by_gate.append(name)
                self._is_taken_back(name, version)
        self.found.requests = len(self.traffic.told)
        self.found.failed_requests = len(self.traffic.failed())
        self.found.broken_connections = sum(one.broken for one in self.traffic.told)

    # --- what comes to traffic -------------------------------------------------------------------

    def _exam(self) -> TrainingSet:
        from retraining.services import training_set_freeze

        review(self.world, self.person)
        return training_set_freeze(project=self.project)

    def _bundled(self, name: str) -> ModelVersion:
        from inference.models import ModelVersion

        return ModelVersion.objects.filter(name=name, project=None).order_by("-number")[0]

    def _bundle(self, version: ModelVersion) -> Bundle:
        from inference.engine import bundle_path

        return open_bundle(cast(Path, bundle_path(version)))

    def _like(self, version: ModelVersion, what: str) -> ModelVersion:
        """Another version that answers just the same."""
        bundle = self._bundle(version)
        card = f"{bundle.card}\n{what}\n".encode()
        return self._made(what, lambda folder: rewrite_bundle(bundle, folder, {"card.md": card}))

    def _made(self, what: str, write: Callable[[Path], str]) -> ModelVersion:
        from inference.services import version_register

        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "bundle")
            version = version_register(
                path=Path(folder) / "bundle", name=self.project.slug, project=self.project, actor=self.actor
            )
        say(f"{version}: {what}")
        return version

    def _gate(self, name: str, version: ModelVersion, training_set: TrainingSet) -> bool:
        from inference.selectors import deployment_of
        from retraining.selectors import policy_of
        from retraining.services.exams import candidate_judge

        champion = cast("Deployment", deployment_of(self.project))
        decision = candidate_judge(
            candidate=version,
            champion=champion.version,
            training_set=training_set,
            policy=policy_of(project=self.project),
        )
        say(f"gate, {name}: {'passed' if decision.passed else 'refused'}")
        for reason in decision.reasons:
            if not reason.passed:
                say(f"  {reason.message}")
        return decision.passed

    # --- what becomes of it ----------------------------------------------------------------------

    def _comes_to_all(self, name: str, version: ModelVersion, *, kill: bool = False) -> None:
        """From the shadow to all callers; with `kill` in each phase somebody dies."""
        rollout = self._started(name, version, _FROM_THE_SHADOW)
        killed: set[float] = set()
        for seen in self._watched(rollout):
            if kill and seen.share not in killed and seen.is_unfinished:
                killed.add(seen.share)
                self._kill_all()
        self._ended(name, rollout)
        self._shares_compare(rollout)

    def _is_taken_back(self, name: str, version: ModelVersion) -> None:
        rollout = self._started(name, version, _AT_ONCE)
        for _ in self._watched(rollout):
            pass
        self._ended(name, rollout)
        if rollout.status == "rolled_back":
            back = rollout.events.get(kind="roll_back").at.timestamp()
            self.found.detect_seconds[name] = round(back - rollout.started_at.timestamp(), 1)
            self.found.rollback_seconds[name] = self._seconds_until_silent(str(version), back)

    def _is_taken_back_by_hand(self, version: ModelVersion) -> None:
        from retraining.services import rollout_roll_back

        rollout = self._started("by hand", version, _AT_ONCE)
        while not any(one.version == str(version) for one in self.traffic.told[-400:]):
            time.sleep(0.1)
        began = time.time()
        rollout_roll_back(rollout=rollout, actor=self.actor, reason="taken back by hand")
        self.found.manual_rollback_seconds = self._seconds_until_silent(str(version), began)
        rollout.refresh_from_db()
        self._ended("by hand", rollout)

    def _started(self, name: str, version: ModelVersion, steps: list[float]) -> Rollout:
        from retraining.services import rollout_policy_change, rollout_start

        rollout_policy_change(project=self.project, actor=self.actor, steps=steps)
        # Made here and not trained by a run, it has no verdict of a gate that could stand in the way.
        rollout = rollout_start(project=self.project, version=version, actor=self.actor, reason=name)
        say(f"rollout of {version}: {name}")
        return rollout

    def _watched(self, rollout: Rollout) -> Iterator[Rollout]:
        """Look at it again and again until it is over."""
        deadline, said = time.monotonic() + _ROLLOUT_SECONDS, 0
        while True:
            rollout.refresh_from_db()
            for event in rollout.events.filter(pk__gt=said).order_by("pk"):
                said = event.pk
                say(f"  {event.share:g} %  {event.get_kind_display()}: {event.reason}")
            yield rollout
            if not rollout.is_unfinished:
                return
            if time.monotonic() > deadline:
                raise ProofFailed(f"{rollout} was not over within {_ROLLOUT_SECONDS} s: {rollout.waits_for}")
            time.sleep(0.25)

    def _ended(self, name: str, rollout: Rollout) -> None:
        self.found.outcomes[name] = rollout.status
        took = cast(datetime, rollout.ended_at) - rollout.started_at
        self.found.seconds[name] = round(took.total_seconds(), 1)

    def _seconds_until_silent(self, version: str, since: float) -> float:
        """How long after a moment callers were still answered by a version."""
        time.sleep(_SILENCE_SECONDS)
        late = [one.at for one in self.traffic.since(since) if one.version == version]
        return round(max(late, default=since) - since, 1)

    def _shares_compare(self, rollout: Rollout) -> None:
        """How far the share of the answers was from the share that was set, in points, at each step."""
        events = [event for event in rollout.events.order_by("pk") if event.kind in ("advance", "finish")]
        for event, following in pairwise(events):
            # Every process follows within a second or two.
            since, until = event.at.timestamp() + 2.0, following.at.timestamp()
            told = [one for one in self.traffic.since(since) if one.at < until and one.status == 200]
            if not told:
                continue
            share = 100 * sum(one.version == str(rollout.version) for one in told) / len(told)
            chance = 1.96 * (event.share * (100 - event.share) / len(told)) ** 0.5
            say(f"  set {event.share:g} %, seen {share:.1f} % of {len(told)} answers (chance: {chance:.1f})")
            self.found.share_errors.append(abs(share - event.share))

    def _kill_all(self) -> None:
        """One web process, the workers that look after rollouts and shadows, and beat: SIGKILL to each."""
        [web] = [one for one in self.product.processes("nerapp.run.web") if one.children()]
        victims = [web.children()[0]]
        for role in ("control@", "predict@", "celery --app nerapp --quiet beat"):
            victims += self.product.processes(role)
        for victim in victims:
            with contextlib.suppress(psutil.NoSuchProcess):
                victim.kill()
        say(f"  killed {len(victims)} processes")


def main() -> int:
    found = Found()
    try:
        say("starting nerapp in an empty folder")
        with running_product(web_processes=2) as product:
            django.setup()
            Proof(product, found).run()
    except ProofFailed as failure:
        say(f"not proven: {failure}")
        print(json.dumps(found.to_json()), flush=True)
        return 1
    print(json.dumps(found.to_json()), flush=True)
    return 0 if found.is_as_it_should_be() else 1


if __name__ == "__main__":
    sys.exit(main())
