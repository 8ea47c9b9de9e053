"""A figure of a page: its file, what to see in it, and how it is drawn; and what the figures of all pages share."""

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
LOG_SPAN = 10  # a factor that spans this ratio gets a logarithmic axis
HEADROOM = 0.35  # how far above the unigram loss the figure reaches, as a share of the fall below it
LATE = 0.3  # differences are scaled to what they are after this share of the tokens


@dataclass(frozen=True)
class Drawing:
    """One figure: file name without ending, the finding it shows, what to see in it (markdown), how to draw it.

    `told`: its numbers in words, for whoever cannot see it.
    """

    name: str
    finding: str
    caption: str
    draw: Callable[[], Figure]
    told: str = ""

    @property
    def svg(self) -> bytes:
        """The drawing, which says in words what it shows."""
        caption = unescaped(self.caption.replace("**", ""))
        return svg(self.draw, self.finding, " ".join(filter(None, [caption, self.told])))
