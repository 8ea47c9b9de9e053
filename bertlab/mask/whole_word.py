"""Whole words: all pieces of a word are predicted, or none (Devlin et al. 2019, "whole word masking" release)."""

import numpy as np

from bertlab.config.errors import InputError, own_option
from bertlab.data.tokenizer import Vocabulary
from bertlab.mask.corrupt import Bools, Draw, Ints, maskable
from bertlab.mask.rated import Rated


class WholeWordMask(Rated):
    """Choose every word independently, with probability `rate`; [MASK], random or keep is drawn for each piece.

    Words of one piece are chosen exactly as in `mask=token`.
    """

    def starts(self, ids_BL: Ints, vocabulary: Vocabulary, draw: Draw) -> Bools:
        """Return where words start. Raises InputError for a vocabulary in which every word is one token."""
        if not any(map(vocabulary.continues, range(vocabulary.first_real, vocabulary.size))):
            raise InputError(
                f"{own_option('mask', 'whole_word')} needs words of several pieces (##), got a vocabulary of "
                f"whole words, where it equals {own_option('mask', 'token')}; use {own_option('mask', 'token')} or "
                "tokenizer=wordpiece"
            )
        return word_starts(ids_BL, vocabulary)


def word_starts(ids_BL: Ints, vocabulary: Vocabulary) -> Bools:
    """Return where words start: at pieces that do not continue one, and right after special tokens.

    In byte-level BPE and unigram pieces, as in fairseq, a word extends to the next space.

    If the front of a word was cut off, the rest is a word of its own.
    """
    real_BL = maskable(ids_BL, vocabulary)
    present, index = np.unique(ids_BL, return_inverse=True)
    whole = np.array([not vocabulary.continues(token) for token in present.tolist()], dtype=np.bool_)
    after_special_BL = np.ones_like(real_BL)
    after_special_BL[:, 1:] = ~real_BL[:, :-1]
    return real_BL & (whole[index].reshape(ids_BL.shape) | after_special_BL)
