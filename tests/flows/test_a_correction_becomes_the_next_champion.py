"""The loop, closed once: corrections, the policy, a real worker, the gate, the next champion's answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from inference.models import Deployment, Evaluation, ModelVersion
from inference.services import deployment_set, prediction_make
from retraining.models import TrainingRun
from retraining.services import policy_change, policy_check
from tests.training import Status, has_ended, log_of, train_worker, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

#: Held back from the corrections, with a cultivar that no base model knows.
TEXT = "We grafted Braeburn onto M9 and lost half of the Cox to canker."


def test_a_correction_becomes_the_next_champion(corrected: Project, data_dir: Path) -> None:
    flagship = ModelVersion.objects.get(name="flagship")
    deployment_set(
        project=corrected, slot="champion", version=flagship, actor=SYSTEM, reason="the one that learns best"
    )
    policy_change(project=corrected, actor=SYSTEM, after_gate="promote")
    [before] = prediction_make(project=corrected, texts=[TEXT])
    assert "cultivar" not in {span.label for span in before.recognition.spans}

    decision = policy_check(project=corrected)
    assert decision.explanation.startswith("due: 120 new corrections")
    run = decision.run
    assert run is not None
    with train_worker(data_dir):
        wait_for(run, has_ended, "the end of the training", seconds=400)
        said = "is champion now"
        wait_for(run, lambda run: any(said in line for line in log_of(run)), "the promotion", seconds=20)

    assert run.status == Status.DONE
    assert run.candidate is not None
    assert run.mlflow_run_id
    assert run.verdict is not None
    assert run.verdict["passed"], run.verdict
    assert Deployment.objects.get(project=corrected, slot="champion").version == run.candidate
    [after] = prediction_make(project=corrected, texts=[TEXT])
    assert after.serving.version == run.candidate
    assert "cultivar" in {span.label for span in after.recognition.spans}

    # Both sat the same two exams, and every step can be read in the audit log.
    sat = Evaluation.objects.filter(version__in=[run.start_from, run.candidate])
    assert sorted(sat.values_list("kind", flat=True)) == ["general", "general", "test", "test"]
    told = list(
        AuditEvent.objects.filter(chain=corrected.slug).order_by("number").values_list("action", flat=True)
    )
    steps = ["run.queue", "run.start", "version.register", "gate.judge", "run.finish", "version.promote"]
    assert [action for action in told if action in steps] == steps

    # What was learned does not trigger another training.
    assert policy_check(project=corrected).explanation == f"not due: no new corrections since run {run.pk}"
    assert TrainingRun.objects.count() == 1
