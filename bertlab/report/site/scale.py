"""Effects against scale: every arm of a ladder against the rungs, in training tokens, as a table.

Enters: a book. Leaves: HTML, "" for a book without ladders; readable without JavaScript.
"""

from collections.abc import Iterator, Mapping
from html import escape

from bertlab.report.answers.english import ENGLISH
from bertlab.report.answers.sentences import is_early, tokens_of
from bertlab.report.book_page import Page
from bertlab.report.ladder import NOT_BEGUN, begun, between_shares, moves, share
from bertlab.report.regime import regime, with_known
from bertlab.report.site.page import WIDE
from bertlab.report.stated import size_words
from bertlab.report.study.fitness import FAMILY, known_answers
from bertlab.report.words import listing, number
from bertlab.stats.interval import Interval
from bertlab.study.judge import Findings
from bertlab.study.labels import label
from bertlab.study.ladder import Ladder

HELD = "; undecided"
NOT_RUN = '<td class="open">not run</td>'
SAID = (
    "What a design is worth in training tokens: +80 % where BERT’s own choice needs 80 % more of them for the same "
    "loss, −50 % where half as many would do. In brackets the 90 % interval over seeds. Undecided: the baseline is not "
    "shown to equal itself there."
)
LATE = " Not begun: runs that never used context."


def scale_table(book: Page) -> str:
    """Return one row for each arm that a ladder's claim mentions, and one column for each rung.

    Rungs that have neither run nor been predicted are named below the table.
    """
    ladders = {name: own for name, own in book.ladders.items() if own.study.family != FAMILY}
    every = list(dict.fromkeys(rung for own in ladders.values() for rung in own.study.ladder))
    known = {rung for own in ladders.values() for rung in (*own.rungs, *(each.rung for each in own.predictions))}
    rungs, later = ([rung for rung in every if (rung in known) is there] for there in (True, False))
    if not rungs:
        return ""
    rest = f" Not run yet: {listing(map(escape, later))}." if later else ""
    heads = "".join(f'<th scope="col">{_head(book, ladders, rung)}</th>' for rung in rungs)
    rows = "".join(row for name, own in ladders.items() for row in _rows(name, own, rungs))
    head = (
        f'<thead><tr><th scope="col">in place of BERT’s choice</th>{heads}<th scope="col">with scale</th></tr></thead>'
    )
    table = f'{WIDE}<table class="scale">{head}<tbody>{rows}</tbody></table></div>'
    said = f'<p class="small">{SAID}{LATE if NOT_BEGUN in rows else ""}{rest}</p>'
    return f'<section id="scale"><h2>What holds at which scale</h2>{table}{said}</section>'


def _rows(name: str, ladder: Ladder, rungs: list[str]) -> Iterator[str]:
    for arm in ladder.highest.primary:
        cells = "".join(_cell(ladder, arm, rung) for rung in rungs)
        link = f'<a href="studies/{name}.html">{escape(label(ladder.study, arm))}</a>'
        word = moves(ladder, arm)
        told = word if word in (*ENGLISH.trends, NOT_BEGUN) else "not known yet"
        yield f'<tr><th scope="row">{link}</th>{cells}<td>{told}</td></tr>'


def _cell(ladder: Ladder, arm: str, rung: str) -> str:
    """Write an arm's effect at a rung, else its prediction, else that the rung has not run."""
    if found := ladder.arms[arm].get(rung):
        own, held = found.interval(), ladder.rungs[rung].arms[arm].held
        late = begun(ladder, arm, rung)
        unbegun = f"; {f'{late.never} of {late.n} ' * (late.never < late.n)}{NOT_BEGUN}" if late.never else ""
        about = f"<small>({between_shares(own.low, own.high)}{HELD if held else ''}{unbegun})</small>"
        return f'<td class="{"open" if held else _side(own)}"><b>{share(found)} %</b> {about}</td>'
    if predicted := ladder.predicted(arm, rung):
        return f'<td class="open">predicted <small>{between_shares(predicted.low, predicted.high)} %</small></td>'
    return NOT_RUN if rung in ladder.study.ladder else "<td></td>"


def _side(effect: Interval) -> str:
    return "better" if effect.low > 0 else "worse" if effect.high < 0 else "open"


def _head(book: Page, ladders: Mapping[str, Ladder], rung: str) -> str:
    """Name a rung, with its size, its tokens and its limits."""
    own = {name: ladder.rungs[rung] for name, ladder in ladders.items() if rung in ladder.rungs}
    ran: list[Findings] = [*with_known(own, book.known).values()]
    if not ran:
        return escape(rung)
    known = [book.known[words] for words in {regime(each): each for each in ran} if words in book.known]
    shape = ran[0].record.regime.model
    size = size_words(shape) if shape else ""
    about = [f"{size}; {number(tokens_of(ran[0]) / 1e6, 1)} M tokens", *map(known_answers, known[:1])]
    early = ["early training"] if any(map(is_early, ran)) else []
    return "<br>".join([escape(rung), *(f"<small>{escape(each)}</small>" for each in about + early)])
