"""A checkpoint is restored bit by bit, or not at all; the newest valid one is used."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bertlab.config.errors import InputError
from bertlab.tracking import checkpoint as room
from bertlab.tracking.checkpoint import Checkpoint, newest_checkpoint, save_checkpoint
from bertlab.tracking.run_folder import checkpoints

TENSORS = {
    "model.weight": torch.arange(6.0).view(2, 3).T,  # not contiguous
    "model.half": torch.tensor([0.1, 3.0], dtype=torch.bfloat16),
    "model.count": torch.tensor(7),
    "optimizer.0.step": torch.tensor(5.0),
}


def saved(folder: Path, *steps: int) -> list[Path]:
    return [save_checkpoint(folder, Checkpoint(step, TENSORS, {"key": "k", "seconds": 0.1})) for step in steps]


def newest(folder: Path, fault: str | None = None) -> Checkpoint | None:
    return newest_checkpoint(folder, lambda _: fault)


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    found = newest(tmp_path)
    assert found is not None
    assert (found.step, found.about) == (5, {"step": 5, "key": "k", "seconds": 0.1})
    assert found.tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert torch.equal(found.tensors[name], tensor)
        assert found.tensors[name].dtype == tensor.dtype


def test_the_newest_two_are_kept_with_any_number_of_digits(tmp_path: Path) -> None:
    saved(tmp_path, 9, 10, 100, 99_999_999)
    assert [int(path.stem.partition("-")[2]) for path in checkpoints(tmp_path)] == [100, 99_999_999]
    assert [path.name for path in tmp_path.glob(".*")] == []


def damage_truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def damage_empty(path: Path) -> None:
    path.write_bytes(b"")


def damage_one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))


def damage_counters(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'\\"seconds\\": 0.1', b'\\"seconds\\": 0.2'))


def damage_metadata(path: Path) -> None:
    save_file(load_file(path), path)


@pytest.mark.parametrize("damage", [damage_truncated, damage_empty, damage_one_bit, damage_counters, damage_metadata])
def test_a_damaged_checkpoint_is_reported_and_skipped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: object
) -> None:
    _, path = saved(tmp_path, 5, 6)
    before = path.read_bytes()
    assert callable(damage)
    damage(path)
    assert path.read_bytes() != before
    found = newest(tmp_path)
    assert found is not None
    assert found.step == 5
    (line,) = caplog.messages
    assert line.startswith(f"{path} is skipped: ")


def test_one_that_does_not_belong_here_is_skipped(tmp_path: Path) -> None:
    saved(tmp_path, 5)
    assert newest(tmp_path, "it belongs to another run") is None


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Exception("I/O error: No space left")])
def test_a_full_disk_is_one_line_and_the_older_checkpoint_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def full(_: object, path: Path, __: object) -> None:
        path.write_bytes(b"half")
        raise error

    saved(tmp_path, 5)
    monkeypatch.setattr(room, "save_file", full)
    with pytest.raises(InputError, match=r"^output_dir must be a folder with room .*no space left"):
        saved(tmp_path, 6)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000000000005.safetensors"]
