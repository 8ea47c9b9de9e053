"""Probes of frozen states on visible text, from the embedding (layer 0) to the last layer.

Nothing is hidden. Half of the sequences train the linear probes, the other half tests them. In a changed copy of the
text some tokens swap places with each other; so a token alone does not show whether it is at its original place.

Legend: N sequences, L length, M places of words in them, R judged places, D width.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from bertlab.data.pairs import NO_PAIR
from bertlab.data.store import Ints
from bertlab.evaluation.probe import effective_rank, probe_accuracy, token_share
from bertlab.evaluation.sequences import Reading, Sequences
from bertlab.model.bert import Bert

FEWEST = 16  # sequences; fewer are too few to train and test
JUDGED = 0.3  # share of words that are judged; half of them move, the share that BERT predicts


@dataclass(frozen=True)
class Features:
    """The visible text and the labels of its probes."""

    text: Sequences
    word_M: Ints  # flat positions, ascending
    sense_M: Ints | None  # of each word, if the corpus knows it
    judged_R: Ints  # flat positions, ascending
    given_R: Ints  # the token at that place in the changed copy

    def score(self, model: Bert, reading: Reading, device: torch.device) -> dict[str, float]:
        """Return the last layer's measures by their plain names, those of lower layers with `.layer_<k>`."""
        token_M, token_R = (self.text.ids_NL.reshape(-1)[places] for places in (self.word_M, self.judged_R))
        layers = partial(self._states, model, replace(reading, ahead=0), device)
        states, changed = layers(self.word_M, token_M), layers(self.judged_R, self.given_R)
        moved_R, test_R = torch.from_numpy((self.given_R != token_R).astype(np.int64)), self._tests(self.judged_R)
        measures = (
            _by_layer("effective_rank", states, effective_rank)
            | _by_layer("token_share", states, lambda x_MD: token_share(x_MD, torch.from_numpy(token_M)))
            | _by_layer("moved_accuracy", changed, lambda x_RD: probe_accuracy(x_RD, moved_R, test_R))
        )
        if self.sense_M is None:
            return measures
        sense_M, test_M = torch.from_numpy(self.sense_M), self._tests(self.word_M)
        return measures | _by_layer("sense_accuracy", states, lambda x_MD: probe_accuracy(x_MD, sense_M, test_M))

    def _states(
        self, model: Bert, reading: Reading, device: torch.device, place_M: Ints, given_M: Ints
    ) -> list[Tensor]:
        """Return the states at the places (M, D), layer by layer."""
        chunks = []
        for batch in self.text.batches(place_M, given_M, reading):
            there = batch.to(device)
            chunks.append([x_BLD.flatten(0, 1)[there.position_M].cpu() for x_BLD in model.layers(there)])
        return [torch.cat(layer) for layer in zip(*chunks, strict=True)]

    def _tests(self, place_M: Ints) -> Tensor:
        """Return whether a place is test data (M,): every second sequence is."""
        return torch.from_numpy(place_M // self.text.ids_NL.shape[1] % 2 == 1)


def draw_features(
    ids_NL: Ints, segments_NL: Ints, word_M: Ints, sense_M: Ints | None, generator: np.random.Generator
) -> dict[str, Ints]:
    """Return the arrays for `read_features`: which words are judged, and which of them swapped places.

    Empty if there are too few sequences.
    """
    if len(ids_NL) < FEWEST:
        return {}
    judged_R = generator.permutation(word_M)[: round(JUDGED * len(word_M))]
    given_R = ids_NL.reshape(-1)[judged_R]
    moved = len(judged_R) // 2
    given_R[:moved] = generator.permutation(given_R[:moved])
    order_R = np.argsort(judged_R)
    arrays = {"probe_ids_NL": ids_NL, "probe_segments_NL": segments_NL, "word_M": word_M}
    arrays |= {"judged_R": judged_R[order_R], "given_R": given_R[order_R]}
    return arrays if sense_M is None else arrays | {"sense_M": sense_M}


def read_features(arrays: Mapping[str, Ints]) -> Features | None:
    """Return the result of `draw_features`; None if it is empty."""
    if "word_M" not in arrays:
        return None
    ids_NL, segments_NL = arrays["probe_ids_NL"], arrays["probe_segments_NL"]
    text = Sequences(ids_NL, segments_NL, np.full(len(ids_NL), NO_PAIR))
    return Features(text, arrays["word_M"], arrays.get("sense_M"), arrays["judged_R"], arrays["given_R"])


def _by_layer(name: str, states: list[Tensor], measure: Callable[[Tensor], float]) -> dict[str, float]:
    """Measure the states of each layer; undefined values are left out."""
    *below, last = [measure(state_MD) for state_MD in states]
    measures = {name: last} | {f"{name}.layer_{layer}": value for layer, value in enumerate(below)}
    return {name: value for name, value in measures.items() if math.isfinite(value)}
