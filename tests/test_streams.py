import re
from itertools import product

import numpy as np
import pytest
import torch

from bertlab.config.compose import PACKAGE
from bertlab.config.errors import InputError
from bertlab.streams import NAMES as KNOWN
from bertlab.streams import Streams

NAMES = ("order", "pairs", "mask.position", "mask.kind", "mask.replacement", "dropout", "init/token.weight")
KEYS = list(product((0, 1, 11), NAMES, (0, 1, 10)))


def test_equal_arguments_give_equal_draws() -> None:
    for seed, name, counter in KEYS:
        first, second = (Streams(seed).generator(name, counter).random(7) for _ in range(2))
        np.testing.assert_array_equal(first, second)
        assert Streams(seed).integer(name, counter) == Streams(seed).integer(name, counter)


def test_the_counter_starts_at_zero() -> None:
    assert Streams(3).generator("order").random() == Streams(3).generator("order", 0).random()
    assert Streams(3).integer("order") == Streams(3).integer("order", 0)


def test_no_two_streams_share_a_draw() -> None:
    draws = [Streams(seed).generator(name, counter).random(5) for seed, name, counter in KEYS]
    assert len(np.unique(np.concatenate(draws))) == 5 * len(KEYS)
    assert len({Streams(seed).integer(name, counter) for seed, name, counter in KEYS}) == len(KEYS)


def test_streams_are_uncorrelated() -> None:
    """1,953 correlations of 10,007 draws each; a single one exceeds 5 standard errors by chance 6 times in 10^7."""
    draws = np.stack([Streams(seed).generator(name, counter).normal(size=10_007) for seed, name, counter in KEYS])
    correlation = np.asarray(np.corrcoef(draws))[np.triu_indices(len(KEYS), 1)]
    assert np.abs(correlation).max() < 5 / np.sqrt(10_007)


def test_the_order_of_calls_does_not_matter() -> None:
    streams = Streams(5)
    alone = Streams(5).generator("mask.kind", 3).random(4)
    streams.generator("order").random(1000)
    held = streams.generator("mask.kind", 3)
    streams.generator("mask.kind", 3).random(17)
    streams.integer("mask.kind", 3)
    np.testing.assert_array_equal(held.random(4), alone)


def test_no_global_state_is_read_or_moved() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state().tolist(), str(np.random.get_state())  # noqa: NPY002 - what must not move
    Streams(0).generator("order").random(9)
    Streams(0).integer("order")
    assert before == (torch.get_rng_state().tolist(), str(np.random.get_state()))  # noqa: NPY002


def test_integers_are_seeds_that_torch_takes() -> None:
    drawn = [Streams(seed).integer(name, counter) for seed, name, counter in KEYS]
    assert all(0 <= integer < 2**63 for integer in drawn)
    assert max(drawn) > 2**61, "63 bits are used"
    generator = torch.Generator()
    assert all(generator.manual_seed(integer).initial_seed() == integer for integer in drawn)


@pytest.mark.parametrize(
    ("redraw", "changed"),
    [
        (None, set()),
        ("order", {"order"}),
        ("init", {"init/token.weight"}),
        ("mask.kind", {"mask.kind"}),
        ("mask", {"mask.position", "mask.kind", "mask.replacement"}),
        ("mask.span", set()),
    ],
)
def test_a_redrawn_stream_changes_and_all_others_keep_their_draws(redraw: str | None, changed: set[str]) -> None:
    for seed, name, counter in KEYS:
        plain, redrawn = Streams(seed), Streams(seed, redraw)
        assert (plain.integer(name, counter) != redrawn.integer(name, counter)) == (name in changed)
        draws = [streams.generator(name, counter).random(3).tolist() for streams in (plain, redrawn)]
        assert (draws[0] != draws[1]) == (name in changed)


def test_fixed_masks_are_redrawn_with_the_stream_that_they_belong_to() -> None:
    name = "mask.position/12"
    assert Streams(0, "mask.position").integer(name) != Streams(0).integer(name) == Streams(0, "pairs").integer(name)


def test_redrawn_streams_are_streams_of_their_own() -> None:
    integers = [
        Streams(seed, redraw).integer(name, counter)
        for seed, name, counter in KEYS
        for redraw in (None, "mask", "order", "init")
    ]
    redrawn = sum(not name.startswith(("pairs", "dropout")) for _, name, _ in KEYS)
    assert len(set(integers)) == len(KEYS) + redrawn


def test_what_can_be_redrawn_is_what_the_code_draws() -> None:
    rooms = [path for room in ("mask", "data", "model", "train") for path in (PACKAGE / room).glob("*.py")]
    names = re.compile(r"""(?:generator\(|integer\(|draw\(|streams, )f?"([a-z.]+)""")
    drawn = {name for path in rooms for name in names.findall(path.read_text("utf-8"))}
    of_dropout = {"replaced"}  # from the seed of a step's dropout, and redrawn with it
    assert drawn - of_dropout == set(KNOWN) - {"mask"}


@pytest.mark.parametrize("redraw", ["weather", "", "init/token.weight", 3])
def test_an_unknown_stream_is_refused(redraw: str) -> None:
    with pytest.raises(InputError) as caught:
        Streams(0, redraw)
    assert str(caught.value) == (
        "redraw must be null or one of init, order, pairs, dropout, mask, mask.position, mask.kind, mask.replacement, "
        f"mask.span, mask.noise, got {redraw}; choose one"
    )


def test_known_values() -> None:
    """Fails if numpy's Philox or our keys change: every run of every sweep would then have other draws."""
    assert Streams(0).integer("dropout", 1) == 4737260736653385125
    assert Streams(0).generator("order").permutation(7).tolist() == [3, 1, 0, 2, 4, 5, 6]
    assert Streams(20181011).generator("pairs", 2).integers(0, 1000, 5).tolist() == [326, 692, 157, 992, 205]
    assert Streams(1).generator("mask.position", 10**6).random(2).tolist() == [0.8352634071392767, 0.45288969268787005]
    assert Streams(1).generator("init/token.weight").normal(size=2).tolist() == [
        -2.212337414942703,
        -0.3201297444636592,
    ]
