"""Check a folder with your own parts: `bertlab check [FOLDER] [key=value ...]`.

For every option in FOLDER/conf: composes and builds it, trains it for three steps on generated text, with the given
keys of bertlab run, and tests the contracts of its family. For every study in FOLDER/sweeps/study: composes it, checks
that its arms differ only by what they declare, and builds every part of every arm. Exit code 1 if anything fails.
Without FOLDER it uses the folder of --own, of BERTLAB_OWN or of pyproject.toml.

  bertlab check my_lab
  bertlab check my_lab model/position=sinusoidal model/embedding=sum
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bertlab.config.arguments import answer
from bertlab.config.building import build_part, build_parts
from bertlab.config.compose import check, conf_folders, load, resolved, sweep_folders
from bertlab.config.error_messages import explain, one_line_errors
from bertlab.config.errors import InputError
from bertlab.config.importing import import_heavy
from bertlab.config.own import OPTION, VARIABLE, own_folder, place_of, take_own
from bertlab.config.own_files import refused_files

TINY = {
    **{"data": "oracle", "data.documents": "60", "batch.size": "4", "batch.length": "35", "budget.tokens": "2800"},
    **{"evaluation.sequences": "8", "evaluation.pseudo": "0", "tracking.offline": "true"},
}
Trial = tuple[str, Callable[[], object]]  # a name, and a check that raises if it fails


def main(words: Sequence[str]) -> None:
    """Run the command."""
    with one_line_errors():
        answer(__doc__, words)
        if check_folder(_chosen(words)):
            raise SystemExit(1)


def _chosen(words: Sequence[str]) -> list[str]:
    """Return the keys and values of a command line, and use its folder in this process."""
    folders = [word for word in words[:1] if "=" not in word and not word.startswith("-")]
    return take_own([*(f"{OPTION}={folder}" for folder in folders), *words[len(folders) :]])


def check_folder(words: Sequence[str]) -> int:
    """Print the result of every check of the folder; return the number of failures. Raises InputError."""
    folder = own_folder()
    if folder is None:
        raise InputError(f"{OPTION} must name a folder, got nothing; write it first, or set {VARIABLE}")
    if refused := list(refused_files(conf_folders(), sweep_folders())):
        for path, error in refused:
            print(f"{path.relative_to(folder.parent)}\n  FAILED  may be used: {error}")  # noqa: T201
        print("nothing else was tried: no command takes a folder before all of its files may be used")  # noqa: T201
        return len(refused)
    check(words)
    files = [*sorted(folder.glob("conf/**/*.yaml")), *sorted(folder.glob("sweeps/study/*.yaml"))]
    if not files:
        raise InputError(f"{folder} must hold conf/<group>/<name>.yaml or sweeps/study/<id>.yaml, got none; add one")
    import_heavy("bertlab.sweep.run")
    broken, tried = 0, 0
    for path in files:
        print(path.relative_to(folder.parent))  # noqa: T201
        trials = _of_study(path.stem, words) if path.parent.name == "study" else _of_option(folder, path, words)
        failed: dict[str, list[str]] = {}  # names of this file's failed checks, by reason
        for name, attempt in trials:
            wrong = _wrong(attempt)
            if wrong:
                failed.setdefault(wrong, []).append(name)
            if not wrong or len(failed[wrong]) == 1:
                print(f"  {'FAILED' if wrong else 'ok':<6}  {name}{f': {wrong}' if wrong else ''}")  # noqa: T201
            broken, tried = broken + bool(wrong), tried + 1
            if wrong and attempt is trials[0][1]:
                break  # a part that cannot be built has no other checks
        for first, *more in failed.values():
            if more:
                print(f"  FAILED  {len(more)} more, for the same reason as: {first}")  # noqa: T201
    print(f"{tried - broken} of {tried} hold")  # noqa: T201
    return broken


def _wrong(attempt: Callable[[], object]) -> str:
    """Return why an attempt fails, in one line; "" if it succeeds."""
    try:
        attempt()
    except Exception as error:  # user code may raise anything
        raised = " ".join(f"{type(error).__name__}: {error}".removeprefix("AssertionError: ").split())
        return explain(error) or f"{raised}{place_of(error)}"
    return ""


def _of_study(name: str, words: Sequence[str]) -> list[Trial]:
    from bertlab.study.arms import from_file, register
    from bertlab.study.early import check_study

    compose = from_file(name, *words)

    def build() -> None:
        registration = register(compose)
        for config in (*registration.arms.values(), *registration.controls.values()):
            build_parts(config)

    alike = "composes, and its arms differ only by what they declare"
    return [(alike, lambda: check_study(compose)), ("every part of every arm is built", build)]


def _of_option(folder: Path, path: Path, words: Sequence[str]) -> list[Trial]:
    from bertlab.commands.check.run import a_few_steps_have_finite_losses_and_the_same_ones_again as a_few_steps
    from bertlab.sweep.run import check as check_run

    group = path.parent.relative_to(folder / "conf").as_posix()
    chosen = _tiny([f"{group}={path.stem}", *words])

    def run() -> Mapping[str, Any]:
        config = resolved(load(chosen))
        check_run(config)
        return config

    trials = [("composes and is built", run), (_name(a_few_steps), lambda: a_few_steps(check_run(run())))]
    return [*trials, *_of_family(group, chosen)]


def _tiny(words: Sequence[str]) -> list[str]:
    """Return overrides for a very small run, before the given ones."""
    given = {word.partition("=")[0] for word in words}
    left_out = given | ({"data.documents"} if "data" in given else set())  # this key exists only for the generated text
    return [*(f"{key}={value}" for key, value in TINY.items() if key not in left_out), *words]


def _of_family(group: str, words: Sequence[str]) -> Iterator[Trial]:
    """Yield the contracts of a family."""
    if group == "mask":
        from bertlab.commands.check import mask

        for contract in mask.CONTRACTS:
            yield _name(contract), partial(_try, contract, lambda: build_part(resolved(load(words)), "mask"))
    elif group.startswith("model/"):
        yield from _of_model(words)


def _of_model(words: Sequence[str]) -> Iterator[Trial]:
    from bertlab.commands.check import model as contracts
    from bertlab.model.bert import Bert
    from bertlab.model.init import initialise
    from bertlab.streams import Streams

    sizes = [f"model.{name}={size}" for name, size in contracts.SIZES.items()]

    def build(*more: str) -> Bert:
        config = resolved(load([*words, "model=base", *sizes, *more]))
        model: Bert = build_part(config, "model")(contracts.V, contracts.LONGEST)
        initialise(model, Streams(3))
        return model.eval()

    for contract in contracts.CONTRACTS:
        yield _name(contract), partial(_try, contract, build)
    for visibility in contracts.MAY_SEE:
        choice = f"model/visibility={visibility}"
        yield f"nothing leaks with {choice}", partial(_leaks, contracts.nothing_leaks, build, choice)


def _try(contract: Callable[[Any], None], build: Callable[[], Any]) -> None:
    contract(build())


def _leaks(contract: Callable[[Any, str], None], build: Callable[..., Any], choice: str) -> None:
    try:
        model = build(choice)
    except InputError:
        return  # these two cannot be combined; the program refuses them before a run
    contract(model, choice.partition("=")[2])


def _name(contract: Callable[..., None]) -> str:
    return contract.__name__.replace("_", " ")
