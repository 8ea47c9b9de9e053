"""A generated language with exact limits: a hidden Markov model with topics.

Enters: the size of a language and a generator. Leaves: the language, samples of it, and the ideal reader's posterior
of hidden words, senses and sentence pairs, by forward-backward (Rabiner 1989, "A tutorial on hidden Markov models",
Proc. IEEE 77(2), sec. III).

A document has one topic, which sets the transitions of the hidden states; each state emits one word of its own list.
The lists overlap, so a word form has several senses: the sense of a token is the state that emitted it.

Shapes: B rows, L positions, T topics, S states, W words, M hidden positions, N documents,
H hypotheses about a pair of segments (RANDOM, FOLLOWS).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bertlab.config.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HIDDEN, OUTSIDE = -1, -2  # in arrays of word indices: a hidden word, a place after the end of the row
RANDOM, FOLLOWS = 0, 1  # indices on axis H


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """Each topic's chain starts in its stationary distribution, so all parts of a document are alike in law."""

    start_TS: Floats
    step_TSS: Floats  # [topic, from, to]
    emit_SW: Floats  # equal in every topic: only the order of the states distinguishes topics


@dataclass(frozen=True, slots=True, eq=False)
class Posterior:
    """Results from the visible words of each row. `state_BLS` after the end of a row has no meaning."""

    state_BLS: Floats
    follows_B: Floats  # P(B follows A); 1/2 for rows without B
    log_evidence_B: Floats  # log probability of all visible words of the row, in nats


def make_language(
    states: int, topics: int, words: int, words_per_state: int, successors: int, generator: np.random.Generator
) -> Language:
    """Draw the transitions of each topic and the emissions, which the topics share."""
    step_TSS = np.stack([transitions(states, successors, generator) for _ in range(topics)])
    start_TS = np.stack([stationary(step_SS) for step_SS in step_TSS])
    return Language(start_TS, step_TSS, emissions(states, words, words_per_state, generator))


def transitions(states: int, successors: int, generator: np.random.Generator) -> Floats:
    """Draw equally likely successors for each state so that the chain is irreducible and aperiodic.

    Every state keeps its successor on a random cycle through all states (irreducible), and one state also the next but
    one: cycles of `states` and of `states - 1` steps have no common period. The other successors are free draws.
    Equal weights make the entropy rate of the states ln(successors) nats in every topic.
    """
    cycle_S = generator.permutation(states)
    rank_SS = generator.random((states, states))
    rank_SS[cycle_S, np.roll(cycle_S, -1)] = 2.0
    rank_SS[cycle_S[0], np.roll(cycle_S, -2)[0]] = 2.0
    step_SS = np.zeros((states, states))
    np.put_along_axis(step_SS, np.argsort(-rank_SS, axis=1)[:, :successors], 1.0 / successors, axis=1)
    return step_SS


def stationary(step_SS: Floats) -> Floats:
    """Solve p = p @ step, sum(p) = 1, for an irreducible chain."""
    equations_SS = step_SS.T - np.eye(len(step_SS))
    equations_SS[-1] = 1.0  # one balance equation is redundant; replace it by the sum
    solution_S: Floats = np.linalg.solve(equations_SS, np.eye(len(step_SS))[-1])
    return solution_S


def emissions(states: int, words: int, words_per_state: int, generator: np.random.Generator) -> Floats:
    """Give `words_per_state` words to each state, as evenly as possible, with weights 1 / rank (Zipf).

    Words with the fewest states come first. So senses per word differ by at most one, and no word is left out if
    states * words_per_state >= words.
    """
    zipf_R = 1.0 / np.arange(1, words_per_state + 1)
    emit_SW, dealt_W = np.zeros((states, words)), np.zeros(words)
    for emit_W in emit_SW:
        chosen_R = np.lexsort((generator.random(words), dealt_W))[:words_per_state]
        dealt_W[chosen_R] += 1
        emit_W[generator.permutation(chosen_R)] = zipf_R / zipf_R.sum()
    return emit_SW


def unigram(language: Language) -> Floats:
    """Return the exact share of each word (W,) in the language: the mean over topics of the stationary emissions."""
    share_W: Floats = language.start_TS.mean(axis=0) @ language.emit_SW
    return share_W


def sample(language: Language, documents: int, length: int, generator: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Draw documents of `length` words; return their topics (N,), states (N, L) and words (N, L)."""
    topics, states = language.start_TS.shape
    topic_N = generator.integers(topics, size=documents)
    state_NL = np.empty((documents, length), dtype=np.int64)
    state_NL[:, 0] = _draw(language.start_TS, topic_N, generator)
    step_XS = language.step_TSS.reshape(topics * states, states)
    for place in range(1, length):
        state_NL[:, place] = _draw(step_XS, topic_N * states + state_NL[:, place - 1], generator)
    return topic_N, state_NL, _draw(language.emit_SW, state_NL, generator)


def _draw(probability_RK: Floats, row: Ints, generator: np.random.Generator) -> Ints:
    """Draw one column for each entry of `row`: invert all cumulative rows, concatenated, at row + uniform."""
    rows, columns = probability_RK.shape
    cumulative_RK = probability_RK.cumsum(axis=1)
    cumulative_RK /= cumulative_RK[:, -1:]
    edges = (cumulative_RK + np.arange(rows)[:, None]).ravel()
    uniform = generator.random(row.shape, dtype=np.float32)  # 24 bits: row + uniform is exact and below row + 1
    column: Ints = np.searchsorted(edges, row + uniform, side="right") - row * columns
    return column


def infer(language: Language, words_BL: Ints, segments_BL: Ints) -> Posterior:
    """Return the exact posterior of states and pair hypothesis given the visible words of each row.

    A row is segment A (0), then segment B (1), then OUTSIDE; either segment may be missing. With probability 1/2 the
    chain continues from A into B (FOLLOWS), else B starts independently with its own topic (RANDOM). Topics, states and
    hypothesis are one hidden chain on H x T x S; its only special step is the one into B under RANDOM. Hidden words
    have likelihood 1. Messages are scaled at each step, so long rows do not underflow. Raises InputError if the
    visible words of a row cannot occur in the language.
    """
    states, words = language.emit_SW.shape
    assert words_BL.shape == segments_BL.shape
    assert words_BL.max(initial=OUTSIDE) < words
    assert (np.diff(words_BL == OUTSIDE, axis=1, prepend=False).sum(axis=1) <= 1).all(), "OUTSIDE ends a row"
    # Indices HIDDEN = -1 and OUTSIDE = -2 address the two rows of ones. OUTSIDE, the chain's probabilities sum to one
    # for any segment numbers.
    likelihood_LBS = np.concatenate([language.emit_SW.T, np.ones((2, states))])[words_BL.T]
    enters_LB = (np.diff(segments_BL, axis=1, prepend=segments_BL[:, :1]) == 1).T
    forward_LHTBS, log_evidence_B = _forward(language, likelihood_LBS, enters_LB)
    follows_B = forward_LHTBS[-1, FOLLOWS].sum(axis=(0, 2))
    return Posterior(_smooth(language, likelihood_LBS, enters_LB, forward_LHTBS), follows_B, log_evidence_B)


def _forward(language: Language, likelihood_LBS: Floats, enters_LB: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return P(hypothesis, topic, state | words so far) (L, H, T, B, S) and the log evidence (B,)."""
    topics, states = language.start_TS.shape
    length, rows = enters_LB.shape
    fresh_T1S = language.start_TS[:, None] / topics
    message_HTBS = np.broadcast_to(fresh_T1S / 2, (2, topics, rows, states))
    forward_LHTBS, scale_LB = np.empty((length, *message_HTBS.shape)), np.empty((length, rows))
    for place in range(length):
        if place:
            into = enters_LB[place]
            mass_B1 = message_HTBS[RANDOM].sum(axis=(0, 2))[into, None]
            message_HTBS = message_HTBS @ language.step_TSS
            message_HTBS[RANDOM][:, into] = mass_B1 * fresh_T1S
        message_HTBS = message_HTBS * likelihood_LBS[place]
        scale_LB[place] = message_HTBS.sum(axis=(0, 1, 3))
        _check_possible(scale_LB[place])
        message_HTBS /= scale_LB[place][:, None]
        forward_LHTBS[place] = message_HTBS
    return forward_LHTBS, np.log(scale_LB).sum(axis=0)


def _check_possible(scale_B: Floats) -> None:
    if not scale_B.all():
        raise InputError(
            f"each row must be text of the generated language, got probability 0 for row {int(scale_B.argmin())}; "
            "hide words with [MASK] only, and take each segment as one run of words of one document"
        )


def _smooth(
    language: Language, likelihood_LBS: Floats, enters_LB: npt.NDArray[np.bool_], forward_LHTBS: Floats
) -> Floats:
    """Run the backward messages and return P(state | all visible words) (B, L, S)."""
    topics, states = language.start_TS.shape
    length, rows = enters_LB.shape
    fresh_T1S = language.start_TS[:, None] / topics
    message_HTBS = np.ones((2, topics, rows, states))
    state_BLS = np.empty((rows, length, states))
    for place in reversed(range(length)):
        joint_BS = (forward_LHTBS[place] * message_HTBS).sum(axis=(0, 1))
        state_BLS[:, place] = joint_BS / joint_BS.sum(axis=1, keepdims=True)
        into = enters_LB[place]
        message_HTBS = message_HTBS * likelihood_LBS[place]
        mass_B1 = (message_HTBS[RANDOM] * fresh_T1S).sum(axis=(0, 2))[into, None]
        message_HTBS = message_HTBS @ language.step_TSS.transpose(0, 2, 1)
        message_HTBS[RANDOM][:, into] = mass_B1
        message_HTBS /= message_HTBS.sum(axis=(0, 1, 3))[:, None]
    return state_BLS


def hidden_log_prob(language: Language, words_BL: Ints, posterior: Posterior) -> Floats:
    """Return the log-probability (nats) of each word at each hidden position, (M, W), row by row; -inf: impossible."""
    with np.errstate(divide="ignore"):
        log_prob_MW: Floats = np.log(posterior.state_BLS[words_BL == HIDDEN] @ language.emit_SW)
    return log_prob_MW
