"""The public API: words or values in, values out. `import bertlab` has it; what is heavy is imported by a call.

A wrong key, option or value raises InputError, a ValueError whose text is the line that the command would print.
"""

import logging
import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bertlab.config.errors import InputError
from bertlab.config.own import take_own
from bertlab.ledger.result import Outcome, RunResult

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from bertlab.commands.ending import End
    from bertlab.study.judge import Findings

__all__ = ["InputError", "Judgement", "RunResult", "SweepResult", "judge", "load_study", "run", "study", "sweep"]

Words = Sequence[str] | Mapping[str, object]


def run(overrides: Words = ()) -> RunResult:
    """Train one run, or return the finished one that it equals: `run(["mask.rate=0.3"])` or `run({"mask.rate": 0.3})`.

    Raises InputError.
    """
    words = _words(overrides)
    with _explained(words):
        from bertlab.config.compose import check, load, resolved, typed
        from bertlab.config.importing import import_heavy
        from bertlab.config.reading import written_out
        from bertlab.data.of_start import with_model
        from bertlab.tracking.start_weights import with_start_folders
        from bertlab.train.early import check_card, check_early

        words = with_model(written_out(words))
        check(words)
        words = with_start_folders(words)
        composed = load(words)
        if composed.get("study"):
            raise InputError(f"run makes one run, got a study; call bertlab.study({composed.study.id!r})")
        config = resolved(composed)
        check_early([config])
        check_card(config)
        import_heavy("bertlab.sweep.run")
        from bertlab.sweep.run import train

        return train(config, typed(composed, [word for word in words if not word.startswith("hydra")]))


def sweep(grid: Mapping[str, object], overrides: Words = ()) -> "SweepResult":
    """Train a run for each combination of values: `sweep({"mask.rate": [0.15, 0.3], "seed": range(3)})`.

    A value that is no list holds for all runs, and so do `overrides`, such as hydra/launcher=joblib. A run that fails
    stops none of the others; its status says so. Raises InputError before anything has run.
    """
    if not isinstance(grid, Mapping):
        raise InputError(f"grid must be a mapping from keys to values, got {grid!r}; write {{'seed': [0, 1]}}")
    words = [*_words(overrides), *(f"{key}={_choices(values)}" for key, values in grid.items())]
    end: Any = _launched(["-m", *words])
    return SweepResult(tuple(end.outcomes), tuple(grid), end.report)


def study(name: str, overrides: Words = ()) -> "StudyResult":
    """Run a registered study until it is decided: `study("mask_rate")`. The same call goes on where it stopped.

    Raises InputError before anything has run, and RuntimeError where a run failed that the others rest on.
    """
    try:
        end: Any = _launched([f"study={name}", *_words(overrides)])
    except SystemExit as stopped:
        raise RuntimeError(f"study {name} cannot go on, a run failed; the same call makes what is missing") from stopped
    return StudyResult(end.findings, end.page)


def load_study(path: str | Path) -> "StudyResult":
    """Read and judge what a study left, such as reports/mask_rate. Raises InputError."""
    from bertlab.study.judge import judge as judge_record
    from bertlab.study.record import read_record

    page = Path(path).with_suffix(".md")
    return StudyResult(judge_record(read_record(page.with_suffix(""))), page if page.is_file() else None)


def judge(
    arm: "ArrayLike", baseline: "ArrayLike", *, margin: float, lower_is_better: bool = True, level: float = 0.90
) -> "Judgement":
    """Judge anybody's paired numbers: one of the arm and one of the baseline for each seed, in the same order.

    `margin`: the smallest difference that matters, in units of the numbers. `level`: of the interval; 0.90 tests at .05
    on each side. Raises ValueError for unequal numbers of seeds, numbers that are not finite, and a margin or level
    out of bounds.
    """
    from bertlab.stats.contrast import contrast
    from bertlab.stats.verdict import judge as judge_interval

    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}; choose for example 0.9")
    paired = contrast(arm, baseline)
    if paired.n < 2:
        raise ValueError(f"an interval needs at least 2 pairs, got {paired.n}; add seeds")
    interval = paired.interval(level)
    verdict = judge_interval(interval, margin, lower_is_better=lower_is_better)
    return Judgement(
        verdict.words,
        paired.mean,
        interval.low,
        interval.high,
        paired.n,
        level,
        margin,
        paired.sign_flip_p,
        verdict.needed,
    )


@dataclass(frozen=True)
class Judgement:
    """A verdict on arm minus baseline, with the mean difference and its interval over seeds.

    `needed`: seeds for an 80 % chance of a decision, None where there is one. `p`: of the sign-flip test.
    """

    verdict: str
    mean: float
    low: float
    high: float
    n: int
    level: float
    margin: float
    p: float
    needed: int | None

    def _repr_html_(self) -> str:
        between = f"{self.mean:+.4g}, {self.level:.0%} interval {self.low:+.4g} to {self.high:+.4g}"
        return f"<b>{self.verdict}</b>: {between}, margin {self.margin:.4g}, {self.n} pairs"


@dataclass(frozen=True)
class SweepResult:
    """How a sweep ended: each job's outcome, in the order of the grid, and the report of all."""

    outcomes: tuple[Outcome, ...]
    factors: tuple[str, ...]
    report: Path | None

    @property
    def results(self) -> list[RunResult]:
        """What the runs reached that have ended well."""
        return [outcome.result for outcome in self.outcomes if outcome.result]

    @property
    def runs(self) -> "pd.DataFrame":
        """One row a run: the factors, how it ended, and the last value of each metric."""
        import pandas as pd

        table = pd.DataFrame([self._row(outcome) for outcome in self.outcomes])
        for factor in self.factors:
            numbers = pd.to_numeric(table[factor], errors="coerce")
            table[factor] = table[factor] if numbers.isna().any() else numbers
        return table

    def _row(self, outcome: Outcome) -> dict[str, Any]:
        from bertlab.config.reading import written_out

        words = dict(word.lstrip("+").split("=", 1) for word in outcome.overrides if "=" in word)
        row: dict[str, Any] = {
            factor: words.get(written_out([f"{factor}="])[-1].lstrip("+").removesuffix("=")) for factor in self.factors
        }
        row |= {"status": outcome.status, "error": outcome.error}
        if outcome.result:
            row |= {"run_id": outcome.result.run_id, "reused": outcome.result.reused, **outcome.result.metrics}
        return row

    def _repr_html_(self) -> str:
        return str(self.runs.to_html(index=False))


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a study found. `findings` holds the registered question, the verdicts and the numbers behind them."""

    findings: "Findings"
    page: Path | None

    @property
    def status(self) -> str:
        """What became of the claim: SUPPORTED, REFUTED, UNDECIDED or NOT JUDGED."""
        from bertlab.report.study.verdict import status_word

        return status_word(self.findings)

    @property
    def contrasts(self) -> "pd.DataFrame":
        """One row for each arm against the baseline, controls last: differences, intervals, verdicts."""
        import pandas as pd

        from bertlab.report.study.contrasts import rows_of

        return pd.DataFrame(rows_of(self.findings))

    @property
    def runs(self) -> "pd.DataFrame":
        """One row a run: arm, seed, and the last value of each metric."""
        return self.findings.record.runs.copy()

    @property
    def curves(self) -> "pd.DataFrame":
        """Evaluations along the runs: run_id, metric, step, tokens, value."""
        return self.findings.record.curves.copy()

    def _repr_html_(self) -> str:
        from html import escape

        from bertlab.report.study.verdict import headline

        shown = self.contrasts[["arm", "role", "n", "mean", "decision_low", "decision_high", "verdict", "finding"]]
        return f"<p>{escape(headline(self.findings))}</p>{shown.to_html(index=False)}"


def _launched(words: Sequence[str]) -> "End":
    """Launch a sweep or a study as the command does. Logging and the handler of SIGTERM are left as they were."""
    with _explained(words), _as_it_was():
        from bertlab.commands.run import launch
        from bertlab.config.compose import check
        from bertlab.config.reading import check_command, written_out
        from bertlab.data.of_start import with_model
        from bertlab.tracking.start_weights import with_start_folders

        own = with_model(written_out(words))
        check(own)
        check_command(own)
        return launch(with_start_folders(own))


@contextmanager
def _explained(words: Sequence[str]) -> Iterator[None]:
    """Raise what is the caller's fault as InputError, with the line that the command would print."""
    from bertlab.config.error_messages import explain

    try:
        yield
    except Exception as error:
        line = None if isinstance(error, InputError) else explain(error, words)
        if line is None:
            raise
        raise InputError(line) from error


@contextmanager
def _as_it_was() -> Iterator[None]:
    root, terminate = logging.getLogger(), signal.getsignal(signal.SIGTERM)
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers, root.level = handlers, level
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, terminate)


def _words(overrides: Words) -> list[str]:
    """Return overrides as words, those that name a person's own folder taken. Raises InputError."""
    if isinstance(overrides, str):
        raise InputError(f"overrides must be a list or a mapping, got {overrides!r}; write [{overrides!r}]")
    if isinstance(overrides, Mapping):
        overrides = [f"{key}={_text(value)}" for key, value in overrides.items()]
    if not isinstance(overrides, Iterable) or not all(isinstance(word, str) for word in overrides):
        raise InputError(
            f"overrides must be words or a mapping, got {overrides!r}; write for example ['mask.rate=0.3']"
        )
    return take_own(overrides)


def _choices(values: object) -> str:
    """Return the values of a grid's key as Hydra sweeps them; one that is no list stands alone."""
    if not isinstance(values, Iterable) or isinstance(values, str | Mapping):
        return _text(values)
    if texts := [_text(value) for value in values]:
        return ",".join(texts)
    raise InputError("a key of a grid must have at least one value, got an empty list; leave the key out")


def _text(value: object) -> str:
    """Return a value as it would be typed."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return f"[{','.join(map(_text, value))}]"
    text = str(value)
    if not isinstance(value, str) or text.replace(".", "").replace("-", "").replace("/", "").replace("_", "").isalnum():
        return text
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
