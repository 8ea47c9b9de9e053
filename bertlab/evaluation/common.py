"""The common evaluation: the same held-out sequences with the same hidden tokens, for every run on a corpus.

All hidden tokens become [MASK], at one main rate that judges runs, and at a small grid of other rates; smaller rates
hide subsets. They are in single segments of one document, which every arm can read, however its own examples are cut.
Pairs are scored separately, on text without masks. At the end of a run there are more measures of the same tokens:
corrupted as in BERT's training, with shuffled context, with half of the context. Also, a sample of tokens is hidden one
at a time, states of visible text are probed, and optionally longer texts are scored by position and the model is
fine-tuned for small tasks. All is drawn once per corpus and stored; the draw does not depend on a run's seed.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from bertlab.config.bounds import bounded
from bertlab.config.cache import cached, digest
from bertlab.config.errors import InputError, at, own
from bertlab.data.batches import assemble
from bertlab.data.documents import Corpus
from bertlab.data.masking import Masked
from bertlab.data.pairs import FOLLOWS, NO_PAIR, PairMaker
from bertlab.data.store import Ints, TokenStore
from bertlab.data.tokenizer import PAD
from bertlab.evaluation.curve import PAIRS_A_TEXT, steps_to_evaluate
from bertlab.evaluation.features import draw_features
from bertlab.evaluation.floor import Oracle, follows, hidden_log_prob, senses
from bertlab.evaluation.measured import FINAL_CHUNKS
from bertlab.evaluation.score import Evaluation
from bertlab.evaluation.sequences import STREAMS
from bertlab.evaluation.tasks import draw_tasks
from bertlab.mask.corrupt import maskable
from bertlab.mask.token import TokenMask

VERSION = "evaluation-5"  # change it if the same settings would give other sequences or masks
ONLY_MASKS, BERT_SPLIT = (1.0, 0.0, 0.0), (0.8, 0.1, 0.1)  # [MASK], random, kept; Devlin et al. 2018
FEWEST_HIDDEN, MOST_ALIKE = 7, 0.9  # least tokens scored at the main rate; largest share of the most common one
FEWEST = 16  # least number of full texts of the longest length


class Common:
    """Settings of the common evaluation."""

    @bounded
    def __init__(
        self,
        *,
        text: PairMaker,
        pairs: PairMaker,
        sequences: int,
        rate: float,
        grid: Sequence[float],
        pseudo: int,
        probe: int,
        prune: Sequence[float],
        finetune: Sequence[int],
        longest: int | None,
        share: float,
        final: int = 0,
        finetune_seeds: int = 1,
    ) -> None:
        self.text, self.pairs = text, pairs
        self.sequences, self.pseudo, self.probe, self.longest = sequences, pseudo, probe, longest
        self.rate, self.rates = rate, sorted({rate, *grid})
        self.prune, self.finetune, self.share, self.final = list(prune), list(finetune), share, final
        self.finetune_seeds = finetune_seeds

    def steps(self, total: int, batch_tokens: int, length: int, last_passes: float) -> list[int]:
        """Return the steps (counted from 1) after which to evaluate; see `steps_to_evaluate`."""
        text = self.sequences * length
        return steps_to_evaluate(total, batch_tokens, text, share=self.share, last_passes=last_passes)

    def prepare(self, store: TokenStore, corpus: Corpus, length: int) -> Evaluation:
        """Return the evaluation of a corpus at a length, stored or drawn now. Raises InputError for too little text."""
        if self.longest is not None and self.longest <= length:
            raise InputError(
                f"{own('longest')} must be null or more than batch.length {length}, got {self.longest}; "
                f"choose for example {2 * length}"
            )
        makers = [(type(maker).__name__, vars(maker)) for maker in (self.text, self.pairs)]
        teach = max(self.finetune, default=0)
        settings = [makers, self.sequences, self.rate, self.rates, self.pseudo, self.probe, teach, self.longest, length]
        settings += [self.final, FINAL_CHUNKS] if self.final else []
        key = digest(VERSION, corpus.key(), store.fingerprint, settings)
        folder = cached("evaluations", key, lambda folder: self._draw(folder, store, corpus, length))
        return Evaluation.read(folder, store, self.rate, self.prune, self.finetune, self.finetune_seeds)

    def _draw(self, folder: Path, store: TokenStore, corpus: Corpus, length: int) -> None:
        with at("text"):
            ids_NL, segments_NL, *_ = self._sequences(self.text, store, length, self.sequences)
        arrays = {"ids_NL": ids_NL, "segments_NL": segments_NL}
        hideable_NL = self._hideable(ids_NL, segments_NL)
        for rate in self.rates:
            hidden_M = hide(hideable_NL, rate, store).position_M
            if rate == self.rate:
                check_scored(ids_NL.reshape(-1)[hidden_M])
            arrays[f"hidden_{rate}"] = hidden_M
            if isinstance(corpus, Oracle):
                log_prob_M = hidden_log_prob(corpus, store, ids_NL, segments_NL, hidden_M)
                arrays[f"floor_{rate}"] = -log_prob_M.mean(keepdims=True)
        arrays["shuffled_NL"] = self._shuffled(store, ids_NL, arrays[f"hidden_{self.rate}"])
        split = hide(hideable_NL, self.rate, store, BERT_SPLIT)
        arrays["split_M"] = split.ids_BL.reshape(-1)[split.position_M]
        tokens_M = np.flatnonzero(maskable(hideable_NL, store.vocabulary))
        arrays["pseudo_M"] = np.sort(STREAMS.generator("pseudo").permutation(tokens_M)[: self.pseudo])
        arrays |= self._features(store, corpus, ids_NL[: self.probe], segments_NL[: self.probe])
        if self.finetune:
            arrays |= draw_tasks(store.splits["valid"], length, max(self.finetune), STREAMS.generator("tasks"))
        if self.longest is not None:
            arrays |= self._long(store, self.longest)
        if self.final:
            arrays |= self._final(store, length)
        with at("pairs"):
            ids_NL, segments_NL, label_N, _ = self._sequences(self.pairs, store, length, self.sequences)
        arrays |= {"pair_ids_NL": ids_NL, "pair_segments_NL": segments_NL, "pair_N": label_N}
        if isinstance(corpus, Oracle) and (label_N != NO_PAIR).all():
            right_N = (follows(corpus, store, ids_NL, segments_NL) > 0.5) == (label_N == FOLLOWS)
            arrays["pair_floor"] = right_N.mean(keepdims=True)
        np.savez(folder / "evaluation.npz", **arrays)  # type: ignore[arg-type]

    def _shuffled(self, store: TokenStore, ids_NL: Ints, hidden_M: Ints) -> Ints:
        """Shuffle the words of each sequence that are not hidden; special tokens stay in place."""
        moves_NL, shuffled_NL = maskable(ids_NL, store.vocabulary), ids_NL.copy()
        moves_NL.reshape(-1)[hidden_M] = False
        generator = STREAMS.generator("shuffled")
        for ids_L, moves_L in zip(shuffled_NL, moves_NL, strict=True):
            ids_L[moves_L] = generator.permutation(ids_L[moves_L])
        return shuffled_NL

    def _features(self, store: TokenStore, corpus: Corpus, ids_NL: Ints, segments_NL: Ints) -> dict[str, Ints]:
        """Draw the words for the probes of states."""
        word_M = np.flatnonzero(maskable(ids_NL, store.vocabulary))
        sense_M = senses(corpus, store, ids_NL, segments_NL) if isinstance(corpus, Oracle) else None
        return draw_features(ids_NL, segments_NL, word_M, sense_M, STREAMS.generator("moved"))

    def _hideable(self, ids_NL: Ints, segments_NL: Ints) -> Ints:
        """Return the ids without segment A if B depends on it, as in translation; only B may be hidden."""
        return np.where(segments_NL == 1, ids_NL, PAD) if getattr(self.text, "answers", False) else ids_NL

    def _long(self, store: TokenStore, longest: int) -> dict[str, Ints]:
        """Draw texts of exactly the longest length, so that all positions are scored on the same texts."""
        with at("text"):
            ids_NL, segments_NL, *_ = self._sequences(self.text, store, longest, self.sequences, full=True)
        if len(ids_NL) < (fewest := min(FEWEST, self.sequences)):
            raise InputError(
                f"{own('longest')} {longest} needs {fewest} held-out texts that long, got {len(ids_NL)}; "
                f"add long documents or choose a smaller {own('longest')}"
            )
        hidden_M = hide(self._hideable(ids_NL, segments_NL), self.rate, store).position_M
        return {"long_ids_NL": ids_NL, "long_segments_NL": segments_NL, "long_M": hidden_M}

    def _final(self, store: TokenStore, length: int) -> dict[str, Ints]:
        """Draw many more texts and pairs; the first of them are those of the curve."""
        with at("text"):
            ids_NL, segments_NL, _, row_N = self._sequences(self.text, store, length, self.final)
        hidden_M = hide(self._hideable(ids_NL, segments_NL), self.rate, store).position_M
        drawn = {"final_ids_NL": ids_NL, "final_segments_NL": segments_NL, "final_M": hidden_M}
        drawn["final_chunk_N"] = chunks(row_N)
        with at("pairs"):
            ids_NL, segments_NL, label_N, row_N = self._sequences(self.pairs, store, length, PAIRS_A_TEXT * self.final)
        drawn |= {"final_pair_ids_NL": ids_NL, "final_pair_segments_NL": segments_NL, "final_pair_N": label_N}
        return drawn | {"final_pair_chunk_N": chunks(row_N)}

    @staticmethod
    def _sequences(
        maker: PairMaker, store: TokenStore, length: int, number: int, *, full: bool = False
    ) -> tuple[Ints, Ints, Ints, Ints]:
        """Draw at most `number` sequences: any, or only those without padding.

        Returns ids, segments, labels, and the sequences' places in the held-out text.
        """
        tokens = store.splits["valid"]
        examples = maker(tokens, length, STREAMS.generator("pairs"))
        rows = STREAMS.generator("order").permutation(len(examples))
        if full:
            rows = rows[(assemble(tokens, examples, rows, length)[0] != PAD).all(1)]
        rows = rows[:number]
        return *assemble(tokens, examples, rows, length), examples.label[rows], rows


def chunks(row_N: Ints) -> Ints:
    """Return the part of the text of each sequence; a part is a range of documents, up to its ends.

    So differences between documents, for example between authors, are differences between parts: noise of the text.
    """
    return np.argsort(np.argsort(row_N)) * FINAL_CHUNKS // len(row_N)


def check_scored(target_M: Ints) -> None:
    """Raise InputError for too few tokens, or if a constant guess is right for too many."""
    most = int(np.unique(target_M, return_counts=True)[1].max())
    if len(target_M) < FEWEST_HIDDEN or most > MOST_ALIKE * len(target_M):
        raise InputError(
            f"evaluation must score at least {FEWEST_HIDDEN} held-out tokens, at most {MOST_ALIKE:.0%} of them one and "
            f"the same, got {len(target_M)} of which {most} are; add held-out text that the tokenizer knows, or raise "
            "evaluation.sequences or evaluation.rate"
        )


def hide(ids_NL: Ints, rate: float, store: TokenStore, split: Sequence[float] = ONLY_MASKS) -> Masked:
    """Return the corrupted copy and the hidden flat positions, which are the same for every split.

    Raises InputError if there are none.
    """
    masked = TokenMask(rate=rate, split=split)(ids_NL, store.vocabulary, partial(STREAMS.generator, counter=0))
    if len(masked.position_M) == 0:
        real = int(maskable(ids_NL, store.vocabulary).sum())
        raise InputError(
            f"{own('rate')} and {own('grid')} must hide held-out tokens, got {rate:g}, which hides none of {real}; add "
            "text or choose higher rates"
        )
    return masked
