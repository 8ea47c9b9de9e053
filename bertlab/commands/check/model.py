"""Contracts of model parts, on small models and a batch of prime sizes, so that no two dimensions are equal.

Each contract takes a model in evaluation mode, does not change it, and raises AssertionError.

Legend: B batch, L length, V vocabulary, D width, M predicted positions.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from bertlab.commands.check.require import require
from bertlab.data.batches import Batch
from bertlab.data.tokenizer import CLS, PAD, SEP
from bertlab.model.attention import Mixer
from bertlab.model.bert import Bert, Output
from bertlab.objective.joint import Joint
from bertlab.streams import Streams

B, L, V, LONGER, LONGEST = 5, 13, 61, 17, 19
UNSEEN = 60  # a token that is in no batch
REAL_B = (13, 11, 8, 5, 2)  # real tokens of each row
SIZES: Mapping[str, float] = {"layers": 3, "width": 48, "heads": 6, "inner": 53, "dropout": 0.0}
LOSS = Joint(mlm_weight=1.0, pair_weight=1.0)
PLACES = 7  # length of the row whose gradients are checked
B_STARTS = 4  # in that row, segment B is the last three places
EVERYWHERE = tuple(range(PLACES))
ONES = torch.ones(PLACES, PLACES, dtype=torch.bool)
MAY_SEE = {  # by visibility, at any depth: tokens (columns) that may influence the prediction at a place (rows)
    "left_to_right": ONES.tril(),
    "right_to_left": ONES.triu(),
    "diagonal_position": ~torch.eye(PLACES, dtype=torch.bool),
}


def small_batch(length: int = L, filler: int = PAD) -> Batch:
    """Return a batch of B rows of `length` positions; its real tokens do not depend on `length` and `filler`."""
    rng = Streams(11).generator("order")
    ids_BL, segments_BL = np.full((B, length), filler), np.zeros((B, length), np.int64)
    real_BL = np.arange(length) < np.array(REAL_B)[:, None]
    for row, real in enumerate(REAL_B):
        ids_BL[row, :real] = rng.integers(5, UNSEEN, real)
        ids_BL[row, 0], ids_BL[row, real - 1] = CLS, SEP
        segments_BL[row, real // 2 : real] = 1
    chosen_BL = real_BL & (np.arange(length) % 3 == 1)
    position_M = torch.from_numpy(np.flatnonzero(chosen_BL))
    target_M = torch.from_numpy(rng.integers(5, V, int(chosen_BL.sum())))
    ids, segments, mask = map(torch.from_numpy, (ids_BL, segments_BL, real_BL))
    return Batch(ids, segments, mask, position_M, target_M, torch.tensor([0, 1, 1, 0, 1]), has_pairs=True)


def outputs_have_their_shapes(model: Bert) -> None:
    """States (B, L, D), logits (M, V) of predicted tokens, (B, 2) of pairs."""
    batch = small_batch()
    output = model(batch)
    shapes = [tuple(each.shape) for each in (states(model, batch), output.mlm_MV, output.pair_B2)]
    wanted = [(B, L, model.shape.width), (len(batch.position_M), V), (B, 2)]
    require(shapes == wanted, f"shapes {shapes} instead of {wanted}")


def predicted_logits_are_those_of_the_whole_sequence(model: Bert) -> None:
    """Skipping unread positions changes nothing."""
    batch = small_batch()
    with torch.no_grad():
        every_BLV = linear(model.mlm_head(states(model, batch)), model.decoder_weight, model.mlm_head.bias)
        require_close(model(batch).mlm_MV, every_BLV.flatten(0, 1)[batch.position_M], "logits of single positions")


def the_content_of_padding_never_changes_real_outputs(model: Bert) -> None:
    """The padding holds other tokens."""
    require_same_on_real_tokens(model, small_batch(), small_batch(filler=7))


def the_amount_of_padding_never_changes_real_outputs(model: Bert) -> None:
    """The rows are longer."""
    require_same_on_real_tokens(model, small_batch(), small_batch(length=LONGER))


def rows_never_see_each_other_and_tokens_of_a_row_do(model: Bert) -> None:
    """If visibility has no restrictions and tokens are mixed at all."""
    if model.visibility.restricts or not any(isinstance(module, Mixer) for module in model.modules()):
        return
    batch, other = small_batch(), small_batch()
    other.ids_BL[0, 3] = batch.ids_BL[0, 3] % 50 + 6
    moved_BL = (states(model, other) - states(model, batch)).abs().amax(-1)
    require((moved_BL[0] > 0).all(), "every token must see every other one of its row")
    require((moved_BL[1:] == 0).all(), "rows must not see each other")


def no_padding_is_the_same_as_a_mask_that_is_all_true(model: Bert) -> None:
    """Batches without padding have no mask."""
    none = replace(small_batch(), real_BL=None)
    true = replace(small_batch(), real_BL=torch.ones(B, L, dtype=torch.bool))
    require_close(states(model, none), states(model, true), "states")
    with torch.no_grad():
        require_close(model(none).pair_B2, model(true).pair_B2, "pair logits")


def a_row_of_padding_alone_gives_finite_outputs_and_gradients(model: Bert) -> None:
    """No division by zero tokens."""
    batch = small_batch()
    assert batch.real_BL is not None
    empty = replace(batch, real_BL=batch.real_BL & (torch.arange(B) > 0)[:, None])
    require(states(model, empty).isfinite().all(), "states are not finite")
    still_parameters(model, model(empty), empty)


def every_parameter_has_a_finite_gradient(model: Bert) -> None:
    """A parameter without a gradient is unused."""
    batch = small_batch()
    still = still_parameters(model, model(batch), batch)
    require(not still, f"no gradient reaches {', '.join(still)}")


def a_few_steps_lower_the_loss_of_a_memorised_batch(model: Bert) -> None:
    """By at least a tenth, in ten steps of AdamW."""
    model.train()
    batch, before = small_batch(), {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(10):
        losses.append(LOSS(model(batch), batch)["loss"])
        optimizer.zero_grad()
        losses[-1].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.load_state_dict(before)
    model.eval().zero_grad(set_to_none=True)
    require(losses[-1] < 0.9 * losses[0], f"the loss went from {losses[0]:.3f} to {losses[-1]:.3f}")


CONTRACTS: tuple[Callable[[Bert], None], ...] = (
    outputs_have_their_shapes,
    predicted_logits_are_those_of_the_whole_sequence,
    the_content_of_padding_never_changes_real_outputs,
    the_amount_of_padding_never_changes_real_outputs,
    rows_never_see_each_other_and_tokens_of_a_row_do,
    no_padding_is_the_same_as_a_mask_that_is_all_true,
    a_row_of_padding_alone_gives_finite_outputs_and_gradients,
    every_parameter_has_a_finite_gradient,
    a_few_steps_lower_the_loss_of_a_memorised_batch,
)


def nothing_leaks(model: Bert, visibility: str) -> None:
    """By gradient: predictions of a model with this visibility depend only on allowed tokens."""
    leaks = (seen(model, EVERYWHERE) & ~MAY_SEE[visibility]).nonzero().tolist()
    require(not leaks, f"the prediction of place {leaks[0][0]} depends on the token at {leaks[0][1]}" if leaks else "")


def one_row(places: tuple[int, ...]) -> Batch:
    """Return a row of PLACES tokens without padding, with predictions at some places."""
    ids_1L = torch.tensor([[2, 17, 31, 8, 43, 11, 3]])
    place_M, segments_1L = torch.tensor(places), (torch.arange(PLACES) >= B_STARTS)[None].long()
    return Batch(ids_1L, segments_1L, None, place_M, ids_1L[0, place_M], torch.tensor([-100]), has_pairs=False)


def seen(model: Bert, places: tuple[int, ...]) -> Tensor:
    """Return the tokens (columns) that influence the predictions at some places (rows)."""
    return gradients(model, one_row(places), lambda model, batch: model(batch).mlm_MV) != 0


def gradients(model: Bert, batch: Batch, output: Callable[[Bert, Batch], Tensor]) -> Tensor:
    """Return the largest gradient of each output with respect to each input token embedding (M, L)."""
    entered: list[Tensor] = []
    own: list[Tensor] = []  # whether the input is the token itself; a gradient to [MASK] in its place is no leak

    def leaf(_: object, given: tuple[Tensor], embedded: Tensor) -> Tensor | None:
        if entered:
            return None  # the second call embeds queries, not tokens
        entered.append(embedded.detach().requires_grad_())
        own.append((given[0] == batch.ids_BL)[0])
        return entered[0]

    handle = model.embedding.token.register_forward_hook(leaf)
    result = output(model, batch)
    rows = result @ torch.linspace(-1, 2, result.shape[-1]).sin()
    handle.remove()
    grads = [torch.autograd.grad(row, entered[0], retain_graph=True, allow_unused=True)[0] for row in rows]
    return torch.stack([torch.zeros(PLACES) if grad is None else grad[0].abs().amax(-1) * own[0] for grad in grads])


def states(model: Bert, batch: Batch) -> Tensor:
    """Return the states of the last layer (B, L, D)."""
    with torch.no_grad():
        return model.encode(batch)


def require_close(found: Tensor, expected: Tensor, name: str) -> None:
    """Require equal numbers to 1e-5."""
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0, msg=lambda text: f"{name}: {text}")


def require_same_on_real_tokens(model: Bert, batch: Batch, other: Batch) -> None:
    """Require equal states of real tokens, and equal outputs."""
    real_BL = batch.real_BL
    assert real_BL is not None
    require_close(states(model, other)[:, : real_BL.shape[1]][real_BL], states(model, batch)[real_BL], "states")
    require_same_outputs(model, model(batch), other)


def require_same_outputs(model: Bert, ours: Output, other: Batch) -> None:
    """Require a batch to give the same logits."""
    with torch.no_grad():
        theirs = model(other)
    require_close(theirs.mlm_MV, ours.mlm_MV, "logits of tokens")
    require_close(theirs.pair_B2, ours.pair_B2, "logits of pairs")


def still_parameters(model: Bert, output: Output, batch: Batch) -> list[str]:
    """Require finite gradients of all trained parameters; return the names of those without a gradient."""
    loss = LOSS(output, batch)["loss"]
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: parameter.grad for name, parameter in model.named_parameters() if parameter.requires_grad}
    model.zero_grad(set_to_none=True)
    require(loss.isfinite(), "the loss is not finite")
    wrong = [name for name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()]
    require(not wrong, f"no finite gradient of {', '.join(wrong)}")
    return [name for name, gradient in gradients.items() if gradient is not None and not gradient.any()]
