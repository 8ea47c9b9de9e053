"""PostgreSQL in a folder: created on first use, reached by a socket in the folder and a password file."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bertlab.commands.server.processes import running, wait_for, write_secret
from bertlab.config.errors import InputError

DEBIAN = Path("/usr/lib/postgresql")  # Debian installs the programs here, not on the PATH
WHO_MAY = "local all bertlab scram-sha-256\n"  # the whole pg_hba.conf: no network access, no access without password


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL programs; None if there are none."""
    if found := sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3])):
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run the database in `folder`, created on first use, and yield its URI. The password stays in its file.

    Raises InputError if PostgreSQL is not installed or cannot use the folder.
    """
    place = programs()
    if place is None:
        raise InputError("PostgreSQL must be installed, found no initdb; apt-get install postgresql")
    person, passwords = _person(), folder / "pgpass"
    _close(folder, person)
    _make_cluster(place, folder, person)
    if not passwords.exists():  # also if an older version of this program created the cluster without a password
        _set_password(place, folder / "cluster", passwords, person)
    (folder / "cluster" / "pg_hba.conf").write_text(WHO_MAY, "utf-8")
    words = [place / "postgres", "-D", folder / "cluster", "-k", folder, "-c", "listen_addresses="]
    words += ["-c", "unix_socket_permissions=0600"]
    with running(words, folder / "postgres.log", signal.SIGINT, **person) as process:
        ready = [str(place / "pg_isready"), "-q", "-h", str(folder)]
        wait_for(process, folder / "postgres.log", lambda: subprocess.run(ready, check=False).returncode == 0)
        yield f"postgresql+psycopg2://bertlab@/postgres?host={folder}&passfile={passwords}"


def _close(folder: Path, person: Mapping[str, Any]) -> None:
    """Close the folder to other users. Raises InputError if it has another use or another owner."""
    if any(folder.iterdir()) and not (folder / "cluster").is_dir():
        raise InputError(f"folder must be a new one or one that this server made, got {folder}; choose another")
    owners = {os.geteuid(), *([pwd.getpwnam(person["user"]).pw_uid] if person else [])}
    if folder.stat().st_uid not in owners:
        raise InputError(f"folder must belong to the user who starts the server, got {folder}; choose another")
    folder.chmod(0o700)
    if person:
        shutil.chown(folder, person["user"], person["group"])


def _make_cluster(place: Path, folder: Path, person: Mapping[str, Any]) -> None:
    """Create the database if needed. Nobody can log in before its access rules are written."""
    if (folder / "cluster").is_dir():
        return
    options = ["-D", str(folder / "cluster"), "-U", "bertlab", "-A", "reject", "-E", "UTF8", "--locale=C"]
    made = _run([place / "initdb", *options], folder, **person)
    if made.returncode:
        raise InputError(f"folder must be one that PostgreSQL can use, got {folder}: {made.stderr.strip()}")


def _set_password(place: Path, cluster: Path, passwords: Path, person: Mapping[str, Any]) -> None:
    """Set a new password of the database user without a running server, and write it to a private file."""
    password = secrets.token_urlsafe(32)
    words = [place / "postgres", "--single", "-D", cluster, "postgres"]
    told = _run(words, cluster, input=f"alter role bertlab password '{password}'\n", **person)
    if told.returncode or "ERROR" in told.stderr:
        raise InputError(f"folder must hold a database that is not in use, got {cluster}: {told.stderr.strip()}")
    write_secret(passwords, f"*:*:*:bertlab:{password}\n")


def _run(words: Sequence[Any], cwd: Path, **how: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=cwd, capture_output=True, encoding="utf-8", check=False, **how)


def _person() -> Mapping[str, Any]:
    """Return the user that runs PostgreSQL, as arguments of Popen: it refuses root."""
    return {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
