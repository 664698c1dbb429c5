// Load, stress and spike on a running nerapp (see README.md): k6 run -e PROFILE=spike -e API_KEY=... k6.js
// Requests are sent at a rate, whatever comes back (an open loop); `dropped_iterations` counts what could not be.
import { check } from "k6";
import exec from "k6/execution";
import http from "k6/http";

const HOST = __ENV.HOST || "http://127.0.0.1:8000";
const PROFILE = __ENV.PROFILE || "load";
// 1 is as designed (an hour of load); 0.01 shows in a minute that everything is set up.
const SCALE = Number(__ENV.TIME_SCALE || 1);

// [minutes, requests a second at their end]; the rate changes evenly within a stage.
const PROFILES = {
  ramp: [[2, 100], [5, 100], [2, 200], [5, 200], [2, 0]],
  load: [[2, 100], [28, 100], [2, 500], [26, 500], [2, 100]],
  stress: Array.from({ length: 30 }, (_, step) => [[0.1, 100 * (step + 1)], [4.9, 100 * (step + 1)]]).flat(),
  spike: [[1, 100], [5, 100], [0.1, 1000], [2, 1000], [0.1, 100], [5, 100]],
};
const BROKEN = { threshold: "rate<0.10", abortOnFail: true, delayAbortEval: "10s" };
const SLOW = { threshold: "p(95)<1000", abortOnFail: true, delayAbortEval: "10s" };
const LIMITS = {
  ramp: { http_req_failed: ["rate<0.01"], http_req_duration: ["p(95)<1000"] },
  load: { http_req_failed: ["rate<0.001"], http_req_duration: ["p(95)<500", "p(99)<1000"] },
  stress: { http_req_failed: [BROKEN], http_req_duration: [SLOW] },
  spike: { http_req_failed: ["rate<0.01"], http_req_duration: ["p(95)<1000"] },
};

export const options = {
  scenarios: {
    callers: {
      executor: "ramping-arrival-rate",
      startRate: 0,
      timeUnit: "1s",
      preAllocatedVUs: 200,
      maxVUs: 2000,
      stages: PROFILES[PROFILE].map(([minutes, target]) => ({ duration: `${Math.ceil(minutes * 60 * SCALE)}s`, target })),
    },
  },
  thresholds: { ...LIMITS[PROFILE], checks: ["rate>0.99"] },
};

const WORDS = (
  "Ada Lovelace wrote to Charles Babbage from London about the engine that Ericsson built in Kista for the " +
  "railway between Tallinn and Saint Petersburg on Monday"
).split(" ");

// About 20 words, never the same twice, so that nothing can be remembered.
function text() {
  const words = Array.from({ length: 20 }, () => WORDS[Math.floor(Math.random() * WORDS.length)]);
  return `${exec.scenario.iterationInTest} ${words.join(" ")}`;
}

function post(path, body, field) {
  const headers = { Authorization: `Bearer ${__ENV.API_KEY}`, "Content-Type": "application/json" };
  const response = http.post(`${HOST}${path}`, JSON.stringify(body), { headers });
  check(response, { [`${path} answers`]: (got) => got.status === 200 && field in got.json() });
}

export function setup() {
  if (!__ENV.API_KEY) exec.test.abort("Set API_KEY to a key with the scope predict: see README.md");
}

// Three single texts to one batch and one look at whether it is ready.
export default function () {
  const turn = exec.scenario.iterationInTest % 5;
  if (turn < 3) post("/api/v1/predict", { text: text() }, "entities");
  else if (turn === 3) post("/api/v1/predict/batch", { texts: [text(), text(), text()] }, "results");
  else http.get(`${HOST}/api/v1/ready`);
}
