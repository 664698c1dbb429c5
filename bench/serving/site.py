"""A nerapp of its own in a temporary folder: PostgreSQL, Redis, a prepared database, web processes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from nerapp import env
from nerapp.embedded import Place, Postgres, Redis, free_port
from nerapp.run.process import spawn


def wait_for(condition: Callable[[], object], what: str, *, seconds: float = 60) -> None:
    """Wait for what another process does; say what did not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(0.02)


class Site:
    """Everything that answers predictions, and the handles to hurt it."""

    def __init__(self) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="nerapp site "))
        self.home.chmod(0o755)
        self.place = Place.find(self.home)
        self.postgres = Postgres(self.place)
        self.redis = Redis(self.place)
        self.services: dict[str, subprocess.Popen[bytes]] = {}
        self.webs: list[subprocess.Popen[bytes]] = []
        ours = {*env.names(), *(f"{name}_FILE" for name in env.names())}
        kept = {name: value for name, value in os.environ.items() if name not in ours}
        self.environ = {
            **kept,
            "NERAPP_HOME": str(self.home),
            "NERAPP_DATA_DIR": str(self.home / "data"),
            "ALLOWED_HOSTS": "127.0.0.1,localhost",
            "LOG_LEVEL": "WARNING",
            "DJANGO_SETTINGS_MODULE": "nerapp.settings",
            "SECRET_KEY": "site " + "0123456789abcdef" * 4,
            "API_KEY_PEPPER": "site " + "fedcba9876543210" * 4,
            **self.postgres.urls(),
            **self.redis.urls(),
        }

    def service_start(self, service: Postgres | Redis) -> None:
        """Start PostgreSQL or Redis, also again after a fault."""
        service.prepare()
        name = service.spec().name
        with (self.home / f"{name}.log").open("ab") as log:
            self.services[name] = spawn(service.spec(), stdout=log.fileno())
        wait_for(service.ready, f"{name} to answer")
        service.provision()

    def service_signal(self, service: Postgres | Redis, number: signal.Signals) -> None:
        """Hurt PostgreSQL or Redis."""
        self.services[service.spec().name].send_signal(number)

    def start(self) -> None:
        """Services and an empty prepared database."""
        self.service_start(self.postgres)
        self.service_start(self.redis)
        self.manage("prepare_database", "--quiet")

    def manage(self, *arguments: str) -> str:
        """Run a command of manage.py and return what it printed."""
        return self.run(sys.executable, "manage.py", *arguments)

    def python(self, code: str, *arguments: str) -> str:
        """Run some lines inside Django."""
        return self.run(sys.executable, "-c", f"import django; django.setup()\n{code}", *arguments)

    def web_stop(self, web: subprocess.Popen[bytes]) -> None:
        """End a web server at once, and its processes also where it ended before them."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(web.pid, signal.SIGKILL)
        web.wait(10)

    def run(self, *argv: str, **more: str) -> str:
        """Run a program in the project's folder, as this site; `more` is set in its environment."""
        done = subprocess.run(
            argv,
            cwd=env.PROJECT,
            env={**self.environ, **more},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{argv[1:3]} ended with {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def python_start(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        """The same as `python`, without waiting; it may read from us."""
        return subprocess.Popen(
            [sys.executable, "-c", f"import django; django.setup()\n{code}", *arguments],
            cwd=env.PROJECT,
            env=self.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def web_start(
        self,
        application: str = "nerapp.wsgi:application",
        *,
        workers: int = 2,
        threads: int = 8,
        port: int = 0,
        **more: str,
    ) -> int:
        """Start the web server as `make run` does, at a port of its own or at a given one; returns the port.

        `more` is set in its environment.
        """
        port = port or free_port()
        counts = ("--processes", str(workers), "--threads", str(threads))
        self.web_spawn("nerapp.run.web", application, "--port", str(port), *counts, **more)
        return port

    def web_spawn(self, module: str, *arguments: str, **more: str) -> None:
        """Start a web server that is a Python module."""
        metrics = Path(tempfile.mkdtemp(prefix="metrics", dir=self.home))
        with (self.home / "web.log").open("ab") as log:
            self.webs.append(
                subprocess.Popen(
                    [sys.executable, "-m", module, *arguments],
                    cwd=env.PROJECT,
                    env={**self.environ, "PROMETHEUS_MULTIPROC_DIR": str(metrics), **more},
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            )

    def stop(self) -> None:
        """End everything and remove its folder."""
        for web in self.webs:
            self.web_stop(web)
        for service in (self.redis, self.postgres):
            process = self.services.get(service.spec().name)
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(service.spec().stop)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)
        if not self.place.folder.is_relative_to(self.home):
            shutil.rmtree(self.place.folder, ignore_errors=True)
        shutil.rmtree(self.home, ignore_errors=True)


@contextlib.contextmanager
def running() -> Iterator[Site]:
    """A site with its services, ended whatever happens."""
    site = Site()
    try:
        site.start()
        yield site
    finally:
        site.stop()
