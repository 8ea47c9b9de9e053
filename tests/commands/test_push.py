"""Push: an exported folder is uploaded only after a yes; an error of the hub gives one line."""

from pathlib import Path
from typing import Any

import pytest

from bertlab.commands.push import DEFAULTS, NEEDED, ask, looked_at, push
from bertlab.config.errors import InputError


class Hub:
    """A fake of huggingface_hub's HfApi, which records its calls or refuses them."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.error = error

    def create_repo(self, to: str, **words: Any) -> None:
        if self.error:
            raise self.error
        self.asked.append((to, words))

    def upload_folder(self, **words: Any) -> None:
        self.asked.append((words.pop("repo_id"), words))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*NEEDED, ".hidden"):
        (tmp_path / name).write_text("x", "utf-8")
    return tmp_path


def words(folder: Path, **own: str) -> dict[str, Any]:
    return {**DEFAULTS, "from": str(folder), "to": "me/bert", **own}


def test_nothing_is_sent_without_a_yes(folder: Path) -> None:
    hub, questions = Hub(), list[str]()
    said = push(words(folder), looked_at(words(folder)), hub, lambda question: bool(questions.append(question)))
    assert (said, hub.asked) == ("nothing was sent", [])
    assert "huggingface.co/me/bert, for everyone to see?" in questions[0]
    assert all(name in questions[0] for name in NEEDED)


@pytest.mark.parametrize("own", [{}, {"yes": "true", "private": "true"}])
def test_after_a_yes_the_shown_files_are_sent_and_no_others(folder: Path, own: dict[str, str]) -> None:
    hub, asked = Hub(), words(folder, **own)
    assert push(asked, looked_at(asked), hub, lambda _: not own) == "sent to https://huggingface.co/me/bert"
    (_, made), (to, sent) = hub.asked
    assert made == {"private": bool(own), "exist_ok": True}
    assert (to, sorted(sent["allow_patterns"])) == ("me/bert", sorted(NEEDED))


def test_a_hub_that_refuses_is_one_line(folder: Path) -> None:
    with pytest.raises(InputError, match=r"^to must be a repository that you may write to, got me/bert \(403 no\); "):
        push(words(folder, yes="true"), [], Hub(OSError("403\nno")), ask)


def test_without_a_terminal_to_ask_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(InputError, match="yes must be true without a terminal for the question"):
        ask("?")


@pytest.mark.parametrize(
    ("own", "line"),
    [
        ({"to": None}, "to must be given"),
        ({"to": "bert"}, "to must be USER/NAME, got bert"),
        ({"yes": "maybe"}, "yes must be true or false, got maybe"),
        ({"from": "gone"}, "from must be a folder that bertlab export wrote, got gone without config.json"),
    ],
)
def test_bad_words_are_one_line(folder: Path, own: dict[str, Any], line: str) -> None:
    with pytest.raises(InputError, match=f"^{line}"):
        looked_at(words(folder, **own))
