"""Shown or stored text contains no secret, and other text is unchanged."""

import logging
from itertools import chain
from typing import Any

import pytest

from bertlab.config.compose import CONF, load, project_folder, resolved
from bertlab.config.redact import SECRET_KEY, RedactingFormatter, redacted, redacted_command, redacted_settings, shown

ADDRESSES = {
    "postgresql+psycopg2://bert:S3cret@host:5432/db": "postgresql+psycopg2://***@host:5432/db",
    "http://bert:S3cret@host:5000": "http://***@host:5000",
    "https://S3cret@host/path": "https://***@host/path",
    "mysql://bert:a/S3cret?x#y@host/db": "mysql://***@host/db",
    "postgresql://bert:S3@cret@host/db": "postgresql://***@host/db",
    "postgresql://bert:12/S3cret@host": "postgresql://***@host",
    "postgresql://bert:it's\"S3cret@host/db": "postgresql://***@host/db",
    "postgresql://bert:p%40S3cret@[::1]:5/db": "postgresql://***@[::1]:5/db",
    "postgresql://host/db?user=bert&password=S3cret&sslmode=require": (
        "postgresql://host/db?user=bert&password=***&sslmode=require"
    ),
    "https://host/x?access_token=S3cret": "https://host/x?access_token=***",
}
PLAIN = (
    *("sqlite:////data/me@work/mlflow.db", "http://host:5000", "file:///a@b", "https://host/a/b@v1", "a@b.example"),
    *("mask=token must be one of mask", "budget.tokens=5000", "tokenizer=words", "data.columns={key: a}", "key: value"),
    *("unknown token: [MASK]", "tests.key=3", "the design=4", "python -m bertlab.run -m mask.rate=0.1,0.3"),
)


@pytest.mark.parametrize(("address", "expected"), ADDRESSES.items())
def test_an_address_is_shown_without_its_secret_at_any_place(address: str, expected: str) -> None:
    assert shown(address) == expected
    assert "S3cret" not in redacted(f"got {address}: no answer; see {address}")
    assert redacted_command([f"data.path={address}"]) == [f"data.path={expected}"]


@pytest.mark.parametrize("text", PLAIN)
def test_what_holds_no_secret_stays(text: str) -> None:
    assert redacted(text) == text
    assert redacted_command([text]) == [text]


@pytest.mark.parametrize("address", ["postgresql://bert:S3cret word@host/db", "bert:S3cret@host", "x://a:b://S3cret@h"])
def test_an_address_that_no_parser_takes_is_shown_without_its_secret(address: str) -> None:
    assert "S3cret" not in shown(address)


@pytest.mark.parametrize(
    "text",
    [
        *("password=S3cret", "host=h PGPASSWORD='S3cret of many'", "DBPW=S3cret", "export HF_TOKEN=S3cret;"),
        *("{'token': 'S3cret'}", '{"api_key": "S3cret, or"}', "WANDB_API_KEY: S3cret", "Authorization: Bearer S3cret"),
    ],
)
def test_a_secret_with_a_name_is_hidden(text: str) -> None:
    assert "S3cret" not in redacted(text)
    assert "***" in redacted(text)


def test_a_command_is_kept_without_where_it_is_recorded_and_what_its_workers_are_given() -> None:
    words = ["-m", "mask.rate=0.1,0.3", "tracking.uri=sqlite:///x.db", "+tracking.x=S3cret", "tracking=mlflow"]
    words += ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "+hydra.launcher.env_set.ANY=S3cret"]
    words += ["hydra.launcher.setup=['export X=S3cret']", "+trainer.token=S3cret", "'data.files=${oc.env:CORPUS}'"]
    assert redacted_command(words) == [
        *("-m", "mask.rate=0.1,0.3", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
        *("+hydra.launcher.env_set.ANY=***", "hydra.launcher.setup=***", "+trainer.token=***"),
        "'data.files=${oc.env:CORPUS}'",
    ]


def test_settings_keep_their_shape() -> None:
    settings = {"data": {"path": "https://u:S3cret@h/x", "token": "S3cret", "n": 3}, "list": ["a", "x://u:S3cret@h"]}
    assert redacted_settings(settings) == {
        "data": {"path": "https://***@h/x", "token": "***", "n": 3},
        "list": ["a", "x://***@h"],
    }


def test_log_lines_and_their_tracebacks_hold_no_secret() -> None:
    try:
        raise ValueError("http://u:S3cret@h is away")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "of %s", ("http://u:S3cret@h",), info)
    text = RedactingFormatter("%(message)s").format(record)
    assert text.startswith("of http://***@h\nTraceback")
    assert "S3cret" not in text.replace('raise ValueError("http://u:S3cret@h is away")', "")


def test_no_key_of_the_configuration_is_taken_for_a_secret() -> None:
    def keys(value: Any) -> list[str]:
        return [*value, *chain(*map(keys, value.values()))] if isinstance(value, dict) else []

    studies = [path.stem for path in project_folder("sweeps").glob("study/[!_]*.yaml")]
    options = [f"{path.parent.relative_to(CONF)}={path.stem}" for path in CONF.rglob("*.yaml") if path.parent != CONF]
    assert studies
    known = set(keys(resolved(load([])))) | {word for option in options for word in option.split("=")} | set(studies)
    assert [key for key in known - {"token", "next_token"} if SECRET_KEY.fullmatch(key)] == []
    assert not [option for option in options if redacted(option) != option]
