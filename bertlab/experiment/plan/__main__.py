"""Plan a registered study before it runs: `bertlab plan ID [key=value ...]`.

Takes the keys of bertlab run. Trains only for a short speed measurement, and records nothing. Prints the runs at each
look (how many are finished, tokens, time on this machine, weights on disk) and, for a standard deviation of the paired
differences, the chance of each verdict for true effects of 0, 1/2, 1 and 2 margins. For a ladder without rung=: the
cost of each rung, its chance of a decision, and the predictions for its arms.
  sd=X        standard deviation of a paired difference, in units of the outcome; default: from an earlier report of
              the study in report_dir, else several values that are typical of the nano model
  effect=X    one more true effect, positive = worse than the baseline
  slope=X     change of the baseline's outcome per unit of ln(tokens) near its end, for a margin in tokens; default:
              from an earlier report, else 0.46 nats, from a pilot of nano on 2.25 M tokens (masked-token loss only)
  seconds=20  how long to train the baseline's model to measure speed; 0 leaves out times

  bertlab plan mask_rate sd=0.05
  bertlab plan key_value_ladder            every rung
"""

import sys
from collections.abc import Sequence

from bertlab.config.arguments import ANSWERED, parse
from bertlab.config.error_messages import one_line_errors
from bertlab.config.errors import InputError, closed_interval, open_interval
from bertlab.config.own import take_own

DEFAULTS = {"study": None, "sd": None, "effect": None, "slope": None, "seconds": "20"}


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors(words):
        show(take_own(words))


def show(words: Sequence[str]) -> None:
    """Print the plan that the command line asks for. Raises InputError."""
    help_or_own = [word for word in words if word in ANSWERED or word.partition("=")[0] in DEFAULTS]
    own = parse(DEFAULTS, __doc__, help_or_own)
    numbers = {name: _number(name, own[name]) for name in ("sd", "effect", "slope", "seconds")}
    if not own["study"]:
        raise InputError("study must be given, got nothing; add study=<id>, the name of a file of sweeps/study")

    from rich.console import Console

    from bertlab.config.compose import check
    from bertlab.config.reading import written_out
    from bertlab.data.of_start import with_model
    from bertlab.data.start_weights import with_start_folders
    from bertlab.study.arms import from_file
    from bertlab.study.early import check_arms

    overrides = with_model(written_out([word for word in words if word not in help_or_own]))
    check([f"study={own['study']}", *overrides])
    overrides = with_start_folders(overrides)
    check_arms(from_file(own["study"], *overrides))

    from bertlab.experiment.plan.outlook import outlook
    from bertlab.experiment.plan.rungs import ladder_of, of_ladder, plan_ladder
    from bertlab.experiment.plan.runs import plan_runs
    from bertlab.experiment.plan.tables import of_chances, of_prior, of_runs

    if ladder_of(own["study"], overrides):
        with Console(stderr=True).status("every arm of every rung is checked, then its baseline trained for a moment"):
            rungs = list(plan_ladder(own["study"], overrides, numbers["seconds"] or 0.0))
        for shown in of_ladder(rungs):
            Console().print(shown, markup=False, highlight=False)
        return
    with Console(stderr=True).status("every arm is checked, then the baseline trained for a moment"):
        runs = plan_runs(own["study"], overrides, numbers["seconds"] or 0.0)
    chances = outlook(runs.study, runs.reports, numbers["sd"], numbers["effect"], numbers["slope"])
    console = Console()
    for shown in (*of_runs(runs), *of_chances(chances), *of_prior(runs)):
        console.print(shown, markup=False, highlight=False)


def _number(key: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        value: object = float(text)
    except ValueError:
        value = text
    if key == "seconds":
        return closed_interval(key, value, 0, 3600)
    return closed_interval(key, value, -100, 100) if key == "effect" else open_interval(key, value, 0, 100)


if __name__ == "__main__":
    main(sys.argv[1:])
