"""What `make run` starts, in which order, and what it says to the person who waits."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psutil

from nerapp import env
from nerapp.embedded import Postgres, Redis, end
from nerapp.env import PROJECT
from nerapp.run.console import Console
from nerapp.run.place import Place, ServiceError, make_folder, write_private
from nerapp.run.process import Spec
from nerapp.run.supervisor import StartFailed, StopAsked, Supervisor
from nerapp.run.web import listen

_SERVICES: Final = 0
_PROCESSES: Final = 1
#: In the environment of every child, so that the next start finds what a killed supervisor left.
_MARK: Final = "SUPERVISED_HOME"
_EXIT_UNAVAILABLE: Final = 69  # EX_UNAVAILABLE of sysexits.h


class AlreadyRunning(Exception):
    """Another supervisor holds this home folder."""


def up(console: Console, *, host: str, browser: bool) -> int:
    """Run nerapp until somebody stops it."""
    with _lock() as note:
        services, settings = _settled(console)
        # Ours for the whole run: while the web server restarts, callers wait instead of being refused.
        listening = listen(host, settings.port)
        address = f"http://{host}:{settings.port}"
        note(f"process {os.getpid()} at {address}")
        with Supervisor(console) as supervisor, _published(services):
            _start_services(supervisor, services)
            sign_in = _prepare_with_link(supervisor, settings)
            # The first page is what a person waits for; the workers follow.
            _start_web(supervisor, settings, listening)
            _start_workers(supervisor, settings)
            _welcome(console, address, sign_in, browser=browser)
            supervisor.forever()


def execute(console: Console, argv: Sequence[str], *, bare: bool) -> int:
    """Run a command with the services up: those that run already, else ours for as long as it takes."""
    try:
        with _lock() as note:
            note(f"process {os.getpid()} runs {argv[0]}")
            return _execute_with_services(console, argv, bare=bare)
    except AlreadyRunning:
        return subprocess.call(argv, cwd=PROJECT)


def _execute_with_services(console: Console, argv: Sequence[str], *, bare: bool) -> int:
    services, settings = _settled(console)
    with Supervisor(console) as supervisor, _published(services):
        _start_services(supervisor, services)
        if not bare:
            _prepare(supervisor, settings)
        return supervisor.foreground(argv, cwd=PROJECT)


def reset(console: Console, *, sure: bool) -> int:
    """Delete the database, the trained versions and the secrets of this home folder."""
    with _lock():
        home = _home()
        folders = sorted({home, Place.find(home).folder})
        console.headline(
            "This deletes the database, every correction, every trained version and the secrets in"
        )
        for folder in folders:
            console.headline(f"  {folder}")
        if not sure:
            console.headline("Type yes to go on:")
        if not sure and sys.stdin.readline().strip() != "yes":
            console.headline("Nothing was deleted.")
            return 1
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        console.headline("Deleted. `make run` starts afresh.")
    return 0


def told(console: Console, action: Callable[[], int]) -> int:
    """Every expected failure is one sentence and an exit code, never a traceback."""
    try:
        return action()
    except (AlreadyRunning, ServiceError, StartFailed) as failure:
        console.say(str(failure))
        return _EXIT_UNAVAILABLE
    except env.EnvRefused as refused:
        console.say("cannot start with this environment:")
        for line in refused.lines:
            console.say(f"  {line}")
        return env.EXIT_CONFIG
    except StopAsked:
        console.say("stopped")
        return 0


def _home() -> Path:
    return Path(os.environ.get("NERAPP_HOME") or PROJECT / ".local").expanduser().absolute()


@contextlib.contextmanager
def _lock() -> Iterator[Callable[[str], None]]:
    """One supervisor per home folder; the kernel frees the lock however its holder dies."""
    run = _home() / "run"
    make_folder(_home(), mode=0o711)
    make_folder(run, mode=0o700)
    with (run / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunning(
                f"nerapp runs here already ({file.read().strip() or 'it is starting'}); stop it there"
                " first, or start a second one in its own folder: NERAPP_HOME=/some/folder PORT=8001 make run"
            ) from None

        def note(text: str) -> None:
            file.seek(0)
            file.truncate()
            file.write(text)
            file.flush()

        yield note
        file.truncate(0)


def _settled(console: Console) -> tuple[list[Postgres | Redis], env.Env]:
    """Which services are ours, and the whole checked environment, before anything is started."""
    home = _home()
    _end_last_run(console, home)
    services: list[Postgres | Redis] = []
    if os.environ.get("ENV") != "production":
        _keep_secrets(home)
        given = {name.removesuffix("_FILE") for name in os.environ}
        if not {"DATABASE_URL", "REDIS_URL"} <= given:
            place = Place.find(home)
            if place.folder.parent != home:
                console.say(f"the database lives in {place.folder}: its account cannot reach {home}")
            if "DATABASE_URL" not in given:
                services.append(Postgres(place, console.say))
            if "REDIS_URL" not in given:
                services.append(Redis(place, console.say))
    return services, env.read({**os.environ, **_urls(services)})


def _urls(services: Sequence[Postgres | Redis]) -> dict[str, str]:
    return {
        name: url
        for service in services
        for name, url in service.urls().items()
        if name not in os.environ and f"{name}_FILE" not in os.environ
    }


def _keep_secrets(home: Path) -> None:
    """Made once per home folder, so that sessions and API keys outlive a restart."""
    path = home / "secrets.env"
    kept = env.read_env_file(path)
    fresh = {name: secrets.token_urlsafe(64) for name in ("SECRET_KEY", "API_KEY_PEPPER") if name not in kept}
    if fresh:
        write_private(path, _env_file({**kept, **fresh}))


def _env_file(values: Mapping[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())


@contextlib.contextmanager
def _published(services: Sequence[Postgres | Redis]) -> Iterator[None]:
    """While the services run, every `manage.py` of this home folder finds them."""
    path = _home() / "run" / "services.env"
    write_private(path, _env_file(_urls(services)))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _end_last_run(console: Console, home: Path) -> None:
    """What a killed supervisor left: its children were told to end, those that did not are ended now."""
    left = [process for process in psutil.process_iter() if _is_marked(process, home)]
    if left:
        console.say("waiting for the processes of the last run to end")
        _, left = psutil.wait_procs(left, timeout=5)
        for process in left:
            end(process, ask=signal.SIGTERM, force=signal.SIGQUIT)


def _is_marked(process: psutil.Process, home: Path) -> bool:
    try:
        return bool(process.pid != os.getpid() and process.environ().get(_MARK) == str(home))
    except (psutil.Error, OSError):
        return False


def _start_services(supervisor: Supervisor, services: Sequence[Postgres | Redis]) -> None:
    for service in services:
        service.prepare()
        spec = service.spec()
        child = supervisor.start(spec, tier=_SERVICES, before_start=service.prepare)
        supervisor.wait_for(spec.name, service.ready, child=child, seconds=60)
        service.provision()


def _prepare(supervisor: Supervisor, settings: env.Env, *options: str) -> None:
    """Bring the database to this version and load what a first start needs."""
    make_folder(settings.data_dir, mode=0o700)
    supervisor.console.say("preparing the database and the models")
    supervisor.run(_python("prepare", "manage.py", "prepare_start", *options))


def _prepare_with_link(supervisor: Supervisor, settings: env.Env) -> str:
    """The same, and the path of a sign-in link while no admin has ever signed in."""
    link = settings.home / "run" / "sign-in"
    write_private(link, "")
    try:
        _prepare(supervisor, settings, "--link-file", str(link))
        return link.read_text()
    finally:
        link.unlink()


def _start_web(supervisor: Supervisor, settings: env.Env, listening: socket.socket) -> None:
    supervisor.console.say("starting the web server")
    metrics = settings.home / "run" / "metrics"
    shutil.rmtree(metrics, ignore_errors=True)
    make_folder(metrics, mode=0o700)
    child = supervisor.start(
        _python(
            "web",
            *("-m", "nerapp.run.web", "--fd", str(listening.fileno())),
            *("--processes", str(settings.web_workers), "--threads", str(settings.web_threads)),
            env={"PROMETHEUS_MULTIPROC_DIR": str(metrics)},
            pass_fds=(listening.fileno(),),
            orphaned=signal.SIGTERM,  # it ends its processes, which do not notice by themselves
        ),
        tier=_PROCESSES,
    )
    supervisor.wait_for("the web server", _FirstAnswer(listening), child=child, seconds=180)


class _FirstAnswer:
    """One request that lies in the queue of our socket until a web process takes it."""

    def __init__(self, listening: socket.socket) -> None:
        self._address = listening.getsockname()
        self._asking: socket.socket | None = None

    def __call__(self) -> bool:
        if self._asking is None:
            self._asking = socket.create_connection(self._address)
            self._asking.setblocking(False)
            self._asking.sendall(b"GET /api/v1/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        try:
            answered = bool(self._asking.recv(1))
        except BlockingIOError:
            return False
        except OSError:
            answered = False
        self._asking.close()
        self._asking = None  # a web process that died took the request with it: ask again
        return answered


def _start_workers(supervisor: Supervisor, settings: env.Env) -> None:
    celery = ("-m", "celery", "--app", "nerapp", "--quiet")
    # As root Celery warns of pickle, which is refused here.
    calm = {"PYTHONWARNINGS": "ignore:::celery.platforms", "TF_CPP_MIN_LOG_LEVEL": "2"}
    fresh = ("--max-tasks-per-child", "1")
    for queue, extra in (("default", ()), ("control", ()), ("predict", ()), ("train", fresh)):
        supervisor.start(
            _python(
                f"worker-{queue}",
                *(*celery, "worker", "--without-gossip", "--without-mingle", "--concurrency", "1"),
                *("--queues", queue, "--hostname", f"{queue}@%h", *extra),
                env=calm,
            ),
            tier=_PROCESSES,
        )
    schedule = settings.home / "run" / "beat"
    supervisor.start(
        _python("beat", *celery, "beat", "--schedule", str(schedule), "--pidfile", "", env=calm),
        tier=_PROCESSES,
    )


def _welcome(console: Console, address: str, sign_in: str, *, browser: bool) -> None:
    console.headline("")
    console.headline(f"nerapp is up: {address}")
    if sign_in:
        console.headline(f"sign in once, as the first admin: {address}{sign_in}")
    console.headline("Ctrl-C stops it.")
    console.headline("")
    if browser and (
        sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        webbrowser.open(address + sign_in)


def _python(name: str, *arguments: str, env: Mapping[str, str] | None = None, **more: Any) -> Spec:
    return Spec(
        name=name,
        argv=[sys.executable, *arguments],
        cwd=PROJECT,
        env={"PYTHONUNBUFFERED": "1", _MARK: str(_home()), **(env or {})},
        **more,
    )
