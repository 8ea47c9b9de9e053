"""The design of a study: question, claim and plan before any run, as frozen values.

`bertlab.study.registration` reads and checks it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bertlab.stats.claim import Expectation
from bertlab.stats.moderated import NO_PRIOR, Prior


@dataclass(frozen=True)
class Margin:
    """The smallest effect that matters."""

    unit: str  # tokens: equivalent to this share of additional training tokens; nats; share: of correct answers
    value: float


@dataclass(frozen=True)
class Trend:
    """An ordered factor; the report shows the outcome along it."""

    factor: str
    scale: str  # linear or log
    doses: Mapping[str, float]  # arm -> value of the factor, for arms that change only this factor


@dataclass(frozen=True)
class Search:
    """A setting, such as the learning rate; each arm gets the best of the same few values."""

    setting: str  # optimizer.lr
    values: tuple[float, ...]  # ascending
    seeds: int  # for each arm and value; no contrast uses these seeds


@dataclass(frozen=True)
class Trunk:
    """Training that all arms of a seed share: they start from its weights, with a new optimiser."""

    overrides: tuple[str, ...]  # of the study's configuration
    tokens: int  # token budget of the trunk


@dataclass(frozen=True)
class Source:
    """A published number, for comparison."""

    source: str
    says: str
    status: str  # how we know it: read, abstract, notes or unverified
    size: str = ""  # size of its model
    agrees: str = ""  # whether it agrees with this study; written afterwards


@dataclass(frozen=True)
class Study:
    """A registered question. `arms` and `controls` hold overrides of the study's configuration."""

    id: str
    question: str
    claim: str
    baseline: str
    factors: tuple[str, ...]
    arms: Mapping[str, tuple[str, ...]]
    expects: Mapping[str, Expectation]  # primary contrasts; other arms are exploratory
    outcome: str
    margin: Margin
    family: str  # common name of related studies
    seeds: int  # maximum
    looks: tuple[int, ...]  # numbers of seeds after which results are judged
    axis: str  # the budget in which arms are equal
    floor: float  # least context gain of the baseline in nats
    controls: Mapping[str, tuple[str, ...]]  # same: must be equivalent; harmful: must be worse
    against: Mapping[str, str] = field(default_factory=dict)  # arm -> its comparison arm
    secondary: tuple[str, ...] = ()  # metrics that are shown without a verdict
    trend: Trend | None = None
    search: Search | None = None
    published: tuple[Source, ...] = ()
    prior: Prior = NO_PRIOR  # of the regime: usual variance of a paired difference or, with a bank, of a run
    bank: int | None = None  # number of baseline runs for unpaired comparison; None: paired by seed
    labels: Mapping[str, str] = field(default_factory=dict)  # the arms' names for readers
    labels_zh: Mapping[str, str] = field(default_factory=dict)  # the same in Chinese
    elsewhere: Mapping[str, str] = field(default_factory=dict)  # what others found of the arms at BERT's own size
    # regimes of growing compute -> maximum number of seeds of each
    ladder: Mapping[str, int] = field(default_factory=dict)
    rung: str = ""  # the regime of the ladder that is run
    trunk: Trunk | None = None  # common start of all arms; None: from scratch

    @property
    def explores(self) -> bool:
        """Whether it is a sweep: without a claim, nothing is judged."""
        return not self.claim

    @property
    def name(self) -> str:
        """Name of its page and folder."""
        return self.rung or self.id

    @property
    def place(self) -> str:
        """Path of its page and folder among the reports; a rung's is inside its study's."""
        return f"{self.id}/{self.rung}" if self.rung else self.id

    def seeds_at(self, arm: str, look: int) -> int:
        """Return how many seeds of an arm or control run by a look: of the baseline its whole bank, if any."""
        return self.bank if self.bank and arm == self.baseline else look

    def reference(self, arm: str) -> str:
        """Return the comparison arm of an arm."""
        return self.against.get(arm, self.baseline)
