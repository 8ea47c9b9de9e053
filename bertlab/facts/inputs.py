"""Facts about inputs: which may be omitted, and the effect of padding.

Legend: B batch, L length, D width.
"""

import torch
from torch import Tensor

from bertlab.data.batches import Batch
from bertlab.facts.built import batch_of, largest, relative, small, tokens
from bertlab.facts.fact import Fact, below
from bertlab.model.bert import Bert

REAL = 16  # tokens of a sequence
PADDINGS = (0, 4, 16, 48)  # positions after them
LENGTHS = (9, 16, 5)  # real tokens of each row


def inputs() -> Fact:
    """Compare omitted inputs with explicit defaults, and measure the effect of a wrong mask."""
    model, ids_BL = small(), tokens(4, REAL)
    with torch.no_grad():
        by_default = model.encode(batch_of(ids_BL))
        masked = model.encode(batch_of(ids_BL, torch.ones_like(ids_BL, dtype=torch.bool)))
        explicit = _embedded(model, ids_BL, torch.zeros_like(ids_BL), torch.arange(REAL))
        numbers = {
            "mask": largest(masked - by_default),
            "position and type": largest(explicit - model.embedding(ids_BL, torch.zeros_like(ids_BL))),
            **{f"padding {padding}": _seen_padding(model, ids_BL, padding) for padding in PADDINGS},
        }
    wrong = [(f"mask of 1 over {padding} paddings behind {REAL} tokens", padding) for padding in PADDINGS]
    return Fact(
        claim="inputs",
        question="Which inputs does BERT need, and what do the others default to?",
        answer="Only the token ids. Positions default to 0, 1, 2, ..., token types to 0, the attention mask to 1 "
        "everywhere. The last default is right only where nothing is padded: with a mask of 1, padding is read like "
        f"text, and as many paddings as tokens move the states of the real tokens by "
        f"{100 * numbers[f'padding {REAL}']:.0f} % of their size in this untrained model.",
        header=("input", "change of the states"),
        rows=[
            ("attention mask of 1 against none, no padding", below(numbers["mask"], 1e-6)),
            ("positions 0, 1, ... and types 0 stated against left out", below(numbers["position and type"], 1e-6)),
            *((words, f"{100 * numbers[f'padding {padding}']:.0f} %") for words, padding in wrong),
        ],
        how="Changes by default values are the largest difference of any component, those by padding Euclidean norms "
        "over the real tokens. `tests/model/test_reference.py` compares with the reference implementation.",
        test="test_defaults_are_what_they_stand_for_and_unmasked_padding_moves_the_states",
        numbers=numbers,
    )


def _embedded(model: Bert, ids_BL: Tensor, types_BL: Tensor, place_L: Tensor) -> Tensor:
    """Return norm(token + type + position), looked up by explicit ids (B, L, D)."""
    embedding = model.embedding
    assert embedding.segment is not None
    place_LD = torch.as_tensor(embedding.position.get_submodule("table").weight)[place_L]
    states_BLD: Tensor = embedding.norm(embedding.token(ids_BL) + embedding.segment(types_BL) + place_LD)
    return states_BLD


def _seen_padding(model: Bert, ids_BL: Tensor, padding: int) -> float:
    """Return how far unmasked padding moves the states of real tokens."""
    right, wrong = (model.encode(padded(ids_BL, padding, masked=masked))[:, :REAL] for masked in (True, False))
    return relative(wrong, right)


def padded(ids_BL: Tensor, padding: int, *, masked: bool) -> Batch:
    """Return the sequences with `padding` positions of [PAD] at the end."""
    rows, length = ids_BL.shape
    padded_BL = torch.cat((ids_BL, ids_BL.new_zeros(rows, padding)), dim=1)
    real_BL = (torch.arange(length + padding) < length).expand(rows, -1)
    return batch_of(padded_BL, real_BL if masked else None)


def padding() -> Fact:
    """Replace and extend padding, for several kinds of mixing."""
    options = ("softmax", "fully_connected", "fixed_random", "fourier")
    numbers: dict[str, float] = {}
    with torch.no_grad():
        for option in options:
            numbers |= _moved(small(f"model/attention={option}"), option)
        numbers |= _moved(small(padding_mask=False), "not masked")
    names = {**{option: f"attention={option}" for option in options}, "not masked": "padding_mask=false"}
    return Fact(
        claim="padding",
        question="How is padding masked in self-attention?",
        answer="Scores of keys that are padding become minus infinity before the softmax, so their weight is exactly "
        "0. What stands in the padding and how long it is then do not matter to real tokens, and a row of nothing but "
        "padding gets zeros from attention instead of 0/0. Other ways of mixing need, and have, masks of their own.",
        header=("model", "other tokens in the padding", "13 more paddings", "a row of padding only"),
        rows=[
            (
                words,
                *(_change(numbers[f"{name}: {what}"]) for what in ("content", "length")),
                "finite" if numbers[f"{name}: finite"] else "NaN",
            )
            for name, words in names.items()
        ],
        how=f"Largest change of the last states of real tokens, rows of {', '.join(map(str, LENGTHS))} real tokens of "
        f"{max(LENGTHS)}. `tests/model/test_contract.py` asserts it for every option of the model.",
        test="test_padding_moves_no_real_token_unless_the_mask_is_off",
        numbers=numbers,
    )


def _change(size: float) -> str:
    return below(size, 1e-6) if size < 1e-6 else f"{size:.1f}"


def _moved(model: Bert, name: str) -> dict[str, float]:
    """Return the largest changes of real states, and whether all states are finite next to an empty row."""
    length = max(LENGTHS)
    real_BL = torch.arange(length) < torch.tensor(LENGTHS)[:, None]
    ids_BL = tokens(len(LENGTHS), length).masked_fill(~real_BL, 0)
    other_BL = torch.where(real_BL, ids_BL, tokens(len(LENGTHS), length, "padding"))
    longer_BL = torch.cat((ids_BL, ids_BL.new_zeros(len(LENGTHS), 13)), dim=1)
    longer_real_BL = torch.cat((real_BL, real_BL.new_zeros(len(LENGTHS), 13)), dim=1)
    empty_BL = real_BL & (torch.arange(len(LENGTHS)) > 0)[:, None]
    states = model.encode(batch_of(ids_BL, real_BL))[real_BL]
    output = model(batch_of(ids_BL, empty_BL))
    return {
        f"{name}: content": largest(model.encode(batch_of(other_BL, real_BL))[real_BL] - states),
        f"{name}: length": largest(model.encode(batch_of(longer_BL, longer_real_BL))[longer_real_BL] - states),
        f"{name}: finite": float(output.mlm_MV.isfinite().all() and output.pair_B2.isfinite().all()),
    }
