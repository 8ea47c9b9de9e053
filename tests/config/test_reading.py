"""Reading a command line: one line names the wrong word and the correction."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from bertlab.config.compose import check
from bertlab.config.errors import InputError
from bertlab.config.reading import check_command, check_single, check_sweep, parsed
from tests.command import typed_exit_code


def sweep(*words: str) -> None:
    check_sweep(OverridesParser.create().parse_overrides(list(words)))


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("data.files=/d/a=b.jsonl", "put the value in quotes, and all of it in those of the shell: "),
        ("data.files=/d/(1).txt", "put the value in quotes, and all of it in those of the shell: "),
        ("data.files=it's.txt", "put the value in quotes, and all of it in those of the shell: "),
        ("data.files=[a", "put the value in quotes, and all of it in those of the shell: "),
        ("tracking.experiment=\u00e9", "put the value in quotes, and all of it in those of the shell: "),
        ("foo", "write foo=... or leave it out"),
        ("seed=1,,2", "leave no choice between commas empty"),
        ("mask=,token", "leave no choice between commas empty"),
        ("seed=choice()", "write for example seed=choice(1,2) or seed=range(0,3)"),
        ("a b=3", "bertlab run --help lists the keys"),
    ],
)
def test_a_word_that_cannot_be_read_is_named_with_what_would_be_right(word: str, advice: str) -> None:
    with pytest.raises(InputError) as caught:
        parsed(word)
    line = str(caught.value)
    assert line.startswith(f"arguments must be key=value that can be read, got {word}; {advice}")
    if "in quotes" in advice:
        quoted = line.partition('the shell: "')[2].removesuffix('"')
        assert str(parsed(quoted).value()) == word.partition("=")[2]


def test_several_values_for_one_run_say_how_to_run_them_all() -> None:
    check_command(["-m", "mask.rate=0.1,0.2"])
    check_command(["study=mask_rate", "mask.rate=0.1,0.2"])  # a study says that it has arms of its own
    check_single(["mask.rate=0.1", "mask.split=[1,0,0]"])
    with pytest.raises(InputError) as caught:
        check_command(["mask.rate=0.1,0.2", "seed=1"])
    assert str(caught.value) == (
        "mask.rate must be one value, got 0.1,0.2; add -m to run each of them, or write mask.rate=[0.1,0.2] for a list"
    )
    with pytest.raises(InputError, match=r"^seed must be one value, got range\(0,3\); add -m to run each of them$"):
        check_command(["seed=range(0,3)"])


@pytest.mark.parametrize(
    "words",
    [
        ["mask=token", "mask=span"],
        ["seed=1,2", "seed=3"],
        ["seed=1", "seed=range(0,2)"],
        ["study=a", "study=b"],
        ["seed=1", "seed=2"],
        ["mask.rate=0.1", "++mask.rate=0.2"],
        ["optimizer.lr=1e-3", "optimizer.lr=0.001"],
    ],
)
def test_a_key_is_given_once_and_the_same_word_twice_says_nothing_new(words: list[str]) -> None:
    check(["seed=1", "seed=1", "mask=token", "mask=token", "mask@mask.policy=span", "mask.rate=0.1"])
    key = words[0].partition("=")[0]
    with pytest.raises(InputError) as caught:
        check(words)
    assert str(caught.value) == f"{key} must be given once, got {words[0]} and {words[1]}; leave one of them out"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["-m", "--cfg", "hydra"], "a command does one thing, got -m and --cfg; leave one of them out"),
        (["--run", "--info", "all"], "a command does one thing, got --run and --info; leave one of them out"),
        (["--resolve"], "--resolve must come with --cfg or --help, got neither; leave it out or add --cfg job"),
    ],
)
def test_a_command_does_one_thing(words: list[str], line: str) -> None:
    check_command(["--cfg", "job", "--resolve", "seed=1"])
    with pytest.raises(InputError) as caught:
        check_command(words)
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["seed=range(0,0)"], "seed must have a value to run, got range(0,0); name at least one"),
        (["seed=range(0,3,0)"], "seed must list values, got range(0,3,0) (range() arg 3 must not be zero); correct it"),
        (["seed=range(0,1000)", "data.words=range(0,1000)"], "a sweep must have at most 100,000 runs, got more; "),
        (["seed=range(0,1000000000000)"], "a sweep must have at most 100,000 runs, got more; leave values out"),
    ],
)
def test_a_sweep_has_runs_and_not_too_many(words: list[str], line: str) -> None:
    sweep("seed=range(0,300)", "mask.rate=0.1,0.2", "mask=span")
    with pytest.raises(InputError) as caught:
        sweep(*words)
    assert str(caught.value).startswith(line)


TASK = "tasks=[{kind: tagging, file: a.tsv}]"
THERE = f"tasks=[{{name: a, kind: tagging, file: '{__file__}'}}]"
TWO = f"{THERE[:-1]}, {{name: b, kind: text, file: '{__file__}'}}]"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["data=text", "data.files=/d/a=b.jsonl"],
            "arguments must be key=value that can be read, got data.files=/d",
        ),
        (["mask.rate=0.1,0.2"], "mask.rate must be one value, got 0.1,0.2; add -m to run each of them, or write "),
        (["-m", "seed=range(0,0)"], "seed must have a value to run, got range(0,0); name at least one"),
        (["-m", "mask="], "mask= is not an option; choose one of all_tokens, apart, "),
        (["seed=1", "seed=2"], "seed must be given once, got seed=1 and seed=2; leave one of them out"),
        (["-m", "seed=1", "mask.rate=0.1,0.2", "seed=2"], "seed must be given once, got seed=1 and seed=2; leave "),
        (["study=mask_rate", "seed=1", "seed=2"], "seed must be given once, got seed=1 and seed=2; leave one of "),
        (["hydra/launcher=joblib"], "hydra/launcher is for sweeps and studies, got hydra/launcher=joblib; add -m, or "),
        (["hydra.launcher.n_jobs=2"], "hydra.launcher.n_jobs is for sweeps and studies, got hydra.launcher.n_jobs=2; "),
        (["evaluation.grid={}"], "evaluation.grid must have the shape that it has now, got {}; bertlab run --help "),
        (["~mask.rate"], "mask.rate must be given, got nothing; keep the value of its option"),
        (["~trainer.clip"], "trainer.clip must be given, got nothing; keep the value of its option"),
        (["~batch.size"], "batch.size must be given, got nothing; keep the default"),
        (["+batch.extra=1"], "batch.extra is not a key of the configuration; batch holds size, length, cls, "),
        (["+mask.extra=1"], "mask.extra is not a key of this part; its keys are rate, split"),
        (["+model.norm.epss=1"], "model.norm.epss is not a key of this part; did you mean model.norm.eps?"),
        (["+new.key=1"], "new is not a key of the configuration; bertlab run --help lists the keys"),
        (["hydra.run.dir=elsewhere"], "hydra.run.dir is not for the command line; "),
        (
            ["study=finetune", "evaluation.finetune_seeds=1"],
            "evaluation.finetune_seeds must be at least 3 for a study of eval/finetuned.examples_1024, got 1; set it ",
        ),
        (
            ["study=finetune", "study.outcome=eval/tasks.own.accuracy"],
            "study.outcome must name a task of the study, got eval/tasks.own.accuracy, and the tasks none; add it to ",
        ),
        (
            ["study=finetune", "study.outcome=eval/tasks.a.accuracy", THERE, "tasks.seeds=2"],
            "evaluation.tasks.seeds must be at least 3 for a study of eval/tasks.a.accuracy, got 2; set it beside ",
        ),
        (
            ["study=finetune", "study.outcome=eval/tasks.mean.score", TWO, "tasks.seeds=2"],
            "evaluation.tasks.seeds must be at least 3 for a study of eval/tasks.mean.score, got 2; set it beside ",
        ),
        (
            ["study=finetune", "study.outcome=eval/tasks.mean.score", THERE],
            "study.outcome must name a task of the study, got eval/tasks.mean.score, and the tasks a; add it to ",
        ),
        (
            ["study=finetune", "study.outcome=eval/tasks.a.accuracy", TASK],
            "a task's files must exist, got a.tsv, which does not; correct the path",
        ),
        (["study=mask_rate", "seed=1,2"], "a study runs its own arms, got several values of seed; give one each"),
    ],
)
def test_a_command_that_is_refused_is_one_line_and_leaves_nothing(
    words: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert typed_exit_code(*words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"bertlab: {line}")
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
