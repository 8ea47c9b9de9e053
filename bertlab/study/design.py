"""The design of a study: what was asked, claimed and planned before any of its runs, as frozen values.

`bertlab.study.registration` reads and checks one; what enters and leaves there are these.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bertlab.stats.claim import Expectation
from bertlab.stats.moderated import NO_PRIOR, Prior


@dataclass(frozen=True)
class Margin:
    """The smallest effect that matters."""

    unit: str  # tokens: worth this share more training tokens; nats; share: of right answers
    value: float


@dataclass(frozen=True)
class Trend:
    """An ordered factor, along which the outcome is followed."""

    factor: str
    scale: str  # linear or log
    doses: Mapping[str, float]  # arm -> value of the factor, for the arms that change nothing else


@dataclass(frozen=True)
class Search:
    """A setting, such as the learning rate, of which each arm gets the best of the same few values."""

    setting: str  # optimizer.lr
    values: tuple[float, ...]  # ascending
    seeds: int  # of each arm at each value; no contrast uses them


@dataclass(frozen=True)
class Trunk:
    """Training that all arms of a seed have in common: they start from its weights, and with a new optimiser."""

    overrides: tuple[str, ...]  # of the configuration that the file makes
    tokens: int  # its budget


@dataclass(frozen=True)
class Source:
    """A published number, shown beside the study's own."""

    source: str
    says: str
    status: str  # how it is known: read, abstract, notes or unverified
    size: str = ""  # of the model that it was found with
    agrees: str = ""  # whether it agrees with what this study found; written afterwards


@dataclass(frozen=True)
class Study:
    """A registered question. `arms` and `controls` hold overrides of the configuration that the file makes."""

    id: str
    question: str
    claim: str
    baseline: str
    factors: tuple[str, ...]
    arms: Mapping[str, tuple[str, ...]]
    expects: Mapping[str, Expectation]  # the primary contrasts; other arms are exploratory
    outcome: str
    margin: Margin
    family: str  # a name that studies of related questions share
    seeds: int  # at most
    looks: tuple[int, ...]  # numbers of seeds at which results are looked at
    axis: str  # the budget that arms are equal in
    floor: float  # nats of context gain that the baseline must exceed
    controls: Mapping[str, tuple[str, ...]]  # same: must come out equivalent; harmful: must come out worse
    against: Mapping[str, str] = field(default_factory=dict)  # arm -> the arm it is compared with
    secondary: tuple[str, ...] = ()  # metrics that are shown, without a verdict
    trend: Trend | None = None
    search: Search | None = None
    published: tuple[Source, ...] = ()
    prior: Prior = NO_PRIOR  # of the regime: the usual variance of a paired difference, or of a run where a bank is
    bank: int | None = None  # runs of the baseline that arms are compared with unpaired; None: seed by seed
    labels: Mapping[str, str] = field(default_factory=dict)  # what readers call the arms
    labels_zh: Mapping[str, str] = field(default_factory=dict)  # the same in Chinese
    ladder: Mapping[str, int] = field(default_factory=dict)  # regimes of growing compute -> seeds, at most, of each
    rung: str = ""  # the one of them that is run
    trunk: Trunk | None = None  # what arms go on from; None: they begin from scratch

    @property
    def explores(self) -> bool:
        """Whether it is a sweep: nothing was claimed, so nothing is judged."""
        return not self.claim

    @property
    def name(self) -> str:
        """What its page and its folder are called."""
        return self.rung or self.id

    @property
    def place(self) -> str:
        """Where its page and its folder lie among the reports: a rung's among those of its study."""
        return f"{self.id}/{self.rung}" if self.rung else self.id

    def seeds_at(self, arm: str, look: int) -> int:
        """Return how many seeds of an arm or control are run by a look: of the baseline its whole bank, if any."""
        return self.bank if self.bank and arm == self.baseline else look

    def reference(self, arm: str) -> str:
        """Return the arm that one is compared with."""
        return self.against.get(arm, self.baseline)
