"""Tab completion for bash and zsh: `eval "$(bertlab completion)"`, once per shell or in ~/.bashrc.

Completes commands, studies, and the groups, options and keys of a run, including keys of the options typed so far.
In zsh, run `autoload -U +X bashcompinit && bashcompinit` first.
"""

from collections.abc import Iterator, Sequence
from importlib import import_module

from bertlab.commands.table import COMMANDS
from bertlab.config.arguments import parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.own import take_own

DEFAULTS = {"line": None}  # the text up to the cursor; the script below fills it in
SCRIPT = """\
_bertlab() {
    local IFS=$'\\n'
    COMPREPLY=($(bertlab completion line="${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
}
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
complete -o nospace -o default -F _bertlab bertlab"""


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors():
        line = parse(DEFAULTS, __doc__, words)["line"]
        print(SCRIPT if line is None else "\n".join(completed(line)))  # noqa: T201


def completed(line: str) -> list[str]:
    """Return completions of the last word of a line. The first word is the program. Raises InputError."""
    words = line.split()[1:] + ([""] if not line or line[-1].isspace() else [])
    name, *typed = [*take_own(words[:-1]), *words[-1:]] or [""]
    if not typed:
        return [f"{each} " for each in COMMANDS if each.startswith(name)]
    return sorted(set(_of_command(name, typed))) if name in COMMANDS else []


def _of_command(name: str, typed: Sequence[str]) -> Iterator[str]:
    command, last = COMMANDS[name], typed[-1]
    own = getattr(import_module(command.module), "DEFAULTS", None)
    if command.names and len(typed) == 1 and "=" not in last:
        from bertlab.study.catalogue import study_files

        yield from (f"{each} " for each in study_files() if each.startswith(last))
    if own is not None:
        yield from (f"{key}=" for key in own if key.startswith(last))
    if (own is None or command.names) and not (command.names and len(typed) == 1):
        means = command.words(typed) if command.names else typed
        yield from _of_hydra([word for word in means if not word.startswith("-")])


def _of_hydra(words: Sequence[str]) -> list[str]:
    """Return Hydra's completions of the last word."""
    from hydra import initialize_config_dir
    from hydra._internal.core_plugins.bash_completion import BashCompletion
    from hydra.core.global_hydra import GlobalHydra

    from bertlab.config.compose import CONF

    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return list(BashCompletion(GlobalHydra.instance().config_loader())._query("run", " ".join(words)))
