"""A figure of a page: its file, its caption, and its drawing function; and common constants."""

from collections.abc import Callable
from dataclasses import dataclass

from matplotlib.figure import Figure

from bertlab.report.draw import svg
from bertlab.report.words import unescaped

UNIGRAM = ("eval/unigram_loss", "unigram", "--")
BEST = ("eval/bayes_loss", "best possible", ":")
BEST_PAIRS = ("eval/bayes_pair_accuracy", "best possible", ":")
MEANING = {
    "unigram": "The dashed line is what word frequencies reach without any context.",
    "guessing": "The dashed line, 50 %, is guessing.",
    "best possible": "The dotted level is the best that any model could do.",
}
LOG_SPAN = 10  # a factor with this ratio of values gets a logarithmic axis
HEADROOM = 0.35  # height of the axis above the unigram loss, as a share of the fall below it
LATE = 0.3  # the axis of differences is scaled to values after this share of the tokens


@dataclass(frozen=True)
class Drawing:
    """One figure: file name without suffix, its finding, its caption (markdown), its drawing function.

    `told`: its numbers in words, for screen readers.
    """

    name: str
    finding: str
    caption: str
    draw: Callable[[], Figure]
    told: str = ""

    @property
    def svg(self) -> bytes:
        """The drawing with its description."""
        caption = unescaped(self.caption.replace("**", ""))
        return svg(self.draw, self.finding, " ".join(filter(None, [caption, self.told])))
