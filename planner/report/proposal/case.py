"""One run of a proposal with all that its sections share: the study, the plan asked for, words, days and money."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property

from planner.catalog import Catalog
from planner.report.proposal.alternatives import Option, options_of
from planner.report.proposal.beside import added, requested_usd
from planner.report.proposal.locale import Locale, day_after
from planner.results.answers import Optimization
from planner.results.plan import OfferRef, Plan
from planner.risk.replay import Stress, run_of, stresses_of
from planner.risk.simulation import simulate
from planner.search.proposal_study import Choice, Study, Terms, time_at
from planner.spec.hardware import Offer
from planner.spec.scenario import Scenario
from planner.words import Sentence, worded

NOWHERE = frozenset({"", "all", "any", "global"})  # what catalogs write for a region that is not told apart
STRESS_WORLDS = 2_000
FOLLOWED = 6.0  # times its work: a run that lasts longer keeps no limit
SAME = 1e-12  # relative difference of two figures that are the same


@dataclass
class Case:
    """A run under proposal. `number` counts runs from 0."""

    number: int
    study: Study
    catalog: Catalog
    words: Locale
    day: date

    @property
    def scenario(self) -> Scenario:
        return self.study.scenario

    @property
    def outcome(self) -> Optimization:
        return self.study.outcome

    @property
    def plan(self) -> Plan:
        """The plan asked for: what `optimize` answers."""
        assert self.outcome.plan is not None  # noqa: S101 - no case is made of an infeasible scenario
        return self.outcome.plan

    @property
    def terms(self) -> Terms:
        return self.study.terms

    @property
    def confidence(self) -> float:
        return self.terms.confidence

    @cached_property
    def choice(self) -> Choice:
        """The plan asked for, as a choice of the study.

        Raises
        ------
        AssertionError
            If the study and `optimize` disagree: then no figure of the document could be trusted.
        """
        best, plan = self.study.best(self.terms), self.plan
        # The last bit of a power depends on how many are taken at once, so equal plans may differ in it.
        if best is None or not (
            self.study.offer(best).id == plan.offer.id
            and self.study.gpus(best) == plan.gpus
            and math.isclose(best.time_p50_s, plan.time_s.p50, rel_tol=SAME)
            and math.isclose(best.cost_p50_usd, plan.cost_usd.p50, rel_tol=SAME)
        ):
            raise AssertionError("the proposal's study and optimize disagree on the best plan")
        return best

    @cached_property
    def ask_lines(self) -> list[tuple[str, float]]:
        """(name, USD) of what is asked for beside the run."""
        return added(self.scenario.ask, self.choice.cost_sure_usd)

    @property
    def requested_usd(self) -> float:
        """USD to approve: the run's cost at the confidence, and what is asked for beside it."""
        return requested_usd(self.scenario.ask, self.choice.cost_sure_usd)

    @property
    def start(self) -> date:
        """The first day of the run: the scenario's, else the day of the proposal (said where dates are used)."""
        return self.scenario.budget.start or self.day

    @property
    def start_assumed(self) -> bool:
        return self.scenario.budget.start is None

    @property
    def begins(self) -> date:
        """The day on which the plan's machines are there."""
        return self.start + timedelta(seconds=self.plan.offer.waiting_s)

    def ends(self, seconds: float) -> date:
        """The day on which a run of so many seconds ends, the wait for its machines (the plan's) before it."""
        return day_after(self.start, seconds + self.plan.offer.waiting_s)

    def gpu(self, plan: Plan | str) -> str:
        """An accelerator's name as people write it."""
        key = plan if isinstance(plan, str) else plan.offer.gpu
        found = self.catalog.accelerators.get(key)
        return found.name if found is not None else key

    @cached_property
    def gpus(self) -> list[str]:
        """The accelerators that any plan of the study uses, by name: their order numbers their colours."""
        p = self.study.state
        used = {int(p.space.pool[cell]) for cell in self.study.cells.tolist()}
        return sorted({self.gpu(p.space.pools[pool].setting.accelerator.id) for pool in used})

    def place(self, offer: OfferRef | Offer) -> str:
        """The cloud, or that the machines are one's own."""
        return self.words.say("own_place", name=offer.instance) if offer.pricing == "owned" else offer.cloud

    def kind(self, offer: OfferRef | Offer) -> str:
        """How the machines are paid: on demand, spot, reserved, a block, one's own; and whether at one's own quote."""
        words = self.words.known(f"pricing_{offer.pricing}") or offer.pricing
        quoted = offer.quoted if isinstance(offer, OfferRef) else offer.pricing != "owned" and offer.quality == "user"
        return self.words.say("pricing_quoted", pricing=words) if quoted else words

    def seller(self, offer: OfferRef | Offer) -> str:
        """Where the machines are and how they are paid: nebius, on demand."""
        if offer.pricing == "owned":
            return self.place(offer)
        return self.words.say("seller", place=offer.cloud, pricing=self.kind(offer))

    def where(self, offer: OfferRef | Offer) -> str:
        """In which region, as part of a sentence; nothing where none is told apart."""
        return "" if offer.region in NOWHERE else self.words.say("in_region", region=offer.region)

    def offer_words(self, offer: OfferRef | Offer) -> str:
        """An offer as people name it: "nebius gpu-h100-sxm in eu-north1, on demand"."""
        if offer.pricing == "owned":
            return self.place(offer)
        parts = {"cloud": offer.cloud, "instance": offer.instance, "pricing": self.kind(offer)}
        if offer.region in NOWHERE:
            return self.words.say("offer_words", **parts)
        return self.words.say("offer_words_in", region=offer.region, **parts)

    @cached_property
    def _names(self) -> dict[str, str]:
        """What catalogs call accelerators and offers, and what people do."""
        offers = {offer.id: self.offer_words(offer) for offer in self.study.state.space.offers}
        return {key: accelerator.name for key, accelerator in self.catalog.accelerators.items()} | offers

    def in_words(self, text: str) -> str:
        """A sentence of the search in the document's language, with people's names for offers and accelerators."""
        return worded(text, self.words.language, self._names)

    @cached_property
    def stresses(self) -> tuple[Stress, ...]:
        """The plan under stress, at the confidence; where a limit is not set, what is asked for is one."""
        plan, terms = self.plan, self.terms
        if plan.reliability is None or plan.billing is None:
            return ()
        most_s = self.choice.time_sure_s + plan.offer.waiting_s if terms.time_s is None else terms.time_s
        most_usd = self.choice.cost_sure_usd if terms.cost_usd is None else terms.cost_usd
        run = replace(run_of(plan), given_up=FOLLOWED)
        base = simulate(run, STRESS_WORLDS, 1)
        return stresses_of(plan, run, base, 1, (most_s, most_usd), terms.confidence)

    def cluster(self, plan: Plan) -> str:
        """80 × H100, nebius, on demand."""
        return self._cluster(plan.gpus, plan.offer)

    def cluster_of(self, choice: Choice) -> str:
        """The same of a choice."""
        return self._cluster(self.study.gpus(choice), self.study.offer(choice))

    def _cluster(self, gpus: int, offer: OfferRef | Offer) -> str:
        count, place = self.words.count(gpus), self.seller(offer)
        return self.words.say("cluster", gpus=count, gpu=self.gpu(offer.gpu), place=place)

    def stated(self, offer: OfferRef) -> bool:
        """Whether the scenario itself says a price, which has no date then."""
        return offer.pricing == "owned" or offer.date_kind == "user"

    def as_of(self, offer: OfferRef) -> str:
        """The date of a price as its source prints it, or where else it comes from."""
        if self.stated(offer):
            return self.words.say("stated")
        if isinstance(offer.as_of, Sentence):  # told what the date is of
            return self.words.say(f"dated_{offer.as_of.code.rpartition('.')[2]}", **offer.as_of.values)
        return offer.as_of or self.words.say("undated")

    def drawn_per(self, usd: float) -> float:
        """How many of the money's unit one of a chart's axis is, whose largest cost is `usd`: a thousand, or one."""
        return 1e3 if self.words.amount(usd) >= 1e4 else 1.0

    @cached_property
    def curve(self) -> list[tuple[float, float]]:
        """(seconds, chance of being done by then) of the plan asked for.

        Its long end (a spot run that the market keeps taking machines from) would press all else into a corner.
        """
        import numpy as np

        state, cell = self.study.state, np.array([self.choice.cell])
        levels = [0.01, 0.02, 0.05, *(n / 20 for n in range(2, 19)), 0.95, 0.98, 0.99]
        points = [(float(time_at(state, p, state.best.seconds[cell], cell)[0]), p) for p in levels]
        time = self.plan.time_s
        shown = max(time.p90, self.choice.time_sure_s) + 2.0 * (time.p90 - time.p50)
        return [point for point in points if point[0] <= shown]

    @cached_property
    def frontier(self) -> list[Choice]:
        """What no other plan beats in median time and cost, whatever the budgets, fastest first."""
        return self.study.frontier(replace(self.terms, time_s=None, cost_usd=None))

    @cached_property
    def options(self) -> tuple[Option, ...]:
        """The plans compared: the one asked for, cheapest, fastest, balanced, each cloud, own machines."""
        return options_of(self.study, self.words, self.choice)
