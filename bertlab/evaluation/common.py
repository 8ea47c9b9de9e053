"""The common evaluation: the same held-out sequences with the same tokens hidden, for every run on a corpus.

Hidden tokens become [MASK], all of them, at one rate that runs are judged by and at a small grid of others; they are
nested across rates. They are hidden in single segments of one document, a form that every arm can read, however its own
examples are cut; pairs are judged by themselves, on text without any mask. Drawn once for a corpus and stored; neither
the draw nor the store depends on a run's seed.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bertlab.batch import assemble
from bertlab.cache import cached, digest
from bertlab.data.documents import Corpus
from bertlab.data.store import Ints, TokenStore
from bertlab.errors import InputError, closed_interval, open_interval, whole_number
from bertlab.evaluation.floor import Oracle, follows, hidden_log_prob
from bertlab.evaluation.score import Evaluation, read_evaluation
from bertlab.mask.token import TokenMask
from bertlab.pairs import FOLLOWS, NO_PAIR, PairMaker
from bertlab.streams import Streams

STREAMS = Streams(20181011)  # the day BERT appeared; evaluation never depends on a run's seed
VERSION = "evaluation-1"  # change it whenever the same settings would give other sequences or masks


class Common:
    """Settings of the common evaluation."""

    def __init__(
        self, *, text: PairMaker, pairs: PairMaker, sequences: int, rate: float, grid: Sequence[float], share: float
    ) -> None:
        self.text, self.pairs = text, pairs
        self.sequences = whole_number("evaluation.sequences", sequences, 1)
        self.rate = open_interval("evaluation.rate", rate, 0, 1)
        self.rates = sorted({rate, *(open_interval("evaluation.grid", other, 0, 1) for other in grid)})
        self.share = closed_interval("evaluation.share", share, 0, 1)

    def steps(self, total: int, batch_tokens: int, length: int) -> list[int]:
        """Return the steps (counted from 1) to evaluate after: the last, and as many before as the share allows.

        A forward pass costs about a third of a training step. Points are evenly spaced in log(tokens) from 5 % on.
        """
        pass_cost = self.sequences * length / 3
        affordable = self.share * total * batch_tokens / pass_cost - len(self.rates)
        points = max(int(affordable / 2), 1)  # a point takes two passes: hidden tokens and pairs
        return sorted({round(step) for step in np.geomspace(total, max(0.05 * total, 1), points)})

    def prepare(self, store: TokenStore, corpus: Corpus, length: int) -> Evaluation:
        """Return the evaluation of a corpus at a length, stored or drawn now. Raises InputError for too little text."""
        makers = [(type(maker).__name__, vars(maker)) for maker in (self.text, self.pairs)]
        key = digest(VERSION, corpus.key(), store.fingerprint, makers, self.sequences, self.rates, length)
        folder = cached("evaluations", key, lambda folder: self._draw(folder, store, corpus, length))
        return read_evaluation(folder, store, self.rate)

    def _draw(self, folder: Path, store: TokenStore, corpus: Corpus, length: int) -> None:
        ids_NL, segments_NL, _ = self._sequences(self.text, store, length)
        arrays = {"ids_NL": ids_NL, "segments_NL": segments_NL}
        for rate in self.rates:
            hidden_M = hide(ids_NL, rate, store)
            arrays[f"hidden_{rate}"] = hidden_M
            if isinstance(corpus, Oracle):
                log_prob_M = hidden_log_prob(corpus, store, ids_NL, segments_NL, hidden_M)
                arrays[f"floor_{rate}"] = -log_prob_M.mean(keepdims=True)
        ids_NL, segments_NL, label_N = self._sequences(self.pairs, store, length)
        arrays |= {"pair_ids_NL": ids_NL, "pair_segments_NL": segments_NL, "pair_N": label_N}
        if isinstance(corpus, Oracle) and (label_N != NO_PAIR).all():
            right_N = (follows(corpus, store, ids_NL, segments_NL) > 0.5) == (label_N == FOLLOWS)
            arrays["pair_floor"] = right_N.mean(keepdims=True)
        np.savez(folder / "evaluation.npz", **arrays)  # type: ignore[arg-type]

    def _sequences(self, maker: PairMaker, store: TokenStore, length: int) -> tuple[Ints, Ints, Ints]:
        tokens = store.splits["valid"]
        examples = maker(tokens, length, STREAMS.generator("pairs"))
        rows = STREAMS.generator("order").permutation(len(examples))[: self.sequences]
        return *assemble(tokens, examples, rows, length), examples.label[rows]


def hide(ids_NL: Ints, rate: float, store: TokenStore) -> Ints:
    """Return the flat positions to hide, ascending. Raises InputError when there are none."""
    mask = TokenMask(rate=rate, split=(1, 0, 0))
    hidden_M = mask(ids_NL, store.vocabulary, partial(STREAMS.generator, counter=0)).position_M
    if len(hidden_M) == 0:
        real = int((ids_NL >= store.vocabulary.first_real).sum())
        raise InputError(
            f"evaluation.rate {rate:g} hides none of {real} held-out tokens; add text or choose a higher rate"
        )
    return hidden_M
