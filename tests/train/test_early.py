"""Early checks: an error in one of many jobs is reported before the first job runs."""

from pathlib import Path

import pytest

from bertlab.config.compose import load, resolved
from bertlab.config.errors import InputError
from bertlab.train import early
from bertlab.train.early import check_card, check_early
from tests.command import exit_code
from tests.marks import slow_but


def test_an_error_in_one_of_many_configurations_is_found_at_any_place() -> None:
    configs = [resolved(load([f"seed={seed}", f"mask.rate={rate}"])) for seed, rate in enumerate((0.1, 0.1, 1.5))]
    check_early(configs[:2])
    with pytest.raises(InputError, match=r"^mask\.rate must lie in \(0, 1\), got 1\.5"):
        check_early(configs)


@pytest.mark.parametrize("key", ["seed", "batch.size", "batch.length", "budget.tokens", "trainer.points"])
def test_a_key_outside_the_parts_is_checked_in_every_configuration(key: str) -> None:
    good, bad = (resolved(load([f"{key}={value}"])) for value in (2000, "hello"))
    with pytest.raises(InputError, match=rf"^{key} must be a whole number of at least \d, got hello; "):
        check_early([good, bad])


def test_a_missing_corpus_is_said_by_the_key_of_the_place_where_it_is_read() -> None:
    config = resolved(load(["data=text", "data.files=absent.txt"]))
    with pytest.raises(InputError, match=r"^data\.files must name files that are there, got 'absent\.txt', "):
        check_early([config])


@pytest.mark.parametrize("accelerator", slow_but(["cuda"], ["cuda", "gpu"]))
@pytest.mark.parametrize("words", [[], ["-m", "seed=1,2"], ["study=mask_rate"]])
def test_a_gpu_where_there_certainly_is_none_is_said_at_once_and_leaves_nothing(
    accelerator: str,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(early, "lacks_card", lambda: True)
    monkeypatch.chdir(tmp_path)
    assert exit_code(*words, "data=oracle", f"trainer.accelerator={accelerator}") == 2
    assert capsys.readouterr().err == (
        f"bertlab: trainer.accelerator must be one that works here, got {accelerator}: this machine has no GPU and no "
        "driver of one; choose cpu, or a machine with a GPU\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_that_may_be_there_is_left_to_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "lacks_card", lambda: False)
    check_card(resolved(load(["trainer=gpu"])))
    monkeypatch.setattr(early, "lacks_card", lambda: True)
    check_card(resolved(load(["trainer.accelerator=auto"])))
    check_card(resolved(load([])))
