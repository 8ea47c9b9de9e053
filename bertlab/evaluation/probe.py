"""Linear probes and other measures of frozen states.

Legend: N tokens, D width, C classes.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

PENALTY = 1e-3  # on squared weights, for standardised states
STEPS = 50  # maximum of L-BFGS; the loss is convex, and more steps changed no measure by a point


def probe_accuracy(state_ND: Tensor, label_N: Tensor, test_N: Tensor) -> float:
    """Return the share of test tokens that a linear probe labels right, trained on the other tokens.

    Multinomial logistic regression with a ridge penalty; states are standardised by the training tokens (Alain & Bengio
    2016, arXiv:1610.01644). `label_N` are classes from 0; `test_N` is bool. NaN if there is only one class to learn or
    nothing to test.
    """
    if bool((label_N[~test_N] == label_N[~test_N][:1]).all()):
        return math.nan
    learn_ND, mean_D = state_ND[~test_N].double(), state_ND[~test_N].double().mean(0)
    spread_D = learn_ND.std(0, correction=0).clamp_min(1e-12)
    classes = int(label_N.max()) + 1
    weight_DC = learn_ND.new_zeros(learn_ND.shape[1], classes, requires_grad=True)
    bias_C = learn_ND.new_zeros(classes, requires_grad=True)
    learn_ND, learn_N = (learn_ND - mean_D) / spread_D, label_N[~test_N]
    optimizer = torch.optim.LBFGS([weight_DC, bias_C], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        total = cross_entropy(learn_ND @ weight_DC + bias_C, learn_N) + PENALTY * weight_DC.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    guess_N = ((state_ND[test_N].double() - mean_D) / spread_D @ weight_DC + bias_C).argmax(1)
    return float((guess_N == label_N[test_N]).double().mean())


def effective_rank(state_ND: Tensor) -> float:
    """Return the effective rank of the centred states as a share of the width: exp(entropy of the spectrum) / D.

    The spectrum: singular values, scaled to sum 1 (Roy & Vetterli 2007, "The effective rank"). NaN if all states are
    equal.
    """
    centred_ND = state_ND.double() - state_ND.double().mean(0)
    value_D = torch.linalg.eigvalsh(centred_ND.T @ centred_ND).clamp_min(0).sqrt()
    share_D = value_D / value_D.sum()
    return float(torch.special.entr(share_D).sum().exp()) / len(value_D)


def token_share(state_ND: Tensor, token_N: Tensor) -> float:
    """Return the share of the states' variance that the token alone explains: 1 for static vectors, 0 for chance.

    Adjusted share of a one-way analysis of variance, summed over dimensions, similar to Ethayarajh 2019
    (arXiv:1909.00512), who uses the first principal component of each word. Tokens that occur once are left out. NaN
    if no token occurs twice or all states are equal.
    """
    count_N = token_N.bincount()[token_N]
    x_ND, token_N = state_ND[count_N > 1].double(), token_N[count_N > 1]
    _, group_N, count_G = torch.unique(token_N, return_inverse=True, return_counts=True)
    mean_GD = x_ND.new_zeros(len(count_G), x_ND.shape[1]).index_add_(0, group_N, x_ND) / count_G[:, None]
    within = (x_ND - mean_GD[group_N]).square().sum() / (len(x_ND) - len(count_G))
    return float(1 - within / ((x_ND - x_ND.mean(0)).square().sum() / (len(x_ND) - 1)))
