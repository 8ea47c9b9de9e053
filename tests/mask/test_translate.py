"""Translation predicts the tokens of segment B, each at the place before it, and changes nothing."""

import numpy as np

from bertlab.data.tokenizer import CLS, PAD, SEP, SPECIALS, Vocabulary
from bertlab.mask import Moment
from bertlab.mask.translate import Translate
from bertlab.streams import Streams

VOCABULARY = Vocabulary([*SPECIALS, "a", "b", "c", "d", "e"])
A, B, C, D, E = range(5, 10)


def test_the_first_separator_predicts_the_first_token_of_b_and_so_on() -> None:
    ids_BL = np.array(
        [[CLS, A, B, SEP, C, D, SEP, PAD], [CLS, A, SEP, B, C, D, E, SEP], [CLS, A, B, C, D, SEP, PAD, PAD]]
    )
    moment = Moment(Streams(0), 0, 0.0, 0, np.arange(3))
    masked = Translate()(ids_BL, VOCABULARY, moment)
    assert masked.position_M.tolist() == [3, 4, 10, 11, 12, 13]
    assert masked.target_M.tolist() == [C, D, B, C, D, E]
    np.testing.assert_array_equal(masked.ids_BL, ids_BL)
    assert not np.shares_memory(masked.ids_BL, ids_BL)
