"""Single segments with a share of general text in each epoch, for `data=mixed`.

Replay of old text against forgetting: Rolnick et al. 2019 (arXiv:1811.11682); with 5 % and more in continued training
of language models: Ibrahim et al. 2024 (arXiv:2403.08763).
"""

from collections.abc import Sequence
from dataclasses import fields
from functools import cached_property

import numpy as np

from bertlab.config.errors import InputError, open_interval, own
from bertlab.data.mixed import general_documents, of_general
from bertlab.data.pairs.examples import Examples
from bertlab.data.pairs.single import Single
from bertlab.data.store import Tokens
from bertlab.data.text import Text


class Mixed(Single):
    """All segments of the own text plus share / (1 - share) of general text per segment, drawn again for each epoch.

    A smaller share draws a subset of what a larger one draws.
    """

    def __init__(self, *, shortest: int, share: float, general: str | Sequence[str], column: str | None) -> None:
        super().__init__(shortest=shortest)
        self.share = 0.0 if share == 0 else open_interval("share", share, 0, 1)
        with of_general():
            self._general = Text(general, column)

    @cached_property
    def _documents(self) -> int:
        """Number of general documents, which are the last training documents."""
        return sum(1 for _ in general_documents(self._general))

    def __call__(self, tokens: Tokens, length: int, rng: np.random.Generator) -> Examples:
        """Return the segments. Raises InputError if the general text is too short for the share."""
        examples = super().__call__(tokens, length, rng)
        documents = len(tokens.documents) - 1
        if not 0 < self._documents < documents:
            raise InputError(
                f"data.general must hold fewer documents than there are to train on, {documents}, and one at least, "
                f"got {self._documents}; name the same files as data=mixed has"
            )
        first = tokens.sentences[tokens.documents[documents - self._documents]]  # first token of the general text
        mine, general = (np.flatnonzero(side) for side in (examples.a_start < first, examples.a_start >= first))
        wanted = round(len(mine) * self.share / (1 - self.share))
        if wanted > len(general):
            most = len(general) / (len(general) + len(mine))
            raise InputError(
                f"{own('share')} must be at most {most:.3f}, as there are {len(general)} segments of general text for "
                f"{len(mine)} of your own, got {self.share:g}; lower it or add general text"
            )
        taken = np.sort(np.concatenate((mine, rng.permutation(general)[:wanted])))
        return Examples(**{field.name: getattr(examples, field.name)[taken] for field in fields(Examples)})
