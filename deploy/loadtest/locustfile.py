"""Load, stress and spike on a running nerapp (see README.md): `PROFILE=spike API_KEY=... locust -f ...`.

Each user asks once a second, so the number of users is the number of requests a second, for as long as
answers take less than a second.
"""

import os
import random
import sys
from itertools import count

from locust import FastHttpUser, LoadTestShape, constant_throughput, events, task

KEY = os.environ.get("API_KEY", "")
PROFILE = os.environ.get("PROFILE", "load")
#: 1 is as designed (an hour of load); 0.01 shows in a minute that everything is set up.
SCALE = float(os.environ.get("TIME_SCALE", "1"))

#: (minutes, users at their end). The users change evenly within a stage.
PROFILES = {
    "ramp": [(2, 100), (5, 100), (2, 200), (5, 200), (2, 0)],
    "load": [(2, 100), (28, 100), (2, 500), (26, 500), (2, 100)],
    "stress": [stage for step in range(1, 31) for stage in [(0.1, 100 * step), (4.9, 100 * step)]],
    "spike": [(1, 100), (5, 100), (0.1, 1000), (2, 1000), (0.1, 100), (5, 100)],
}
#: Share of failures and p95 in milliseconds at which stress ends, and above which the others have failed.
BROKEN = (0.10, 1000)
LIMITS = {"ramp": (0.01, 1000), "load": (0.001, 500), "spike": (0.01, 1000)}

TEXT = (
    "Ada Lovelace wrote to Charles Babbage from London about the engine that Ericsson built in Kista for the "
    "railway between Tallinn and Saint Petersburg on Monday"
)
WORDS = TEXT.split()
_numbers = count(random.randrange(10**9))


def text() -> str:
    """About 20 words, never the same twice, so that nothing can be remembered."""
    return f"{next(_numbers)} {' '.join(random.sample(WORDS, 20))}"


class Caller(FastHttpUser):
    """Three single texts to one batch and one look at whether it is ready."""

    wait_time = constant_throughput(1)

    def on_start(self) -> None:
        if not KEY:
            sys.exit("Set API_KEY to a key with the scope predict and a high enough rate: see README.md")

    @task(3)
    def predict(self) -> None:
        self._post("/api/v1/predict", {"text": text()}, "entities")

    @task(1)
    def batch(self) -> None:
        self._post("/api/v1/predict/batch", {"texts": [text() for _ in range(3)]}, "results")

    @task(1)
    def ready(self) -> None:
        self.client.get("/api/v1/ready")

    def _post(self, path: str, body: dict[str, object], field: str) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        with self.client.post(path, json=body, headers=headers, catch_response=True) as response:
            if response.status_code == 200 and field not in response.json():
                response.failure(f"an answer without {field}")


class Profile(LoadTestShape):
    """The users of the chosen profile at each moment."""

    def tick(self) -> tuple[int, float] | None:
        before, left = 0, self.get_run_time()
        if PROFILE == "stress" and self._is_broken():
            return None
        for minutes, users in PROFILES[PROFILE]:
            seconds = minutes * 60 * SCALE
            if left < seconds:
                return round(before + (users - before) * left / seconds), 1000.0
            before, left = users, left - seconds
        return None

    def _is_broken(self) -> bool:
        total = self.runner.stats.total
        p95 = total.get_current_response_time_percentile(0.95) or 0
        failures = total.current_fail_per_sec / max(total.current_rps, 1)
        if failures <= BROKEN[0] and p95 <= BROKEN[1]:
            return False
        print(f"broke at {self.get_current_user_count()} requests/s: p95 {p95} ms, {failures:.1%} failed")
        return True


@events.quitting.add_listener
def judge(environment: object, **_: object) -> None:
    """The exit code says whether the profile's limits were kept."""
    total = environment.stats.total
    failures, p95 = LIMITS.get(PROFILE, (1.0, float("inf")))
    is_kept = total.fail_ratio <= failures and total.get_response_time_percentile(0.95) <= p95
    if not total.num_requests or not is_kept:
        environment.process_exit_code = 1
