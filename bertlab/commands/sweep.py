"""Train a grid of runs and report it: `bertlab sweep key=value,value ... [key=value ...]`.

Every value between commas makes one more run; several keys with commas make every combination. Takes the keys of
bertlab run, which `bertlab run --help` lists with their options; `bertlab sweep` is short for `bertlab run -m`.

  bertlab sweep mask.rate=0.15,0.3 seed=0,1,2                  six runs, paired by seed
  bertlab sweep model/norm=layer,rms seed=0,1                  options of a group
  bertlab sweep 'seed=range(4)' optimizer.lr=0.001,0.002       seeds 0 to 3
  bertlab sweep mask=token,first --own my_lab                  with options of a folder of your own: docs/own.md

All settings of all runs are checked before the first begins. Runs with equal seeds get equal batches and initial
weights, so the report compares them in pairs. Finished runs are not repeated and stopped ones continue: after a crash
or an interrupt type the same command again. A failed run does not stop the others.

  output_dir=FOLDER              default: outputs; the report is in the sweep's folder, which the last lines name
  hydra/launcher=joblib          several runs at once on this machine; hydra.launcher.n_jobs=4 says how many
  hydra/launcher=slurm           on a cluster; or ray: docs/cluster.md
  hydra/sweeper=optuna           a search instead of a grid
  tracking.reuse=code            also uses runs that were made in another environment; any: by other code too

Afterwards:
  bertlab runs mask.rate=0.3                                   lists them
  bertlab report from=FOLDER                                   writes the report again
"""

from collections.abc import Sequence

from bertlab.commands import run
from bertlab.config.arguments import answer
from bertlab.config.error_messages import one_line_errors


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors(words):
        answer(__doc__, words)
    run.main(["-m", *words])
