"""Where services keep their data, as whom they run, and with which copies of their programs.

As an ordinary user all of this is trivial: below the home folder, as oneself. As root it is not, because
PostgreSQL refuses to be root and another account may not enter every folder that root may.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nerapp.run.process import Account

# For root whose project the unprivileged account cannot reach; the last one does not survive every reboot.
_REACHABLE: Final = (Path("/var/lib"), Path("/srv"), Path("/var/tmp"), Path("/tmp"))  # noqa: S108


class ServiceError(Exception):
    """An embedded service cannot run; the message is one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the services of one home folder keep their data, as whom they run, and with which programs."""

    folder: Path
    account: Account | None

    @classmethod
    def find(cls, home: Path) -> Place:
        """The folder for this home, made if needed; the same one at every start."""
        make_folder(home, mode=0o711)
        inside = home / "services"
        elsewhere = [parent / f"nerapp-{_fingerprint(home)}" for parent in _REACHABLE]
        made = next((folder for folder in (inside, *elsewhere) if (folder / "postgres").exists()), None)
        account = _account(made / "postgres" if made else home)
        if account is None:
            make_folder(inside, mode=0o700)
            return cls(inside, None)
        if made is not None:
            # Never a second, empty database because a parent folder was closed since the last start.
            if not _reaches(account, made):
                raise ServiceError(
                    f"The database is in {made}, and its account (user {account.uid}) can no longer reach it;"
                    " let that account enter every folder on the way (chmod o+x), or move the project."
                )
            return cls(made, account)
        make_folder(inside, mode=0o711)
        if _reaches(account, inside):
            return cls(inside, account)
        for folder in elsewhere:
            if _private(folder) and _reaches(account, folder):
                return cls(folder, account)
        raise ServiceError(
            f"The account that PostgreSQL must run under cannot reach {home}, and there is no other place for"
            " its data; start nerapp as an ordinary user, or set NERAPP_HOME to a folder that every user may"
            " enter."
        )

    def own(self, folder: Path) -> Path:
        """A folder that only the service's account may enter."""
        make_folder(folder, mode=0o700)
        self.give(folder)
        return folder

    def give(self, path: Path) -> None:
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)

    def program(self, path: Path) -> Path:
        """The same program where the account can reach it: a virtualenv below /root is closed to it."""
        if self.account is None or _reaches(self.account, path):
            return path
        copy = self.folder / "programs" / path.name
        if not copy.exists() or copy.stat().st_size != path.stat().st_size:
            make_folder(copy.parent, mode=0o755)
            aside = copy.with_name(f"{copy.name}.{os.getpid()}")
            shutil.copy2(path, aside)
            aside.chmod(0o755)
            aside.replace(copy)
        return copy

    def programs(self, tree: Path) -> Path:
        """The same installation where the account can reach it."""
        probe = Path("bin/postgres")
        if self.account is None or _reaches(self.account, tree / probe):
            return tree
        copy = self.folder / "programs" / tree.name
        if not copy.exists() or (copy / probe).stat().st_size != (tree / probe).stat().st_size:
            make_folder(copy.parent, mode=0o755)
            aside = copy.with_name(f"{copy.name}.{os.getpid()}")
            shutil.copytree(tree, aside, ignore=shutil.ignore_patterns("include"))
            aside.chmod(0o755)
            shutil.rmtree(copy, ignore_errors=True)
            aside.rename(copy)
        return copy


def make_folder(folder: Path, *, mode: int) -> None:
    """Make one of our own folders; only a folder that we made gets its mode set."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(mode)
    except OSError as error:
        raise ServiceError(
            f"Cannot write to {folder} ({error.strerror}); make it writable, or set NERAPP_HOME to a folder"
            " that is."
        ) from None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, and that never existed with a wider mode."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _account(owned: Path) -> Account | None:
    """PostgreSQL refuses to run as root: then it runs as the owner of what is there, or as nobody."""
    if os.geteuid() != 0:
        return None
    owner = owned.stat().st_uid
    try:
        entry = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
    except KeyError:
        entry = pwd.getpwnam("nobody")
    return Account(entry.pw_uid, entry.pw_gid)


def _fingerprint(home: Path) -> str:
    return hashlib.sha256(os.fsencode(home)).hexdigest()[:12]


def _reaches(account: Account, path: Path) -> bool:
    """Asked of the kernel as that account, so that access lists and mounts count too."""
    probe = [
        "/bin/sh",
        "-c",
        'test -r "$1" && test -x "$1" || test -x "$1" -a -d "$1"',
        "sh",
        str(path),
    ]
    found = subprocess.run(
        probe,
        user=account.uid,
        group=account.gid,
        extra_groups=[],
        cwd="/",
        check=False,
        timeout=10,
    )
    return found.returncode == 0


def _private(folder: Path) -> bool:
    """A folder of ours in a place where others may write too: never one that somebody else put there."""
    try:
        folder.mkdir(mode=0o711, exist_ok=True)
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022
