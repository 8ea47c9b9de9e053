"""The public API: takes command-line words or Python values, returns values. Heavy packages are imported on first call.

A wrong key, option or value raises InputError, a ValueError with the same text that the command would print.
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
from bertlab.tracking.result import Outcome, RunResult

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from bertlab.commands.ending import End
    from bertlab.study.judge import Findings

__all__ = ["InputError", "Judgement", "RunResult", "SweepResult", "judge", "load_study", "run", "study", "sweep"]

Words = Sequence[str] | Mapping[str, object]


def run(overrides: Words = ()) -> RunResult:
    """Train one run, or return the finished run with the same key: `run(["mask.rate=0.3"])`, `run({"mask.rate": 0.3})`.

    Raises InputError.
    """
    words = _words(overrides)
    with _explained(words):
        from bertlab.config.compose import check, load, resolved, typed
        from bertlab.config.importing import import_heavy
        from bertlab.config.reading import written_out
        from bertlab.data.of_start import with_model
        from bertlab.data.start_weights import with_start_folders
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
    """Train one run for each combination of values: `sweep({"mask.rate": [0.15, 0.3], "seed": range(3)})`.

    A value that is not a list holds for all runs. So do `overrides`, such as hydra/launcher=joblib. If a run fails, the
    others go on, and its status says that it failed. Raises InputError before any run starts.
    """
    if not isinstance(grid, Mapping):
        raise InputError(f"grid must be a mapping from keys to values, got {grid!r}; write {{'seed': [0, 1]}}")
    words = [*_words(overrides), *(f"{key}={_choices(values)}" for key, values in grid.items())]
    end: Any = _launched(["-m", *words])
    return SweepResult(tuple(end.outcomes), tuple(grid), end.report)


def study(name: str, overrides: Words = ()) -> "StudyResult":
    """Run a registered study until it is decided: `study("mask_rate")`. The same call continues an interrupted study.

    Raises InputError before any run starts, and RuntimeError if a run failed that other runs need.
    """
    try:
        end: Any = _launched([f"study={name}", *_words(overrides)])
    except SystemExit as stopped:
        raise RuntimeError(f"study {name} cannot go on, a run failed; the same call makes what is missing") from stopped
    return StudyResult(end.findings, end.page)


def load_study(path: str | Path) -> "StudyResult":
    """Read the report folder of a study, such as reports/mask_rate, and judge it. Raises InputError."""
    from bertlab.study.judge import judge as judge_record
    from bertlab.study.record import read_record

    page = Path(path).with_suffix(".md")
    return StudyResult(judge_record(read_record(page.with_suffix(""))), page if page.is_file() else None)


def judge(
    arm: "ArrayLike", baseline: "ArrayLike", *, margin: float, lower_is_better: bool = True, level: float = 0.90
) -> "Judgement":
    """Judge any paired numbers: one of the arm and one of the baseline for each seed, in the same order.

    `margin`: the smallest difference that matters, in the unit of the numbers. `level`: confidence level of the
    interval; 0.90 tests at .05 on each side. Raises ValueError for unequal numbers of seeds, numbers that are not
    finite, and a margin or level out of bounds.
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
        verdict=verdict.words,
        mean=paired.mean,
        low=interval.low,
        high=interval.high,
        n=paired.n,
        level=level,
        margin=margin,
        p=paired.sign_flip_p,
        needed=verdict.needed,
    )


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """A verdict on arm minus baseline, with the mean difference and its interval over seeds.

    `needed`: number of seeds for an 80 % chance of a decision; None if it is already decided. `p`: sign-flip test.
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
    """The result of a sweep: the outcome of each job, in grid order, and the report."""

    outcomes: tuple[Outcome, ...]
    factors: tuple[str, ...]
    report: Path | None

    @property
    def results(self) -> list[RunResult]:
        """The results of the runs that ended well."""
        return [outcome.result for outcome in self.outcomes if outcome.result]

    @property
    def runs(self) -> "pd.DataFrame":
        """One row per run: the factors, the status, and the last value of each metric."""
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
    """The result of a study. `findings` holds the registered question, the verdicts and their numbers."""

    findings: "Findings"
    page: Path | None

    @property
    def status(self) -> str:
        """Status of the claim: SUPPORTED, REFUTED, UNDECIDED or NOT JUDGED."""
        from bertlab.report.study.verdict import status_word

        return status_word(self.findings)

    @property
    def contrasts(self) -> "pd.DataFrame":
        """One row per arm against the baseline, controls last: differences, intervals, verdicts."""
        import pandas as pd

        from bertlab.report.study.contrasts import rows_of

        return pd.DataFrame(rows_of(self.findings))

    @property
    def runs(self) -> "pd.DataFrame":
        """One row per run: arm, seed, and the last value of each metric."""
        return self.findings.record.runs.copy()

    @property
    def curves(self) -> "pd.DataFrame":
        """Evaluations during the runs: run_id, metric, step, tokens, value."""
        return self.findings.record.curves.copy()

    def _repr_html_(self) -> str:
        from html import escape

        from bertlab.report.study.verdict import headline

        shown = self.contrasts[["arm", "role", "n", "mean", "decision_low", "decision_high", "verdict", "finding"]]
        return f"<p>{escape(headline(self.findings))}</p>{shown.to_html(index=False)}"


def _launched(words: Sequence[str]) -> "End":
    """Launch a sweep or a study like the command. Logging and the SIGTERM handler are restored afterwards."""
    with _explained(words), _as_it_was():
        from bertlab.commands.run import launch
        from bertlab.config.compose import check
        from bertlab.config.reading import check_command, written_out
        from bertlab.data.of_start import with_model
        from bertlab.data.start_weights import with_start_folders

        own = with_model(written_out(words))
        check(own)
        check_command(own)
        return launch(with_start_folders(own))


@contextmanager
def _explained(words: Sequence[str]) -> Iterator[None]:
    """Convert errors that the caller caused to InputError, with the text that the command would print."""
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
    """Return overrides as command-line words. Use the user's own folder if one names it. Raises InputError."""
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
    """Return the values of a grid key in Hydra's sweep syntax; a single value stays single."""
    if not isinstance(values, Iterable) or isinstance(values, str | Mapping):
        return _text(values)
    if texts := [_text(value) for value in values]:
        return ",".join(texts)
    raise InputError("a key of a grid must have at least one value, got an empty list; leave the key out")


def _text(value: object) -> str:
    """Return a value as the user would type it."""
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
