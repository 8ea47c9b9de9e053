"""A tracking server as teams have one: PostgreSQL behind a real `mlflow server`, in one folder, gone with one signal.

  bertlab server                                # a temporary one, removed at the end
  bertlab server folder=/srv/mlflow port=5000   # one that keeps its runs
  bertlab server folder=/srv/mlflow port=5000 host=0.0.0.0   # for other machines: asks who is there

  auth=true   asks on this machine too; beyond it it cannot be left out
  database=postgresql+psycopg2://bertlab@HOST/NAME   one that runs elsewhere, its password in PGPASSWORD

Needs PostgreSQL's programs (Debian: apt-get install postgresql) and the extra `server` of this project.
The folder is closed to other users. PostgreSQL listens on no port but on a socket inside, for whoever can read the
password in the folder. MLflow's basic authentication knows the user `admin` and the users that `admin` makes
(https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/). The first password of `admin` is that of
MLFLOW_AUTH_ADMIN_PASSWORD; without it one is made and kept in the folder. Clients log in by MLFLOW_TRACKING_USERNAME
and MLFLOW_TRACKING_PASSWORD. Passwords are sent as they are: put TLS in front where the network is not yours. Give
MLflow the names by which others reach the server: MLFLOW_SERVER_ALLOWED_HOSTS.
"""

import os
import signal
import tempfile
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from bertlab.commands.server.arguments import check_database, check_free, read_auth, read_folder, read_port
from bertlab.commands.server.database import postgres
from bertlab.commands.server.tracking import FIRST, LOOPBACK, mlflow_server
from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors

DEFAULTS: dict[str, Any] = {"folder": None, "port": "0", "host": LOOPBACK, "auth": None, "database": None}


def _terminate(signum: int, _: object) -> None:
    raise SystemExit(0)


def main(words: Sequence[str]) -> None:
    """Start both, say where, and stop both at an interrupt or a request to terminate."""
    with one_line_errors():
        arguments = parse(DEFAULTS, __doc__, words)
        port, host = read_port(arguments["port"]), arguments["host"]
        auth = read_auth(arguments["auth"], host)
        check_free(host, port)
        given = arguments["database"]
        if given:
            check_database(given)
        signal.signal(signal.SIGTERM, _terminate)
        os.umask(0o077)
        with tempfile.TemporaryDirectory() as temporary:
            folder = read_folder(arguments["folder"] or temporary)
            with (
                nullcontext(given) if given else postgres(folder) as database,
                mlflow_server(database, folder, port, host, auth=auth) as address,
            ):
                if auth and not os.environ.get(FIRST):
                    print(f"the user is admin, the first password lies in {folder / 'admin-password'}")  # noqa: T201
                print(f"export MLFLOW_TRACKING_URI={address}", flush=True)  # noqa: T201
                signal.pause()
