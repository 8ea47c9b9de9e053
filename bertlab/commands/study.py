"""Answer a registered question: `bertlab study ID [key=value ...]`, an ID of `bertlab studies`.

A study is one file of sweeps/study: a baseline, arms that differ from it by the declared change only, the claim that is
tested, the smallest difference that matters, and the seeds. The command trains paired runs until the claim is decided
or the seeds are used up, and writes the report. Takes the keys of bertlab run, which `bertlab run --help` lists; they
hold for all arms.

  bertlab studies                                    the questions, and their states
  bertlab plan mask_rate                             what the study would cost and could find; trains nothing
  bertlab study mask_rate                            runs it; `bertlab run study=mask_rate` is the same
  bertlab study mask_rate budget.tokens=500000       with another budget for all arms
  bertlab study mask_rate report_dir=reports         continues from the runs of a committed report
  bertlab study mine --own my_lab                    a study of a folder of your own: docs/own.md
  bertlab report study=mask_rate                     writes its report again

Finished runs are not repeated and stopped ones continue: after a crash or an interrupt type the same command again. The
page says what was found, how sure it is, and how to repeat it; docs/verdicts.md explains its words.

  report_dir=FOLDER              default: outputs/reports; gets ID.md, a folder with the numbers, and the answer book
  hydra/launcher=joblib          several runs at once on this machine; slurm or ray: on a cluster, docs/cluster.md
"""

from collections.abc import Sequence

from bertlab.commands import run
from bertlab.config.arguments import answer
from bertlab.config.error_messages import one_line_errors


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors(words):
        answer(_help, words)
    run.main(words)


def _help() -> str:
    from bertlab.commands.run_help import studies

    return "\n".join([(__doc__ or "").strip(), "", *studies()])
