"""Workers that are killed while a shadow reads: each answer is compared, once, and the sums say just that."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models import Count, Sum
from django.utils import timezone

from audit.services import SYSTEM
from corpus.models import Project
from inference.models import Deployment, Prediction, ShadowComparison, ShadowTest
from inference.services import (
    api_key_create,
    deployment_set,
    deployment_share,
    prediction_make,
    version_register,
)
from inference.tasks import shadows_read
from tests.bundles import WORDS, tiny_bundle
from tests.conftest import wait_until
from tests.workers import kill, worker

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]

KILLS = 4
ANSWERS = 12_000
SECONDS = 120


def test_kills_compare_no_answer_twice_and_leave_none_out(
    project: Project, data_dir: Path, tmp_path: Path
) -> None:
    for name, words in (("tiny", WORDS), ("other", WORDS | {"London": "B-per"})):
        bundle = tiny_bundle(tmp_path / name, words)
        version = version_register(path=bundle, name=name, project=project, actor=SYSTEM)
        slot = "champion" if name == "tiny" else "shadow"
        deployment_set(project=project, slot=slot, version=version, actor=SYSTEM, reason="test")
    deployment_share(project=project, slot="shadow", share=100, actor=SYSTEM, reason="all")
    key, _ = api_key_create(project=project, name="callers", scopes=["predict"], actor=SYSTEM)
    for start in range(0, ANSWERS, 500):
        texts = [f"Ada saw {'London' if n % 2 else 'Boston'} as no{n}." for n in range(start, start + 500)]
        prediction_make(project=project, texts=texts, api_key=key)
    hour = timezone.now() - timedelta(hours=1)
    Deployment.objects.update(changed_at=hour)
    Prediction.objects.update(created_at=hour + timedelta(minutes=1))

    reached = [0]

    def compared() -> int:
        return sum(ShadowTest.objects.values_list("compared", flat=True))

    for _ in range(KILLS):
        with worker("predict", NERAPP_DATA_DIR=str(data_dir)) as process:
            shadows_read.apply_async(queue="predict")
            wait_until(lambda: compared() > reached[-1], "the shadow to read", seconds=SECONDS)
            kill(process)
        reached.append(compared())
        assert reached[-1] < ANSWERS, f"it had read everything before it could be killed {KILLS} times"
    with worker("predict", NERAPP_DATA_DIR=str(data_dir)), worker("predict", NERAPP_DATA_DIR=str(data_dir)):
        # Two at once finish it, asked again and again as beat does.
        deadline = time.monotonic() + SECONDS
        while compared() < ANSWERS:
            assert time.monotonic() < deadline, compared()
            for _ in range(2):
                shadows_read.apply_async(queue="predict")
            time.sleep(1)

    test = ShadowTest.objects.get()
    kept = ShadowComparison.objects.aggregate(
        count=Count("pk"), answers=Count("prediction", distinct=True), agreement=Sum("agreement")
    )
    assert (test.compared, test.identical, test.dropped, test.failed) == (ANSWERS, ANSWERS // 2, 0, 0)
    assert kept == {"count": ANSWERS, "answers": ANSWERS, "agreement": test.agreement_sum}
    assert test.agreement == 0.75
