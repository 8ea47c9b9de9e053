"""Which of two texts is more likely for a model, by pseudo-log-likelihood (Salazar et al. 2020, arXiv:1910.14659).

For a model that predicts ahead: the likelihood of each token given the tokens before it.

Legend: N texts, B copies, L length, M hidden tokens, V vocabulary.
"""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from bertlab.data.pairs import NO_PAIR
from bertlab.evaluation.sequences import Reading, Sequences
from bertlab.model.bert import Bert
from bertlab.tasks.encoding import Example
from bertlab.tasks.metrics import Array

TOGETHER = 1024  # most texts of one length whose copies are in memory


@torch.no_grad()
def likelihoods(model: Bert, examples: Sequence[Example], reading: Reading, device: torch.device) -> Array:
    """Return the summed log-probability of each text's tokens in nats (N,); the model must be in evaluation mode."""
    score_N = np.zeros(len(examples))
    near = sorted(range(len(examples)), key=lambda row: len(examples[row].ids))
    for _, same in groupby(near, key=lambda row: len(examples[row].ids)):
        rows = list(same)
        for start in range(0, len(rows), TOGETHER):
            some = rows[start : start + TOGETHER]
            score_N[some] = _of_one_length(model, np.stack([examples[row].ids for row in some]), reading, device)
    return score_N


def _of_one_length(model: Bert, ids_NL: Array, reading: Reading, device: torch.device) -> Array:
    number, length = ids_NL.shape
    texts = Sequences(ids_NL, np.zeros_like(ids_NL), np.full(number, NO_PAIR))
    # all except [CLS] and [SEP]
    hidden_M = (np.arange(number)[:, None] * length + np.arange(1, length - 1)).reshape(-1)
    copies, copied_M = texts.one_at_a_time(hidden_M)
    nats = [
        cross_entropy(model(there).mlm_MV.float(), there.target_M, reduction="none").double().cpu()
        for batch in copies.batches(copied_M, reading=reading)
        for there in (batch.to(device),)
    ]
    loss_M: Array = torch.cat(nats).numpy()
    score_N: Array = -loss_M.reshape(number, length - 2).sum(1)
    return score_N
