import itertools
from functools import partial

import numpy as np
import pytest
from scipy.special import logsumexp

from bertlab.config.errors import InputError
from bertlab.data import hmm
from bertlab.data.hmm import HIDDEN, OUTSIDE, Floats, Ints, Language

assert_exact = partial(np.testing.assert_allclose, rtol=0, atol=1e-10)
TINY = hmm.make_language(3, 2, 4, 3, 2, np.random.default_rng(7))
FULL = hmm.make_language(12, 2, 120, 20, 2, np.random.default_rng(0))


def path_probability(language: Language, words: Ints, states: Ints, topic: int) -> float:
    """P(states, words | topic) of one run of words, factor by factor; 1 for an empty run."""
    if not len(words):
        return 1.0
    value = float(language.start_TS[topic, states[0]])
    for before, after in itertools.pairwise(states):
        value *= language.step_TSS[topic, before, after]
    return value * float(np.prod([language.emit_SW[s, w] for s, w in zip(states, words, strict=True)]))


def enumerate_pair(language: Language, length_a: int, length_b: int) -> tuple[Floats, Floats]:
    """Joint tables [hypothesis, words...] and [hypothesis, states..., words...], summed over all hidden variables."""
    topics, states = language.start_TS.shape
    words, length = language.emit_SW.shape[1], length_a + length_b
    table = np.zeros((2, *[states] * length, *[words] * length))
    for path in itertools.product(range(states), repeat=length):
        for text in itertools.product(range(words), repeat=length):
            p, t = np.array(path), np.array(text)
            joined = [path_probability(language, t, p, k) for k in range(topics)]
            first = [path_probability(language, t[:length_a], p[:length_a], k) for k in range(topics)]
            other = [path_probability(language, t[length_a:], p[length_a:], k) for k in range(topics)]
            table[(0, *path, *text)] = 0.5 * np.mean(first) * np.mean(other)  # two documents, two topics
            table[(1, *path, *text)] = 0.5 * np.mean(joined)
    return table.sum(axis=tuple(range(1, 1 + length))), table


@pytest.fixture(scope="module")
def tables() -> tuple[Floats, Floats]:
    return enumerate_pair(TINY, 2, 2)


def conditioned(table: Floats, axes: list[int], row: Ints) -> Floats:
    """Select the entries that agree with the visible words; hidden words stay as axes."""
    index: list[slice | int] = [slice(None)] * table.ndim
    for axis, word in zip(axes, row, strict=True):
        if word != HIDDEN:
            index[axis] = slice(word, word + 1)
    return table[tuple(index)]


def test_the_enumerated_tables_are_distributions(tables: tuple[Floats, Floats]) -> None:
    assert_exact(tables[0].sum(axis=(1, 2, 3, 4)), [0.5, 0.5])


def test_words_follows_and_evidence_agree_with_brute_force(tables: tuple[Floats, Floats]) -> None:
    rows = np.array(list(itertools.product([HIDDEN, 0, 1, 2, 3], repeat=4)))
    rows = rows[[conditioned(tables[0], [1, 2, 3, 4], row).sum() > 0 for row in rows]]
    assert len(rows) > 500
    posterior = hmm.infer(TINY, rows, np.tile([0, 0, 1, 1], (len(rows), 1)))
    log_prob = iter(hmm.hidden_log_prob(TINY, rows, posterior))
    for row, follows, log_evidence in zip(rows, posterior.follows_B, posterior.log_evidence_B, strict=True):
        kept = conditioned(tables[0], [1, 2, 3, 4], row)
        assert_exact(np.exp(log_evidence), kept.sum())
        assert_exact(follows, kept[1].sum() / kept.sum())
        for axis in np.flatnonzero(row == HIDDEN) + 1:
            others = tuple(a for a in range(5) if a != axis)
            assert_exact(np.exp(next(log_prob)), kept.sum(axis=others) / kept.sum())
    assert next(log_prob, None) is None


def test_senses_agree_with_brute_force(tables: tuple[Floats, Floats]) -> None:
    rows = np.array([[HIDDEN, 1, 2, HIDDEN], [0, HIDDEN, HIDDEN, 3], [3, 1, HIDDEN, 0], [HIDDEN] * 4])
    posterior = hmm.infer(TINY, rows, np.tile([0, 0, 1, 1], (4, 1)))
    for row, state_LS in zip(rows, posterior.state_BLS, strict=True):
        kept = conditioned(tables[1], [5, 6, 7, 8], row)
        for place in range(4):
            others = tuple(a for a in range(9) if a != place + 1)
            assert_exact(state_LS[place], kept.sum(axis=others) / kept.sum())


@pytest.mark.parametrize(("length_a", "length_b"), [(1, 2), (2, 1), (3, 0)])
def test_rows_of_other_lengths_agree_with_brute_force_when_padded(length_a: int, length_b: int) -> None:
    words_only, _ = enumerate_pair(TINY, length_a, length_b)
    row = np.array([HIDDEN, 1, HIDDEN])
    kept = conditioned(words_only, [1, 2, 3], row)
    padded, longer = np.append(row, [OUTSIDE, OUTSIDE]), np.array([1, 0, 2, HIDDEN, 1])
    segments = np.array([[0] * length_a + [1] * length_b + [0, 0], [0, 0, 1, 1, 1]])
    posterior = hmm.infer(TINY, np.stack([padded, longer]), segments)
    log_prob = hmm.hidden_log_prob(TINY, np.stack([padded, longer]), posterior)
    assert_exact(np.exp(log_prob[0]), kept.sum(axis=(0, 2, 3)) / kept.sum())
    assert_exact(np.exp(log_prob[1]), kept.sum(axis=(0, 1, 2)) / kept.sum())
    assert_exact(posterior.follows_B[0], kept[1].sum() / kept.sum())
    assert_exact(np.exp(posterior.log_evidence_B[0]), kept.sum())
    assert len(log_prob) == 3


@pytest.mark.parametrize("outside", [[0, 0], [1, 1], [0, 1]])
def test_the_segment_numbers_of_padding_are_of_no_account(outside: list[int]) -> None:
    rows, segments = np.array([[0, HIDDEN, 1]] * 2), np.array([[0, 0, 0], [0, 1, 1]])
    bare = hmm.infer(TINY, rows, segments)
    padded = hmm.infer(TINY, np.pad(rows, ((0, 0), (0, 2)), constant_values=OUTSIDE), np.c_[segments, [outside] * 2])
    assert_exact(padded.follows_B, bare.follows_B)
    assert_exact(padded.state_BLS[:, :3], bare.state_BLS)
    assert bare.follows_B[0] == pytest.approx(0.5, abs=1e-12), "a row without B leaves the prior"
    assert abs(bare.follows_B[1] - 0.5) > 0.001, "a row with B does not"


def test_nothing_visible_leaves_the_prior() -> None:
    rows = np.full((1, 7), HIDDEN)
    posterior = hmm.infer(FULL, rows, np.array([[0, 0, 0, 1, 1, 1, 1]]))
    expected = np.tile(hmm.unigram(FULL), (7, 1))
    assert_exact(np.exp(hmm.hidden_log_prob(FULL, rows, posterior)), expected)
    assert posterior.follows_B[0] == pytest.approx(0.5, abs=1e-12)
    assert posterior.log_evidence_B[0] == pytest.approx(0.0, abs=1e-12)


def test_long_rows_do_not_underflow() -> None:
    """1,009 words: the evidence is far below the smallest double and equals an independent sum in logarithms."""
    _, _, words_NL = hmm.sample(FULL, 2, 1009, np.random.default_rng(3))
    posterior = hmm.infer(FULL, words_NL, np.zeros_like(words_NL))
    with np.errstate(divide="ignore"):
        emit, step, message = np.log(FULL.emit_SW), np.log(FULL.step_TSS), np.log(FULL.start_TS / 2)
    message = message + emit[:, words_NL[0, 0]]
    for word in words_NL[0, 1:]:
        message = logsumexp(message[:, :, None] + step, axis=1) + emit[:, word]
    assert posterior.log_evidence_B[0] < -1000
    assert posterior.log_evidence_B[0] == pytest.approx(logsumexp(message), abs=1e-7)
    assert_exact(posterior.state_BLS.sum(axis=2), 1.0)


def test_words_that_cannot_occur_are_refused() -> None:
    step_SS = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.5, 0.0, 0.5]])
    language = Language(np.full((1, 3), 1 / 3), step_SS[None], np.eye(3))  # word = state; 2 never follows 0
    rows = np.array([[0, HIDDEN, 2], [0, 2, HIDDEN]])
    with pytest.raises(InputError, match=r"probability 0 for row 1.*\[MASK\]"):
        hmm.infer(language, rows, np.zeros_like(rows))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("states", "successors"), [(2, 2), (3, 2), (4, 2), (7, 2), (12, 2), (12, 5), (5, 5)])
def test_every_topic_is_irreducible_aperiodic_and_stationary(states: int, successors: int, seed: int) -> None:
    language = hmm.make_language(states, 31, 11, 7, successors, np.random.default_rng(seed))
    for start_S, step_SS in zip(language.start_TS, language.step_TSS, strict=True):
        assert ((step_SS > 0).sum(axis=1) == successors).all()
        assert_exact(step_SS.sum(axis=1), 1.0)
        power = np.linalg.matrix_power((step_SS > 0).astype(float), (states - 1) ** 2 + 1)  # Wielandt's bound
        assert (power > 0).all()
        assert (start_S > 0).all()
        assert_exact(start_S @ step_SS, start_S)
        assert_exact(start_S.sum(), 1.0)


def test_words_are_dealt_evenly_with_zipf_weights() -> None:
    assert set((FULL.emit_SW > 0).sum(axis=0)) == {2}  # 12 * 20 / 120 senses a word
    zipf = 1 / np.arange(1, 21)
    assert_exact(-np.sort(-FULL.emit_SW, axis=1)[:, :20], np.tile(zipf / zipf.sum(), (12, 1)))
    odd = hmm.emissions(5, 13, 4, np.random.default_rng(0))  # 20 places for 13 words
    assert set((odd > 0).sum(axis=0)) == {1, 2}


def test_a_draw_on_the_very_edge_never_picks_what_cannot_occur() -> None:
    """Draws have 24 bits, so 0 and 1/2 do come up in millions of them."""

    class Edges(np.random.Generator):
        def random(self, *_: object, **__: object) -> Floats:  # type: ignore[override]
            return np.array([0.0, 0.5, 1 - 2.0**-24])

    probability = np.array([[0.0, 0.5, 0.0, 0.5, 0.0]] * 3)
    for row in range(3):
        drawn = hmm._draw(probability, np.full(3, row), Edges(np.random.Philox(0)))
        np.testing.assert_array_equal(drawn, [1, 3, 3])


def test_sampled_words_occur_at_the_exact_unigram_rates() -> None:
    """8,009 * 13 words. Tolerance: .003 a word, .02 in total variation (half the sum)."""
    _, _, words_NL = hmm.sample(FULL, 8009, 13, np.random.default_rng(1))
    rate = np.bincount(words_NL.ravel(), minlength=120) / words_NL.size
    assert np.abs(rate - hmm.unigram(FULL)).max() < 0.003
    assert np.abs(rate - hmm.unigram(FULL)).sum() / 2 < 0.02
    assert (rate > 0).all()


def test_every_position_of_a_document_has_the_stationary_law() -> None:
    topic_N, state_NL, _ = hmm.sample(FULL, 50_021, 17, np.random.default_rng(2))
    for topic in (0, 1):
        for place in (0, 1, 16):
            rate = np.bincount(state_NL[topic_N == topic, place], minlength=12) / (topic_N == topic).sum()
            assert np.abs(rate - FULL.start_TS[topic]).max() < 0.008  # 3 standard errors at a rate of .25


def test_sampled_states_follow_their_topic() -> None:
    topic_N, state_NL, word_NL = hmm.sample(FULL, 4001, 31, np.random.default_rng(4))
    assert abs(topic_N.mean() - 0.5) < 0.03
    for topic in (0, 1):
        count = np.zeros((12, 12))
        np.add.at(count, (state_NL[topic_N == topic, :-1], state_NL[topic_N == topic, 1:]), 1)
        np.testing.assert_allclose(count / count.sum(axis=1, keepdims=True), FULL.step_TSS[topic], rtol=0, atol=0.05)
        assert (count[FULL.step_TSS[topic] == 0] == 0).all()
    emitted = np.zeros((12, 120))
    np.add.at(emitted, (state_NL, word_NL), 1)
    np.testing.assert_allclose(emitted / emitted.sum(axis=1, keepdims=True), FULL.emit_SW, rtol=0, atol=0.02)
    assert (emitted[FULL.emit_SW == 0] == 0).all()
