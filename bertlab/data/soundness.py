"""Checks of a corpus: the share of [UNK], and the share of held-out text that is also training text.

One [UNK] may replace a word of any length, so those of very long words are also counted in letters. All numbers are
facts of every run. Small shares are usual. Large ones change the meaning of scores, so the program warns. It refuses a
corpus that is mostly unknown or mostly known already.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from bertlab.config.errors import InputError
from bertlab.data.encoding import LONGEST_WORD

WARNED, REFUSED = 0.05, 0.5  # shares: of [UNK] among the tokens, of copies in the held-out text
KNOWN_WARNED = 0.2  # share of held-out text in training sentences; short sentences repeat in good text too
LONG = f"more than {LONGEST_WORD} letters"
OF = {"train": "training", "valid": "held-out"}


@dataclass(frozen=True)
class Soundness:
    """Counts made while a store was built."""

    unknown: dict[str, float]  # share of [UNK] among the tokens of `train` and `valid`
    unread: dict[str, float]  # share of the letters that are in [UNK] of more than 100 letters each
    repeats: int  # documents with the text of an earlier one
    copied: float  # share of the held-out tokens in documents of which two thirds are in one training document
    known: float  # share of the held-out tokens in sentences of the training text

    def facts(self) -> dict[str, str]:
        """Return the counts in words, with a `warning` if needed."""
        shares = " and ".join(f"{percent(share)} of the {OF[name]} tokens" for name, share in self.unknown.items())
        repeats = f"{self.repeats:,} documents repeat the text of another one"
        letters = " and ".join(percent(share) for share in self.unread.values())
        letters = f", {letters} of the letters in [UNK] of {LONG}" if any(self.unread.values()) else ""
        stated = {"unknown": f"{shares} are [UNK]{letters}", "overlap": f"{self._overlap()}; {repeats}"}
        warning = "; ".join(self._warnings())
        return {**stated, "warning": warning} if warning else stated

    def check(self, corpus: str) -> None:
        """Raise InputError for a corpus on which scores would mean nothing."""
        for name, share in self.unknown.items():
            if share > REFUSED:
                raise InputError(
                    f"data={corpus} must have at most {REFUSED:.0%} [UNK] among its {OF[name]} tokens, got "
                    f"{percent(share)}: words of {LONG}, and letters and words that the tokenizer has no room for or "
                    "that no training text holds, are [UNK]; look at the text, or choose another tokenizer or a larger "
                    "tokenizer.vocab_size"
                )
        for name, share in self.unread.items():
            if share > REFUSED:
                raise InputError(
                    f"data={corpus} must have at most {REFUSED:.0%} of its {OF[name]} letters in words of {LONG}, "
                    f"which are [UNK], got {percent(share)}; put spaces between the words of the text, or choose a "
                    "tokenizer that reads words of any length, as tokenizer=byte_bpe"
                )
        if self.copied > REFUSED:
            raise InputError(
                f"data={corpus} must hold out text that training does not show, at most {REFUSED:.0%} of it copied, "
                f"got {self._overlap()}; remove what is repeated, or hold out other text"
            )

    def _warnings(self) -> Iterator[str]:
        for name, share in self.unknown.items():
            if share > WARNED:
                yield f"{percent(share)} of the {OF[name]} tokens are [UNK], which no arm can read or is asked for"
            if (letters := self.unread[name]) > WARNED:
                yield f"{percent(letters)} of the {OF[name]} letters are in words of {LONG}, which are [UNK]"
        if self.copied > WARNED or self.known > KNOWN_WARNED:
            yield f"{self._overlap()}, where it can be learnt by heart"

    def _overlap(self) -> str:
        return (
            f"{percent(self.copied)} of the held-out text in whole documents and {percent(self.known)} in sentences "
            "stands in the training text as well"
        )


def percent(share: float) -> str:
    """Write a share; none and very little look different."""
    return f"{share:.0%}" if share == 0 else f"{share:.1%}" if share >= 0.001 else "less than 0.1%"
