"""What a simpler layout than the optimum's costs, in a line."""

from __future__ import annotations

from planner.report.figures import amount_writer
from planner.report.frontier import layout_words
from planner.report.layout import Page, labelled
from planner.results.answers import GivenUp, Optimization
from planner.words import said


def given_up_lines(answer: Optimization, page: Page) -> list[str]:
    """The line under the layout of a plan that is not the optimum; none where it is."""
    return [] if answer.given_up is None else labelled("simpler", given_up_text(answer.given_up), page)


def given_up_text(found: GivenUp) -> str:
    """What was given up, and for which layout: "0.4 % (350 USD) given up; the optimum runs tp1 pp2×17 dp32 …"."""
    amount = amount_writer(found.unit)(found.amount)
    share = said("simplicity.nothing")
    if found.share >= 5e-5:
        share = said("simplicity.share", percent=100 * found.share, amount=amount)
    return said("simplicity.given_up", layout=layout_words(found), batch=found.global_batch, share=share)
