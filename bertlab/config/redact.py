"""Redaction: removes user names, passwords and tokens from everything that is shown or kept.

Every address, command line, error, log line and record passes this module. If an address is ambiguous, it hides more.
Imports nothing heavy.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"
_NAME = r"(?:[\w.-]*(?:password|passwd|passphrase|pwd|pw|token|secret|credentials?|api_?key|access_?key)|auth|sig)"
_VALUE = r"\"[^\"]*\"|'[^']*'|[^\s&,;'\")\]}]+"
USERINFO = re.compile(r"(?<=://)(?!/)(?:(?!://)\S)*@")  # up to the last @: a password may contain / and @
ASSIGNED = re.compile(rf"(?i)(\b{_NAME}\s*=\s*)(?:{_VALUE})")  # in a query, a shell command, a DSN
QUOTED = re.compile(rf"(?i)((['\"]){_NAME}\2\s*:\s*)(?:{_VALUE})")  # in JSON, in Python
VARIABLE = re.compile(rf"(\b[A-Z0-9_]*(?:PASSWORD|PASSWD|PWD|PW|TOKEN|SECRET|KEY):\s*)(?:{_VALUE})")  # in YAML
HEADER = re.compile(r"(?i)(\bauthorization['\"]?\s*[:=]\s*['\"]?(?:basic|bearer|token)\s+)[^\s'\",}]+")
SECRET_KEY = re.compile(rf"(?i){_NAME}")
UNKEPT = re.compile(r"[+~]*tracking\b")  # words about tracking: they say where a run is recorded, not what it computes
FOLDER = re.compile(r"[+~]*(output|report)_dir\b")  # folders of this machine
LAUNCHER = re.compile(r"[+~]*hydra[./]launcher\b")
PLAIN = re.compile(r"[\w.+-]*")  # a name or a number, not an assignment, a list or an address


def redacted(text: str) -> str:
    """Return a text with *** in place of the userinfo of each address and of each named secret."""
    text = USERINFO.sub(_userinfo, text)
    for pattern in (HEADER, ASSIGNED, QUOTED, VARIABLE):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def _userinfo(found: re.Match[str]) -> str:
    """Hide the userinfo; keep the text if the @ is in the path of an address without userinfo."""
    info = found[0][:-1]
    authority = re.split(r"[/?#]", info, maxsplit=1)[0]
    return f"{HIDDEN}@" if authority == info or {":", "@"} & set(authority) else found[0]


def shown(address: str) -> str:
    """Return an address that may be shown. Unlike a text, an address may contain spaces."""
    scheme, colon, rest = address.rpartition("://") if address.count("://") == 1 else ("", "", address)
    if not rest.startswith("/") and "@" in rest:
        rest = f"{HIDDEN}@{rest.rpartition('@')[2]}"
    rest = re.sub(rf"(?i)([?&]{_NAME}=)[^&]*", rf"\1{HIDDEN}", rest)
    return redacted(f"{scheme}{colon}{rest}")


def redacted_command(words: Sequence[str]) -> list[str]:
    """Return the words of a command line for a record: without `tracking` keys and without secrets."""
    return [_word(word) for word in words if not UNKEPT.match(word)]


def recorded_command(words: Sequence[str]) -> list[str]:
    """Return the words of a command line for a public page: also without folders of this machine."""
    return [word for word in redacted_command(words) if not FOLDER.match(word)]


def _word(word: str) -> str:
    key, equals, value = word.partition("=")
    if SECRET_KEY.fullmatch(key) or (LAUNCHER.match(key) and (".env" in key or not PLAIN.fullmatch(value))):
        return f"{key}{equals}{HIDDEN}" if equals else word
    return f"{key}{equals}{shown(value)}" if value.count("://") == 1 else redacted(word)


def redacted_settings(value: Any, key: str = "") -> Any:
    """Return JSON-compatible settings without secrets."""
    if isinstance(value, Mapping):
        return {name: redacted_settings(child, str(name)) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_settings(child, key) for child in value]
    if not isinstance(value, str):
        return value
    return HIDDEN if value and SECRET_KEY.fullmatch(key) else redacted(value)


class RedactingFormatter(logging.Formatter):
    """Formats log records, including tracebacks, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        return redacted(super().format(record))
