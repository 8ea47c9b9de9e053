"""Facts about training: the sums in the embedding and in the loss.

Legend: B batch, L length, D width, V vocabulary, M predicted positions.
"""

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch

from bertlab.facts.built import PUBLISHED, base, batch_of, largest, small, tokens
from bertlab.facts.fact import Fact, below
from bertlab.model.count import count_parameters
from bertlab.objective import Joint


def loss() -> Fact:
    """Compare the loss at the start of training with a manual computation."""
    model = small(vocabulary=PUBLISHED, dense_std=0.02)
    ids_BL = tokens(8, 16, "loss", PUBLISHED)
    batch = batch_of(ids_BL, place_M=torch.arange(0, ids_BL.numel(), 7))
    batch = replace(batch, pair_B=torch.arange(8) % 2, has_pairs=True)
    with torch.no_grad():
        output = model(batch)
        losses = {name: float(value) for name, value in Joint(mlm_weight=1, pair_weight=1)(output, batch).items()}
    mlm = surprise(output.mlm_MV.detach().numpy(), batch.target_M.numpy())
    pair = surprise(output.pair_B2.numpy(), batch.pair_B.numpy())
    rows = {"masked tokens": (mlm, math.log(PUBLISHED)), "pairs": (pair, math.log(2))}
    rows["sum, which is minimised"] = (mlm + pair, math.log(PUBLISHED) + math.log(2))
    return Fact(
        claim="loss",
        question="What is the loss?",
        answer="The mean cross-entropy of the masked tokens plus the mean cross-entropy of the sentence pairs, both in "
        f"nats. An untrained model guesses evenly, so training starts at about ln V + ln 2 = "
        f"{math.log(2 * PUBLISHED):.2f}.",
        header=("term", "value, nats", "of an even guess, nats"),
        rows=[(name, f"{value:.2f}", f"{even:.2f}") for name, (value, even) in rows.items()],
        how=f"Mean of -ln softmax(logits)[target] computed with numpy from the logits of an untrained small model with "
        f"{PUBLISHED:,} tokens; the objective of training gives the same to "
        f"{below(abs(losses['loss'] - mlm - pair), 1e-6)}.",
        test="test_the_loss_is_the_sum_of_two_mean_cross_entropies",
        numbers={**losses, "mlm by hand": mlm, "pair by hand": pair},
    )


def surprise(logits: npt.NDArray[np.float64], target: npt.NDArray[np.int64]) -> float:
    """Return the mean of -ln p(target)."""
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return float(-np.log(odds[np.arange(len(target)), target] / odds.sum(axis=1)).mean())


def embeddings() -> Fact:
    """Give the concatenation a matrix that makes it equal to the sum."""
    add, concat = small(), small("model/embedding=concat")
    width = add.shape.width
    with torch.no_grad():
        concat.load_state_dict({**concat.state_dict(), **add.state_dict()})
        project = concat.embedding.get_submodule("project")
        assert isinstance(project, torch.nn.Linear)
        project.weight.copy_(torch.eye(width).repeat(1, 3))
        ids_BL = tokens(4, 16)
        batch = replace(batch_of(ids_BL), segments_BL=(torch.arange(16) > 8).long().expand(4, -1))
        error = largest(concat.encode(batch) - add.encode(batch))
        one_hot = _by_one_matrix(add.embedding, batch.ids_BL, batch.segments_BL)
        error_of_one_hot = largest(one_hot - add.embedding.join(batch.ids_BL, batch.segments_BL))
    models = base("model/embedding=concat"), base()
    added, without = (sum(count_parameters(model).values()) for model in models)
    return Fact(
        claim="embeddings",
        question="Does adding the three embeddings lose anything against setting them side by side?",
        answer="A sum is a concatenation followed by a fixed matrix of three identities, and equally a product of the "
        "three one-hot codes, side by side, with the stacked tables. So the sum can say nothing that a concatenation "
        f"with a projection cannot; a projection of its own costs BERT-base {added - without:,} parameters more.",
        header=("the sum against", "largest difference"),
        rows=[
            ("concatenation times three stacked identities, states of the last layer", below(error, 1e-6)),
            ("one-hot codes of token, segment and position times the stacked tables", below(error_of_one_hot, 1e-6)),
        ],
        how="Both models have the same weights otherwise. Whether the added freedom helps is a study.",
        test="test_a_sum_is_a_concatenation_followed_by_stacked_identities",
        numbers={"error": error, "error of one-hot": error_of_one_hot, "added": added - without},
    )


def _by_one_matrix(embedding: torch.nn.Module, ids_BL: torch.Tensor, segments_BL: torch.Tensor) -> torch.Tensor:
    """Return [one-hot token, one-hot segment, one-hot position] times the tables, stacked (B, L, D)."""
    names = ("token", "segment", "position.table")
    tables = [torch.as_tensor(embedding.get_submodule(name).weight) for name in names]
    place_BL = torch.arange(ids_BL.shape[1]).expand_as(ids_BL)
    codes = [
        torch.nn.functional.one_hot(index_BL, len(table)).double()
        for index_BL, table in zip((ids_BL, segments_BL, place_BL), tables, strict=True)
    ]
    return torch.cat(codes, dim=-1) @ torch.cat(tables)
