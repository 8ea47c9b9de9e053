"""Design claims about BERT, tested by experiment: `bertlab COMMAND [key=value ...]`."""

import difflib
import sys
from collections.abc import Sequence

from bertlab.commands.table import COMMANDS
from bertlab.config.arguments import answer
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError
from bertlab.config.own import take_own


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line. `words`: the arguments after the program's name; `--own FOLDER` may be anywhere."""
    with one_line_errors():
        name, *rest = take_own(sys.argv[1:] if words is None else words) or ["--help"]
        answer(usage(), ["--help" if name == "help" else name])
        check(name)
    COMMANDS[name].main(rest)


def usage() -> str:
    """Return the help text: every command with its one-line description."""
    lines = [f"  {name:<11} {command.line}" for name, command in COMMANDS.items()]
    end = (
        "bertlab COMMAND --help says more; bertlab --version says which version this is.\n"
        "--own FOLDER adds the options and studies of a folder of your own to any command: docs/own.md."
    )
    return "\n".join([(__doc__ or "").strip(), "", *lines, "", end])


def check(name: str) -> None:
    """Check that a command exists. Raises InputError."""
    if name in COMMANDS:
        return
    if "=" in name:
        raise InputError(f"a command must come first, got {name}; did you mean bertlab run {name}?")
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the commands are {', '.join(COMMANDS)}"
    raise InputError(f"{name or repr(name)} is no command; {hint}")


if __name__ == "__main__":
    main()
