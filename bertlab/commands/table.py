"""The table of commands: `bertlab <name>` -> the module that has it, and one line of help. A new one is a line here.

A module has `main(words)`, its help as docstring, and its keys as DEFAULTS where it takes none of bertlab.run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module


@dataclass(frozen=True)
class Command:
    """One command."""

    module: str
    line: str
    means: tuple[str, ...] = ()  # words that it stands for
    names: str = ""  # the key that a first word without = is a value of

    def words(self, typed: Sequence[str]) -> list[str]:
        """Return the words that the module is given for those that were typed."""
        first, rest = (typed[0], typed[1:]) if typed else ("", ())
        named = self.names and first and "=" not in first and not first.startswith("-")
        return [*self.means, f"{self.names}={first}", *rest] if named else [*self.means, *typed]

    def main(self, typed: Sequence[str]) -> None:
        """Run the command with the words that were typed behind its name."""
        import_module(self.module).main(self.words(typed))


COMMANDS = {
    "run": Command("bertlab.commands.run", "train one run: bertlab run mask.rate=0.3"),
    "sweep": Command("bertlab.commands.run", "train a grid of runs and report it: bertlab sweep seed=0,1", ("-m",)),
    "study": Command("bertlab.commands.run", "answer a registered question: bertlab study mask_rate", names="study"),
    "plan": Command("bertlab.experiment.plan.__main__", "what a study would cost and could find", names="study"),
    "report": Command("bertlab.report.__main__", "write the report of a sweep or a study again"),
    "site": Command("bertlab.site.__main__", "write the results as a site that opens from a file"),
    "runs": Command("bertlab.commands.runs", "list, filter and remove runs"),
    "studies": Command("bertlab.commands.studies", "list the studies with their questions and states"),
    "show": Command("bertlab.commands.show", "look at the corpus and a batch"),
    "describe": Command("bertlab.commands.describe", "parameters, FLOPs and memory of a model, by part"),
    "compare": Command("bertlab.commands.compare", "what differs between two runs, and whether one is reused"),
    "export": Command("bertlab.commands.export", "a finished run as a folder for transformers"),
    "check": Command("bertlab.commands.check", "try the parts and studies of a folder of your own: docs/own.md"),
    "sync": Command("bertlab.commands.sync", "bring runs from disk into an MLflow store"),
    "clean": Command("bertlab.commands.clean", "free the checkpoints that no run needs"),
    "corpus": Command("bertlab.corpus.__main__", "fetch the public-domain books: bertlab corpus books"),
    "facts": Command("bertlab.facts.__main__", "write the page of facts that the code itself decides"),
    "server": Command("bertlab.commands.server", "an MLflow server on PostgreSQL, for a team"),
    "completion": Command("bertlab.commands.completion", 'tab completion: eval "$(bertlab completion)"'),
}
