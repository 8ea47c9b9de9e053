"""A tracking server for a team: `mlflow server` on PostgreSQL, in one folder; one signal stops both.

  bertlab server                                # a temporary server, removed at the end
  bertlab server folder=/srv/mlflow port=5000   # a server that keeps its runs
  bertlab server folder=/srv/mlflow port=5000 host=0.0.0.0   # for other machines; needs a login

  auth=true   also needs a login on this machine; with other machines a login is always needed
  database=postgresql+psycopg2://bertlab@HOST/NAME   an external database; its password in PGPASSWORD

Needs PostgreSQL's programs (Debian: apt-get install postgresql) and the extra `server` of this project.
Other users cannot open the folder. PostgreSQL listens on no port, only on a socket inside the folder; its password is
a file there. MLflow's basic authentication starts with one user, `admin`, who can create others
(https://mlflow.org/docs/latest/self-hosting/security/basic-http-auth/). Its first password is
MLFLOW_AUTH_ADMIN_PASSWORD, else a generated one that is kept in the folder. Clients log in with
MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. Passwords are sent unencrypted: use TLS on a network that you do
not control. Give MLflow the names of the server that clients use: MLFLOW_SERVER_ALLOWED_HOSTS.
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
    """Start database and server, print the address, and stop both on SIGINT or SIGTERM."""
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
                    print(f"the user is admin, the first password is in {folder / 'admin-password'}")  # noqa: T201
                print(f"export MLFLOW_TRACKING_URI={address}", flush=True)  # noqa: T201
                signal.pause()
