"""A run that continues from weights and moments equals the uninterrupted run."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor

from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.data.weights import Start
from bertlab.identity.key import code_fingerprint, identify, semantic
from bertlab.sweep.run import Job
from bertlab.tracking.checkpoint import load_checkpoint
from bertlab.tracking.run_folder import START_STATE, RunFolder
from bertlab.train.continued import NOTHING_YET, state_of
from bertlab.train.early import check_early
from bertlab.train.module import Pretraining
from bertlab.train.recorder import Plan, Recorder
from tests.run_folders import finished

PLAIN = ("schedule=constant", "schedule.warmup=0", "model.dropout=0")
CUT = 4  # steps of 105 tokens
Prepared = Callable[..., Job]


def trained(job: Job, steps: range, folder: Path, saved: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Train on the batches of some steps; return the weights."""
    model = job.initial_model()
    module = Pretraining(model, job.parts.objective, job.parts.optimizer, job.parts.schedule, len(steps), job.streams)
    recorder = Recorder(
        Plan(len(steps), frozenset(), frozenset()), job.evaluation, job.count_flops(model), lambda *_: None
    )
    if saved:
        module.resume(0, saved)
        recorder.resume(NOTHING_YET, saved)
    threads = torch.get_num_threads()
    job.parts.trainer.fit(module, lambda step: job.batches(steps[step]), recorder, folder)
    torch.set_num_threads(threads)
    return model.state_dict()


@pytest.mark.parametrize("optimizer", ["adamw", "adamw_layers", "muon", "sgd"])
def test_a_cut_run_that_goes_on_has_the_weights_of_the_uncut_one(
    optimizer: str, prepared: Prepared, tmp_path: Path
) -> None:
    """At a constant rate, on the batches that would follow: bit by bit, but only with the moments."""
    words = (*PLAIN, f"optimizer={optimizer}")
    keeping = prepared(*words, "trainer=keeping_all", f"trainer.keep_at=[{CUT * 105}]")
    whole = trained(keeping, range(7), tmp_path, {})
    state = load_checkpoint(tmp_path / "kept" / "states" / f"{CUT * 105}.safetensors")
    assert state.step == CUT
    weights = load_file(tmp_path / "kept" / f"{CUT * 105}.safetensors")
    assert all(torch.equal(state.tensors[f"model.{name}"], value) for name, value in weights.items())
    rest = trained(prepared(*words), range(CUT, 7), tmp_path, state.tensors)
    assert all(torch.equal(rest[name], value) for name, value in whole.items())
    without = {name: value for name, value in state.tensors.items() if name.startswith("model.")}
    anew = trained(prepared(*words), range(CUT, 7), tmp_path, without)
    assert not all(torch.equal(anew[name], value) for name, value in whole.items())


def a_start(folder: Path) -> Path:
    """Return a start folder with a state, in the usual layout."""
    start = folder / "starts" / "key-code@500"
    shutil.copytree(finished(RunFolder(folder / "cells" / "key-code")).folder / "model", start / "model")
    (start / START_STATE).write_bytes(b"state")
    (start / "config.yaml").write_text(yaml.safe_dump(resolved(load([]))), "utf-8")
    return start


def test_the_state_belongs_to_the_identity_of_a_run_and_nothing_of_it_to_others(tmp_path: Path) -> None:
    words = [f"start=run:{a_start(tmp_path)}"]
    without, taken = (resolved(load([*words, *more])) for more in ([], ["start.optimizer=true"]))
    check_early([taken])
    assert set(semantic(without)["start"]) == {"from", "missing"}
    assert identify(without, "data").key != identify(taken, "data").key
    assert code_fingerprint(without) != code_fingerprint(taken), "the code that takes it over counts"
    before = identify(taken, "data").key
    (tmp_path / "starts" / "key-code@500" / START_STATE).write_bytes(b"other")
    assert identify(taken, "data").key != before


def test_what_cannot_be_taken_over_is_refused_at_once(tmp_path: Path) -> None:
    folder = a_start(tmp_path)
    bare = tmp_path / "cells" / "key-code"
    lines = {
        ("start.optimizer=true",): r"^start\.optimizer=true must go with start=run:ID@TOKENS .*, got no start; train ",
        (f"start=run:{bare}", "start.optimizer=true"): rf"got run:{bare}; train that run with trainer=keeping_all ",
        (f"start=run:{folder}", "start.optimizer=true", "start.missing=init"): r"^start\.missing must be refuse with ",
        (f"start=run:{folder}", "start.optimizer=true", "optimizer=sgd"): r"^optimizer must be that of the start with "
        r"start\.optimizer=true, got sgd after adamw; choose optimizer=adamw, or leave start\.optimizer out",
        ("start.optimizer=maybe",): r"^start\.optimizer must be true or false, got maybe",
    }
    for words, line in lines.items():
        with pytest.raises(InputError, match=line):
            check_early([resolved(load(words))])


def test_a_tokenizer_in_another_order_is_refused(
    prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = prepared(*PLAIN, "trainer=keeping_all", "trainer.keep_at=[105]")
    trained(job, range(1), tmp_path, {})
    (tmp_path / "kept" / "states" / "105.safetensors").rename(tmp_path / START_STATE)
    start = Start("run:x", tmp_path, [], tmp_path, tmp_path / "tokenizer.json", is_run=True, missing="refuse")
    job.store.tokenizer.save(str(start.tokenizer))
    assert "optimizer.0.exp_avg" in state_of(start, job.store.tokenizer)
    monkeypatch.setattr("bertlab.model.start.rows_of", lambda *_: [1, 0])
    with pytest.raises(
        InputError, match=r"^tokenizer must be that of the start with start\.optimizer=true, got one wi"
    ):
        state_of(start, job.store.tokenizer)
