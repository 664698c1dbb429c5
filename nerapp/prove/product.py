"""nerapp as it runs for everybody: `python -m nerapp.run` in a folder of its own, asked over HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import psutil

from ner.spans import Span
from nerapp import env
from nerapp.embedded import free_port

_BATCH = 100
_START_SECONDS = 240
_STOP_SECONDS = 40


class ProofFailed(Exception):
    """The loop did not close; the message says where."""


@dataclass(frozen=True, slots=True)
class Product:
    """A nerapp that runs: where it answers, and the process above all others."""

    port: int
    pid: int

    def processes(self, role: str) -> list[psutil.Process]:
        """Its processes whose command line says this."""
        found = []
        for process in psutil.Process(self.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if role in " ".join(process.cmdline()):
                    found.append(process)
        return found


@contextlib.contextmanager
def running_product(*, web_processes: int = 1) -> Iterator[Product]:
    """Start everything in an empty folder and yield it; afterwards nothing is left of it.

    This process gets the same environment, so that it can use the services' models and settings.
    """
    home = Path(tempfile.mkdtemp(prefix="nerapp-proof-"))
    for name in env.names():
        os.environ.pop(name, None)
        os.environ.pop(f"{name}_FILE", None)
    port = free_port()
    os.environ.update(NERAPP_HOME=str(home), PORT=str(port))
    os.environ.update(WEB_WORKERS=str(web_processes), LOG_LEVEL="WARNING")
    log_path = home.with_name(f"{home.name}.log")
    with log_path.open("wb") as log:
        supervisor = subprocess.Popen(
            [sys.executable, "-m", "nerapp.run", "up", "--no-browser"],
            cwd=env.PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_up(supervisor, log_path)
        yield Product(port, supervisor.pid)
    except BaseException:
        sys.stderr.write("".join(log_path.read_text("utf-8", "replace").splitlines(keepends=True)[-40:]))
        raise
    finally:
        supervisor.send_signal(signal.SIGTERM)
        try:
            supervisor.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            supervisor.kill()
        # Also what the services keep elsewhere, where their account could not reach the folder.
        subprocess.run(
            [sys.executable, "-m", "nerapp.run", "reset", "--yes"],
            cwd=env.PROJECT,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        shutil.rmtree(home, ignore_errors=True)
        log_path.unlink(missing_ok=True)


def _wait_until_up(supervisor: subprocess.Popen[bytes], log_path: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while b"nerapp is up" not in log_path.read_bytes():
        if supervisor.poll() is not None:
            raise ProofFailed("nerapp did not start")
        if time.monotonic() > deadline:
            raise ProofFailed(f"nerapp did not start within {_START_SECONDS} s")
        time.sleep(0.2)


class Client:
    """A caller of the HTTP interface: with an API key, or signed in with cookies as a browser is."""

    def __init__(self, port: int, *, api_key: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._headers = {"Content-Type": "application/json", "Connection": "keep-alive"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._cookies: dict[str, str] = {}

    def sign_in(self, path: str) -> None:
        """Use a one-time link, as the person does who presses its button."""
        self._request("GET", path)
        status, _ = self._request("POST", path, "", "application/x-www-form-urlencoded")
        if status != 302:
            raise ProofFailed(f"the sign-in link was answered with {status}")

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send JSON and read JSON; anything but success ends the proof."""
        status, answer = self._request("POST", path, json.dumps(body))
        if status >= 300:
            raise ProofFailed(f"POST {path} was answered with {status}: {answer[:300]!r}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def spans(self, texts: Sequence[str]) -> list[list[Span]]:
        """What the service finds in each text."""
        found = []
        for start in range(0, len(texts), _BATCH):
            body = {"texts": list(texts[start : start + _BATCH]), "store": False}
            results = self.post("/api/v1/predict/batch", body)["results"]
            found += [[Span(e["start"], e["end"], e["type"]) for e in r["entities"]] for r in results]
        return found

    def version(self) -> str:
        """Which version answers now."""
        asked = {"text": "Which version is this?", "store": False}
        return str(self.post("/api/v1/predict", asked)["model_version"])

    def _request(
        self, method: str, path: str, body: str | None = None, kind: str = "application/json"
    ) -> tuple[int, bytes]:
        headers = {**self._headers, "Content-Type": kind}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
            headers["X-CSRFToken"] = self._cookies.get("csrftoken", "")
        encoded = body.encode() if body is not None else None
        try:
            self._connection.request(method, path, encoded, headers)
            response = self._connection.getresponse()
        except (http.client.HTTPException, ConnectionError):
            # The server closed a connection that lay idle.
            self._connection.close()
            self._connection.request(method, path, encoded, headers)
            response = self._connection.getresponse()
        answer = response.read()
        for line in response.headers.get_all("Set-Cookie") or ():
            for name, morsel in SimpleCookie(line).items():
                self._cookies[name] = morsel.value
        return response.status, answer
