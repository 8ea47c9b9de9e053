"""Redaction: what is shown or kept -> the same without user names, passwords and tokens.

The one place that every address, command line, error, log line and record passes. Where an address can be read in two
ways, it hides more. Imports nothing heavy.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

HIDDEN = "***"
_NAME = r"(?:[\w.-]*(?:password|passwd|passphrase|pwd|pw|token|secret|credentials?|api_?key|access_?key)|auth|sig)"
_VALUE = r"\"[^\"]*\"|'[^']*'|[^\s&,;'\")\]}]+"
USERINFO = re.compile(r"(?<=://)(?!/)(?:(?!://)\S)*@")  # up to the last @: a password may hold / and @ too
ASSIGNED = re.compile(rf"(?i)(\b{_NAME}\s*=\s*)(?:{_VALUE})")  # in a query, a shell, a DSN
QUOTED = re.compile(rf"(?i)((['\"]){_NAME}\2\s*:\s*)(?:{_VALUE})")  # in JSON, in Python
VARIABLE = re.compile(rf"(\b[A-Z0-9_]*(?:PASSWORD|PASSWD|PWD|PW|TOKEN|SECRET|KEY):\s*)(?:{_VALUE})")  # in YAML
HEADER = re.compile(r"(?i)(\bauthorization['\"]?\s*[:=]\s*['\"]?(?:basic|bearer|token)\s+)[^\s'\",}]+")
SECRET_KEY = re.compile(rf"(?i){_NAME}")
UNKEPT = re.compile(r"[+~]*tracking\b")  # words of a command line that say where it is recorded, not what
FOLDER = re.compile(r"[+~]*(output|report)_dir\b")  # where it lies on this machine
LAUNCHER = re.compile(r"[+~]*hydra[./]launcher\b")
PLAIN = re.compile(r"[\w.+-]*")  # a name or a number: no assignment, list or address


def redacted(text: str) -> str:
    """Return a text in which each address has *** for its userinfo, and each secret that is named *** for its value."""
    text = USERINFO.sub(_userinfo, text)
    for pattern in (HEADER, ASSIGNED, QUOTED, VARIABLE):
        text = pattern.sub(rf"\1{HIDDEN}", text)
    return text


def _userinfo(found: re.Match[str]) -> str:
    """Return the userinfo hidden; as it is where the @ stands in the path of an address without a userinfo."""
    info = found[0][:-1]
    authority = re.split(r"[/?#]", info, maxsplit=1)[0]
    return f"{HIDDEN}@" if authority == info or {":", "@"} & set(authority) else found[0]


def shown(address: str) -> str:
    """Return an address as it may be shown. More is known of it than of a text: it may hold spaces."""
    scheme, colon, rest = address.rpartition("://") if address.count("://") == 1 else ("", "", address)
    if not rest.startswith("/") and "@" in rest:
        rest = f"{HIDDEN}@{rest.rpartition('@')[2]}"
    rest = re.sub(rf"(?i)([?&]{_NAME}=)[^&]*", rf"\1{HIDDEN}", rest)
    return redacted(f"{scheme}{colon}{rest}")


def redacted_command(words: Sequence[str]) -> list[str]:
    """Return the words of a command line as a record keeps them: without those of `tracking`, without secrets."""
    return [_word(word) for word in words if not UNKEPT.match(word)]


def recorded_command(words: Sequence[str]) -> list[str]:
    """Return the words of a command line as a page shows them to everybody: without folders of this machine, too."""
    return [word for word in redacted_command(words) if not FOLDER.match(word)]


def _word(word: str) -> str:
    key, equals, value = word.partition("=")
    if SECRET_KEY.fullmatch(key) or (LAUNCHER.match(key) and (".env" in key or not PLAIN.fullmatch(value))):
        return f"{key}{equals}{HIDDEN}" if equals else word
    return f"{key}{equals}{shown(value)}" if value.count("://") == 1 else redacted(word)


def redacted_settings(value: Any, key: str = "") -> Any:
    """Return settings, as JSON has them, without secrets."""
    if isinstance(value, Mapping):
        return {name: redacted_settings(child, str(name)) for name, child in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_settings(child, key) for child in value]
    if not isinstance(value, str):
        return value
    return HIDDEN if value and SECRET_KEY.fullmatch(key) else redacted(value)


class RedactingFormatter(logging.Formatter):
    """Formats log records, tracebacks included, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        return redacted(super().format(record))
