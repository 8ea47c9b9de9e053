"""Packed states are those of needed tokens, without gaps, and can be unpacked to their places."""

import pytest
import torch

from bertlab.model import packing
from bertlab.model.packing import Packing, asking_of, packing_of

REAL_BL = torch.tensor([[True, True, False, False], [True, False, False, False]])
READ_M = torch.tensor([1, 6, 3, 0, 4])  # columns 1, 3 and 0 of the first row, 2 and 0 of the second


def test_unpacked_states_are_at_their_old_places_and_padding_is_zero() -> None:
    x_BLD = torch.arange(1.0, 17.0).view(2, 4, 2)
    packed = packing_of(REAL_BL)
    assert packed is not None
    assert packed.pack(x_BLD).tolist() == [[1, 2], [3, 4], [9, 10]]
    assert torch.equal(packed.unpack(packed.pack(x_BLD)), x_BLD * REAL_BL[..., None])


def test_positions_find_their_places_among_those_that_are_kept() -> None:
    packed = packing_of(REAL_BL)
    assert packed is not None
    assert packed.places(torch.tensor([4, 0, 1])).tolist() == [2, 0, 1]


def test_what_is_read_is_kept_even_where_it_is_padding() -> None:
    packed = packing_of(torch.tensor([[True, False, False], [False, False, False]]), torch.tensor([3]))
    assert packed is not None
    assert packed.kept_N.tolist() == [0, 3]


@pytest.mark.parametrize(("share", "worth"), [(0.5, True), (0.7, False)])
def test_little_padding_is_not_worth_it(share: float, worth: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "WORTH_IT", share)
    assert isinstance(packing_of(REAL_BL), Packing) == worth


def test_other_devices_get_shapes_that_do_not_change() -> None:
    assert packing_of(REAL_BL.to("meta")) is None
    assert asking_of(READ_M.to("meta"), 2, 4) is None


def test_what_is_read_asks_in_rows_of_its_own() -> None:
    asking = asking_of(READ_M, 2, 4)
    assert asking is not None
    assert asking.column_BR.tolist() == [[0, 1, 3], [0, 2, 0]]
    assert asking.packing.filled().tolist() == [[True, True, True], [True, True, False]]
    x_MD = torch.arange(1.0, 11.0).view(5, 2)
    rows_BRD = asking.packing.unpack(x_MD)
    assert rows_BRD[..., 0].tolist() == [[7, 1, 5], [9, 3, 0]]
    assert torch.equal(asking.packing.pack(rows_BRD), x_MD)


def test_a_row_that_nobody_reads_is_empty() -> None:
    asking = asking_of(torch.tensor([9, 8]), 4, 4)
    assert asking is not None
    assert asking.packing.filled().tolist() == [[False] * 2, [False] * 2, [True] * 2, [False] * 2]


@pytest.mark.parametrize(("share", "worth"), [(0.25, True), (0.3, False)])
def test_rows_little_shorter_than_sequences_are_not_worth_it(
    share: float, worth: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "WORTH_IT", share)
    assert (asking_of(READ_M, 2, 4) is not None) == worth
