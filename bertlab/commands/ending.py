"""Sentences about how a run, a sweep or a study ended."""

from typing import TYPE_CHECKING, TypeAlias

from bertlab.tracking.result import Outcome, RunResult

if TYPE_CHECKING:
    from bertlab.experiment.run_study import StudyEnd
    from bertlab.sweep.grid import SweepEnd
    from bertlab.sweep.searching import SearchEnd

    End: TypeAlias = Outcome | SweepEnd | SearchEnd | StudyEnd


def say(end: "End") -> None:
    """Print how it ended. Raises SystemExit with code 1 if a run failed."""
    if isinstance(end, Outcome):
        assert end.result is not None
        print(f"{in_words(end.result)}\n{end.where}")  # noqa: T201
        return
    from bertlab.sweep.searching import SearchEnd

    if isinstance(end, SearchEnd):
        print(f"best:      {end.in_words}\n{end.where}")  # noqa: T201
        return
    from bertlab.sweep.grid import SweepEnd, say_failures

    print("\n".join(_of_sweep(end) if isinstance(end, SweepEnd) else _of_study(end)))  # noqa: T201
    say_failures(end.outcomes)


def in_words(result: RunResult, status: str = "") -> str:
    """Describe the result of a run; if the run was reused, say which run it was. `status` is shown already."""
    parts = [("reused", _origin(result))] if result.reused else []
    parts += [("diverged" if result.status == "diverged" else "", _reached(result))]
    return ", ".join(text if word in ("", status) else f"{word}: {text}" for word, text in parts if text)


def _origin(result: RunResult) -> str:
    what = f"run {result.run_id}"
    if result.other_code:
        what += f", made by other code ({result.other_code})"
    if result.other_environment:
        what += f", made in another environment ({result.other_environment})"
    return what


def _reached(result: RunResult) -> str:
    """Describe the metrics of a run."""
    from bertlab.train.recorder import SUMMARY

    if result.status == "diverged":
        return f"a loss was not finite after {result.metrics.get('perf/tokens', 0):,.0f} tokens"
    named = {name: result.metrics.get(f"eval/{name}") for name in SUMMARY}
    return ", ".join(f"eval/{name} {value:.3f}" for name, value in named.items() if value is not None)


def _of_sweep(end: "SweepEnd") -> list[str]:
    """Return a table with the status, the name and the metrics of each run."""
    wide = max(map(len, end.names))
    lines = [
        f"{outcome.status:<8}  {name:<{wide}}  {_of_job(outcome)}".rstrip()
        for outcome, name in zip(end.outcomes, end.names, strict=True)
    ]
    return [*lines, f"report:    {end.report or 'none, no run finished'}", end.where]


def _of_job(outcome: Outcome) -> str:
    if not outcome.result:
        return outcome.error or ""
    words = in_words(outcome.result, outcome.status)
    return f"{words}; started again, its process had gone away" if outcome.lost else words


def _of_study(end: "StudyEnd") -> list[str]:
    from bertlab.report.study import headline

    return [headline(end.findings), f"report:    {end.page}", end.where]
