"""`python -m nerapp.prove.loop [--corpus FILE] [--format F]`: exit code 0 when the loop closed and paid."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import django

from ner.evaluate import EvalReport
from ner.formats import FORMATS, read_examples
from nerapp import env
from nerapp.prove.corpus import World, score, world_read
from nerapp.prove.product import Client, ProofFailed, running_product
from nerapp.prove.setting import prepare, review, say

if TYPE_CHECKING:
    from corpus.models import Project
    from retraining.models import TrainingRun

MAX_BASE_DROP = 0.01
_RUN_SECONDS = 1800
_SWITCH_SECONDS = 30


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m nerapp.prove.loop", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=env.PROJECT / "corpora" / "orchard.jsonl")
    parser.add_argument("--format", default="auto", choices=["auto", *FORMATS])
    options = parser.parse_args()
    world = world_read(options.corpus.absolute(), options.format)
    say(f"{world.name}: {len(world.review)} texts to review, {len(world.held_out)} held out")
    try:
        say("starting nerapp in an empty folder")
        with running_product() as product:
            result = turn(world, product.port)
    except ProofFailed as failure:
        say(f"the loop did not close: {failure}")
        return 1
    print(json.dumps(result), flush=True)
    better = result["f1_after"] > result["f1_before"]
    kept = result["base_f1_after"] >= result["base_f1_before"] - MAX_BASE_DROP
    return 0 if better and kept else 1


def turn(world: World, port: int) -> dict[str, Any]:
    """One turn of the loop."""
    django.setup()
    general = list(read_examples(env.PROJECT / "corpora" / "general.jsonl"))
    project, secret, path = prepare(world)
    api, person = Client(port, api_key=secret), Client(port)
    person.sign_in(path)
    first = api.version()
    before = score(world.held_out, api.spans([example.text for example in world.held_out]))
    base_before = score(general, api.spans([example.text for example in general]))
    say(f"{first} serves: F1 {before.micro.f1:.4f} on {world.name}, {base_before.micro.f1:.4f} in general")

    corrections = review(world, person)
    corrected = time.monotonic()
    run = wait_for_verdict(project)
    promote(run)
    version = wait_for_answer(api, str(run.candidate))
    seconds = time.monotonic() - corrected
    say(f"{version} answers, {seconds:.0f} s after the last correction")

    after = score(world.held_out, api.spans([example.text for example in world.held_out]))
    base_after = score(general, api.spans([example.text for example in general]))
    table(world, before, after, base_before, base_after)
    return {
        "corrections": corrections,
        "f1_before": round(before.micro.f1, 4),
        "f1_after": round(after.micro.f1, 4),
        "base_f1_before": round(base_before.micro.f1, 4),
        "base_f1_after": round(base_after.micro.f1, 4),
        "version": version,
        "seconds_correction_to_production": round(seconds, 1),
    }


def wait_for_verdict(project: Project) -> TrainingRun:
    """Watch: the policy queues, the worker trains, the gate judges."""
    from retraining.models import RetrainDecision, TrainingRun
    from retraining.selectors import run_events

    deadline = time.monotonic() + _RUN_SECONDS
    said, last = 0, ""
    while time.monotonic() < deadline:
        decision = RetrainDecision.objects.filter(project=project).first()
        if decision is not None and decision.explanation != last:
            last = decision.explanation
            say(last)
        run = TrainingRun.objects.filter(project=project).select_related("candidate", "project").first()
        if run is not None:
            for event in run_events(run=run, after=said):
                said = event.pk
                say(f"  {event.message}")
            if run.ended_at is not None:
                if run.verdict is None or not run.verdict["passed"]:
                    raise ProofFailed(f"run {run.pk} is {run.status} and no candidate passed the gate")
                return run
        time.sleep(1)
    raise ProofFailed(f"no verdict within {_RUN_SECONDS} s")


def promote(run: TrainingRun) -> None:
    """As the ML owner does by one click."""
    from django.contrib.auth.models import User

    from audit.services import Actor
    from retraining.services import candidate_promote

    owner = User.objects.get(username="reviewer")
    candidate_promote(run=run, actor=Actor.of_user(owner), reason="the gate passed it")
    say(f"{run.candidate} is promoted")


def wait_for_answer(api: Client, version: str) -> str:
    """Until the web server answers with the new version."""
    deadline = time.monotonic() + _SWITCH_SECONDS
    while (answering := api.version()) != version:
        if time.monotonic() > deadline:
            raise ProofFailed(f"{answering} still answers {_SWITCH_SECONDS} s after the promotion")
        time.sleep(0.1)
    return answering


def table(
    world: World, before: EvalReport, after: EvalReport, base_before: EvalReport, base_after: EvalReport
) -> None:
    """What changed, by label."""
    rows = [(f"{world.name}, held out", before.micro.f1, after.micro.f1, before.micro.support)]
    rows += [
        (f"  {name}", _f1(before, name), _f1(after, name), after.labels[name].support)
        for name in sorted(after.labels)
    ]
    rows.append(("general sentences", base_before.micro.f1, base_after.micro.f1, base_before.micro.support))
    print(f"\n{'F1, strict':<34}{'before':>9}{'after':>9}{'entities':>10}")
    for name, old, new, support in rows:
        print(f"{name:<34}{old:>9.4f}{new:>9.4f}{support:>10,}")
    print(flush=True)


def _f1(report: EvalReport, label: str) -> float:
    return report.labels[label].f1 if label in report.labels else 0.0


if __name__ == "__main__":
    sys.exit(main())
