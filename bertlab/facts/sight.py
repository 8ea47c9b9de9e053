"""Facts about visibility: whether a prediction depends on the token that it predicts, by gradient.

Legend: L length, D width, M predicted positions.
"""

import torch

from bertlab.data.tokenizer import MASK
from bertlab.facts.built import batch_of, small
from bertlab.facts.fact import Fact
from bertlab.model.bert import Bert

TOKENS = (17, 31, 8, 43, 11, 29, 71)  # all different, so that each uses its own row of the token table
PREDICTED = (1, 4)
LAYERS = (1, 2, 3)


def score_masking() -> Fact:
    """Measure leaks if other tokens may not attend to predicted ones."""
    numbers = {
        **leaks("masked", "all", masked=True),
        **leaks("seen", "all"),
        **leaks("blocked", "blocked"),
        **leaks("blocked_position", "blocked_position"),
    }
    arms = {
        "[MASK] stands in the input (BERT)": "masked",
        "the token stands in the input": "seen",
        "its column of scores is blocked (visibility=blocked)": "blocked",
        "blocked, and it asks as [MASK] (visibility=blocked_position)": "blocked_position",
    }
    return Fact(
        claim="score_masking",
        question="Why does BERT put [MASK] into the text instead of blocking the scores of the words to predict?",
        answer="Blocking keeps other tokens from looking at the word, but the word still travels to its own output "
        "through the query and the skip connection: one layer is enough to leak it. Blocking is clean only when the "
        "predicted position starts from [MASK] as well.",
        header=("what hides the word", *(f"{layers} layer{'s' * (layers > 1)}" for layers in LAYERS)),
        rows=[(words, *(verdict(numbers[f"{arm}/{layers}"]) for layers in LAYERS)) for words, arm in arms.items()],
        how=HOW,
        test="test_blocked_scores_leak_unless_the_position_asks_as_mask",
        numbers=numbers,
    )


def diagonal() -> Fact:
    """Measure leaks if a token may not attend to itself."""
    arms = {
        "diagonal of the scores hidden (visibility=diagonal)": "diagonal",
        "and it asks as [MASK] (visibility=diagonal_query)": "diagonal_query",
        "and keys and values stay those of the first layer (visibility=diagonal_position)": "diagonal_position",
    }
    numbers = {name: size for arm in arms.values() for name, size in leaks(arm, arm).items()}
    return Fact(
        claim="diagonal",
        question="Why not let the attention mask hide the current word only, and predict every word at once?",
        answer="A word hidden from itself comes back: at once through its own query and skip connection, and, once "
        "that is closed, from the second layer on through the neighbours that have seen it. Only keys and values "
        "that never learn of other tokens keep it out at any depth.",
        header=("what is hidden", *(f"{layers} layer{'s' * (layers > 1)}" for layers in LAYERS)),
        rows=[(words, *(verdict(numbers[f"{arm}/{layers}"]) for layers in LAYERS)) for words, arm in arms.items()],
        how=HOW,
        test="test_a_hidden_diagonal_leaks_through_the_neighbours_of_the_second_layer",
        numbers=numbers,
    )


HOW = (
    "Gradient of the logits at a position with respect to the embedding of the token that belongs there, in untrained "
    "models; `0` means exactly 0, `leaks` anything else. `tests/model/test_visibility.py` has all options."
)


def leaks(name: str, visibility: str, *, masked: bool = False) -> dict[str, float]:
    """Return the largest gradient for each number of layers, as name/layers."""
    models = {layers: small(f"model/visibility={visibility}", layers=layers, tie_output=False) for layers in LAYERS}
    return {f"{name}/{layers}": own_gradient(model, masked=masked) for layers, model in models.items()}


def own_gradient(model: Bert, *, masked: bool) -> float:
    """Return the largest gradient of the predictions with respect to the vector of the token to predict.

    Input and output tables are separate and no token is repeated, so a token's row is reached only through its own
    place.
    """
    ids_1L = torch.tensor([TOKENS])
    if masked:
        ids_1L[0, list(PREDICTED)] = MASK
    logit_MV = model(batch_of(ids_1L, place_M=torch.tensor(PREDICTED))).mlm_MV
    table, found = model.embedding.token.weight, 0.0
    for place, logit_V in zip(PREDICTED, logit_MV, strict=True):
        (gradient_VD,) = torch.autograd.grad(logit_V.square().sum(), table, retain_graph=True)
        found = max(found, float(gradient_VD[TOKENS[place]].abs().max()))
    return found


def verdict(gradient: float) -> str:
    """Write a gradient: only zero or not zero matters."""
    return "leaks" if gradient else "0"
