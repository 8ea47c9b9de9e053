"""Publish an exported model on the Hugging Face hub: `bertlab push from=FOLDER to=USER/NAME [private=true] [yes=true]`.

Shows what would be sent, and asks before it sends anything. Log in once with `hf auth login`.
  from=FOLDER   the folder that bertlab export wrote, with its model card README.md
  to=USER/NAME  the repository; created if it does not exist
  private=true  create a new repository as private (default: false)
  yes=true      do not ask

  bertlab push from=my-bert to=me/my-bert
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError

DEFAULTS = {"from": None, "to": None, "private": "false", "yes": "false"}
NEEDED = ("config.json", "model.safetensors", "tokenizer.json", "README.md")


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors():
        arguments = parse(DEFAULTS, __doc__, words)
        files = looked_at(arguments)
        from huggingface_hub import HfApi

        print(push(arguments, files, HfApi(), ask))  # noqa: T201


def looked_at(arguments: dict[str, Any]) -> list[Path]:
    """Return the files that would be sent. Raises InputError for invalid arguments or folders."""
    for key in ("from", "to"):
        if not arguments[key]:
            raise InputError(f"{key} must be given; add {key}=... (bertlab push --help)")
    for key in ("private", "yes"):
        if arguments[key] not in ("true", "false"):
            raise InputError(f"{key} must be true or false, got {arguments[key]}; choose one")
    if arguments["to"].count("/") != 1 or not all(arguments["to"].split("/")):
        raise InputError(f"to must be USER/NAME, got {arguments['to']}; write for example to=me/my-bert")
    folder = Path(arguments["from"])
    if missing := [name for name in NEEDED if not (folder / name).is_file()]:
        raise InputError(
            f"from must be a folder that bertlab export wrote, got {folder} without {missing[0]}; "
            "bertlab export run=ID to=FOLDER writes one"
        )
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))


def push(arguments: dict[str, Any], files: Sequence[Path], api: Any, ask: Callable[[str], bool]) -> str:
    """Send the files if the answer is yes, and return the result. `api`: an `HfApi` of huggingface_hub.

    Raises InputError if the hub refuses.
    """
    to, private = arguments["to"], arguments["private"] == "true"
    shown = "\n".join(f"  {path.stat().st_size / 1e6:10,.2f} MB  {path.name}" for path in files)
    question = f"{shown}\nSend this to huggingface.co/{to}, {'for you alone' if private else 'for everyone to see'}?"
    if arguments["yes"] != "true" and not ask(question):
        return "nothing was sent"
    try:
        api.create_repo(to, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=to,
            folder_path=arguments["from"],
            allow_patterns=[path.name for path in files],
            commit_message="Exported by bertlab",
        )
    except (OSError, ValueError) as error:  # the hub's client raises these for a missing login and a missing network
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"to must be a repository that you may write to, got {to} ({reason}); hf auth login, or choose another"
        ) from error
    return f"sent to https://huggingface.co/{to}"


def ask(question: str) -> bool:
    """Return whether the user agrees. Raises InputError if there is no terminal."""
    if not sys.stdin.isatty():
        raise InputError("yes must be true without a terminal for the question, got no terminal; add yes=true to send")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
