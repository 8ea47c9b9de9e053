"""The table of commands: `bertlab <name>` -> its module, and one line of help. A new command is one line here.

A module has `main(words)`, its help as docstring, and its keys as DEFAULTS if it does not take those of bertlab run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from bertlab.config.arguments import ANSWERED
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError


@dataclass(frozen=True)
class Command:
    """One command."""

    module: str
    line: str
    names: str = ""  # key of a first word without `=`

    def words(self, typed: Sequence[str]) -> list[str]:
        """Return the words for the module from the words that were typed. Raises InputError if a name is missing."""
        if self.names and typed and "=" not in typed[0] and not typed[0].startswith("-"):
            typed = [f"{self.names}={typed[0]}", *typed[1:]]
        if self.names and not any(word.startswith((f"{self.names}=", *ANSWERED)) for word in typed):
            raise InputError(f"{self.names} must be named, got nothing; bertlab studies lists them")
        return list(typed)

    def main(self, typed: Sequence[str]) -> None:
        """Run the command with the words after its name."""
        with one_line_errors():
            words = self.words(typed)
        import_module(self.module).main(words)


COMMANDS = {
    "run": Command("bertlab.commands.run", "train one run: bertlab run mask.rate=0.3"),
    "sweep": Command("bertlab.commands.sweep", "train a grid of runs and report it: bertlab sweep seed=0,1"),
    "study": Command("bertlab.commands.study", "answer a registered question: bertlab study mask_rate", names="study"),
    "plan": Command("bertlab.experiment.plan.__main__", "what a study would cost and could find", names="study"),
    "report": Command("bertlab.report.__main__", "write the report of a sweep or a study again"),
    "site": Command("bertlab.commands.site", "write the results as a site that opens from a file"),
    "runs": Command("bertlab.commands.runs", "list, filter and remove runs"),
    "studies": Command("bertlab.commands.studies", "list the studies with their questions and states"),
    "show": Command("bertlab.commands.show", "look at the corpus and a batch"),
    "describe": Command("bertlab.commands.describe", "parameters, FLOPs and memory of a model, by part"),
    "compare": Command("bertlab.commands.compare", "what differs between two runs, and whether one is reused"),
    "export": Command("bertlab.commands.export", "a finished run as a folder for transformers"),
    "push": Command("bertlab.commands.push", "an exported model to the Hugging Face hub; asks before it sends"),
    "check": Command("bertlab.commands.check", "try the parts and studies of a folder of your own: docs/own.md"),
    "sync": Command("bertlab.commands.sync", "bring runs from disk into an MLflow store"),
    "clean": Command("bertlab.commands.clean", "free the checkpoints that no run needs"),
    "corpus": Command("bertlab.commands.corpus", "fetch the public-domain books: bertlab corpus books"),
    "facts": Command("bertlab.facts.__main__", "write the page of facts that the code itself decides"),
    "server": Command("bertlab.commands.server", "an MLflow server on PostgreSQL, for a team"),
    "completion": Command("bertlab.commands.completion", 'tab completion: eval "$(bertlab completion)"'),
}
