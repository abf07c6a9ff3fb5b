"""A scenario with `stages` in, a Programme out: each stage a run of its own, and what ties them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path

from planner.money import Money
from planner.reading.names import did_you_mean
from planner.reading.tree import Node
from planner.scenario.build import Builder, Models, Values, quota_of
from planner.scenario.currency import Rates, ask_lines, budget_of, money_of_scenario
from planner.scenario.draft import Draft
from planner.scenario.fields import Reading, fail
from planner.scenario.sections import SCENARIO
from planner.spec.model import ModelSpec
from planner.spec.programme import Programme, Reservation, Stage, Transfer
from planner.spec.scenario import Budget, Cluster, Objective, OwnCluster, Quota, QuotaKey, Scenario
from planner.units import shown
from planner.words import Sentence, say
from planner.workload import model_from_mapping

DAY_S = 86400.0
STAGE_ONLY = ("after", "copies", "beside", "inherits", "may_move", "not_before", "deadline")
SHARED = ("currency", "ask", "simpler_within", "storage", "egress", "terms", "risk")


def has_stages(root: Node) -> bool:
    """Whether a scenario's tree is of a programme."""
    return root.fields is not None and "stages" in root.fields


@dataclass(frozen=True)
class ProgrammeBuilder:
    """Turns the tree of one file into a Programme."""

    root: Node
    file: Path
    reading: Reading
    models: Models
    rates: Rates
    order_defaults: list[tuple[str, str]] = field(default_factory=list)

    @cached_property
    def draft(self) -> Draft:
        """The checked values of the file."""
        return Draft(self.root, SCENARIO.read(self.root, "", self.reading), self.reading, self.file)

    @cached_property
    def money(self) -> Money:
        """What amounts are written in."""
        return money_of_scenario(self.draft, self.rates)

    @cached_property
    def budget(self) -> Budget:
        """The programme's."""
        return budget_of(self.draft, self.money, "programme.deadline_start")

    def programme(self, digest: str) -> Programme:
        """The whole programme.

        Raises
        ------
        PlannerError
            One sentence with file, line and key.
        """
        draft, values = self.draft, self.draft.values
        for key in ("data", "training", "layout", "throughput"):
            if values[key] is not None:
                raise draft.fail(key, say("programme.of_stages", key=key))
        budget = self.budget
        name = values["name"] or draft.default("name", self.file.stem)
        quotas = tuple(map(quota_of, values["cluster"]["quotas"] or ()))
        for i, quota in enumerate(quotas):
            self._check_days(f"cluster.quotas.{i}", quota.since, quota.until)
        reservations = tuple(self._reservation(i, row) for i, row in enumerate(values["reservations"] or ()))
        stages = self._stages(values["stages"], quotas, reservations)
        objective = self._objective()
        given = values["transfer"]
        defaults = [entry for entry in draft.used_defaults() if entry[0].split(".")[0] not in ("stages", "layout")]
        return Programme(
            name=name,
            stages=tuple(replace(each, scenario=replace(each.scenario, objective=objective)) for each in stages),
            budget=budget,
            objective=objective,
            quotas=quotas,
            reservations=reservations,
            transfer=None if given is None else Transfer(given["rate"][0], given["usd_per_gb"]),
            ask=ask_lines(draft, self.money),
            money=self.money,
            defaults=(*defaults, *self.order_defaults, *_defaults_of(stages)),
            source=self.file.name,
            digest=digest,
            folder=str(self.file.parent),
        )

    def _objective(self) -> Objective:
        given = self.draft.values["objective"]
        if given is None:
            given = self.draft.default("objective", "cost" if self.budget.time_s is not None else "time")
        if isinstance(given, dict):
            return Objective("usd_per_day", given["usd_per_day"])
        if given not in ("cost", "time"):
            raise self.draft.fail("objective", say("programme.objective", objective=given))
        return Objective(given)

    def _check_days(self, path: str, since: date | None, until: date | None) -> None:
        """Days need the programme's first day, and an order."""
        if (since or until) is not None and self.budget.start is None:
            raise self.draft.fail(path, say("programme.first_day"))
        if since is not None and until is not None and until <= since:
            raise self.draft.fail(path, say("programme.ends_before", until=until, since=since))

    def _reservation(self, i: int, row: Values) -> Reservation:
        path = f"reservations.{i}"
        self._check_days(path, row["from"], row["until"])
        assert self.budget.start is not None  # noqa: S101 - `_check_days` has seen to it
        since, until = ((row[key] - self.budget.start).days for key in ("from", "until"))
        if until <= 0:
            raise self.draft.fail(path, say("programme.has_ended", until=row["until"]))
        if "/" in row["name"]:
            raise self.draft.fail(f"{path}.name", say("build.slash"))
        rate, per_gpu = row["network"] or (None, False)
        own = OwnCluster(
            name=row["name"],
            gpu=row["gpu"],
            gpus_per_node=row["gpus_per_node"],
            nodes=row["nodes"],
            network_gbit_per_s=rate * row["gpus_per_node"] if per_gpu and rate is not None else rate,
            usd_per_gpu_hour=row["usd_per_gpu_hour"],
            fabric=row["fabric"] or "unknown",
        )
        return Reservation(own, since, until)

    # --- stages ----------------------------------------------------------------------------------------------------

    def _stages(
        self, rows: Sequence[Values], quotas: Sequence[Quota], reservations: Sequence[Reservation]
    ) -> list[Stage]:
        names = [row["name"] for row in rows]
        for i, name in enumerate(names):
            if name == "none":
                raise self.draft.fail(f"stages.{i}.name", say("programme.called_none"))
            if name in names[:i]:
                raise self.draft.fail(f"stages.{i}.name", say("programme.two_stages", name=shown(name)))
        after = [self._after(i, row, names) for i, row in enumerate(rows)]
        self._refuse_circles(names, after)
        stages: list[Stage] = []
        scenarios = [self._scenario(i, quotas, reservations) for i in range(len(rows))]
        for i, row in enumerate(rows):
            node = self.draft.node(f"stages.{i}")
            inherits = self._inherits(i, row, names, after[i], scenarios)
            if row["may_move"] and not inherits:
                raise self.draft.fail(f"stages.{i}.may_move", say("programme.nothing_moves"))
            if row["may_move"] and "cluster" in inherits:
                raise self.draft.fail(f"stages.{i}.may_move", say("programme.cluster_stays"))
            if row["may_move"] and self.draft.values["transfer"] is None:
                raise self.draft.fail(f"stages.{i}.may_move", say("programme.transfer"))
            self._check_days(f"stages.{i}", row["not_before"], row["deadline"])
            self._within(i, row)
            stages.append(
                Stage(
                    name=names[i],
                    scenario=scenarios[i],
                    after=after[i],
                    copies=row["copies"] or 1,
                    beside=row["beside"] is not False,
                    inherits=inherits,
                    may_move=bool(row["may_move"]),
                    not_before=self._day_of(row["not_before"]) or 0,
                    deadline=self._day_of(row["deadline"]),
                    where=say("reading.within", where=_without_folder(node.where), path=f"stages.{i}"),
                )
            )
        return stages

    def _within(self, i: int, row: Values) -> None:
        """A stage's days lie within the programme's."""
        since, until = self._day_of(row["not_before"]), self._day_of(row["deadline"])
        if until is not None and until <= 0:
            why = say("programme.not_after_start", day=row["deadline"], start=self.budget.start)
            raise self.draft.fail(f"stages.{i}.deadline", why)
        if since is not None and self.budget.time_s is not None and since * DAY_S >= self.budget.time_s:
            days = {"day": row["not_before"], "days": self.budget.time_s / DAY_S, "start": self.budget.start}
            raise self.draft.fail(f"stages.{i}.not_before", say("programme.not_before_end", **days))

    def _after(self, i: int, row: Values, names: Sequence[str]) -> tuple[int, ...]:
        path = f"stages.{i}.after"
        given = row["after"]
        if given is None:
            if i:
                self.order_defaults.append((f"stages.{names[i]}.after", say("defaults.after", stage=names[i - 1])))
            return (i - 1,) if i else ()
        if given == ["none"]:
            return ()
        out = []
        for name in given:
            if name not in names:
                hint = did_you_mean(name, names) or say("programme.there_are", names=list(names))
                raise self.draft.fail(path, say("programme.no_stage", name=shown(name), hint=hint))
            if names.index(name) == i:
                raise self.draft.fail(path, say("programme.after_itself", name=names[i]))
            out.append(names.index(name))
        return tuple(dict.fromkeys(out))

    def _refuse_circles(self, names: Sequence[str], after: Sequence[tuple[int, ...]]) -> None:
        done: set[int] = set()

        def walk(at: int, way: list[int]) -> None:
            if at in way:
                circle = [*way[way.index(at) :], at]
                why = names[circle[-1]]
                for k in reversed(circle[:-1]):
                    why = say("programme.which_is_after", stage=names[k], rest=why)
                raise self.draft.fail(f"stages.{circle[0]}.after", say("programme.circle", circle=why))
            if at not in done:
                for before in after[at]:
                    walk(before, [*way, at])
                done.add(at)

        for first in range(len(names)):
            walk(first, [])

    def _inherits(
        self, i: int, row: Values, names: Sequence[str], after: tuple[int, ...], scenarios: Sequence[Scenario]
    ) -> tuple[str, ...]:
        path, given = f"stages.{i}.inherits", row["inherits"]
        if given is None:
            if after and _shape(scenarios[after[0]]) == _shape(scenarios[i]):
                why = say("defaults.inherits", stage=names[after[0]])
                self.order_defaults.append((f"stages.{names[i]}.inherits", why))
                return ("checkpoint",)
            return ()
        kept = tuple(dict.fromkeys(given))
        if "none" in kept:
            if len(kept) > 1:
                raise self.draft.fail(path, say("programme.none_alone"))
            return ()
        if not after:
            raise self.draft.fail(path, say("programme.nothing_to_inherit", name=names[i]))
        return kept

    def _scenario(self, i: int, quotas: Sequence[Quota], reservations: Sequence[Reservation]) -> Scenario:
        """The run of a stage: its own keys, and the programme's where it has none; no budgets."""
        node = _placed(self.draft.node(f"stages.{i}"), f"stages.{i}")
        top = self.draft.root.fields or {}
        assert node.fields is not None  # noqa: S101 - the table has seen to it
        inner = {key: child for key, child in node.fields.items() if key not in STAGE_ONLY}
        for key in SHARED:
            if key in top and key != "ask":
                inner.setdefault(key, top[key])
        if "model" not in inner:
            if "model" not in top:
                raise self.draft.fail(f"stages.{i}", say("programme.no_model"))
            inner["model"] = top["model"]
        cluster = dict((top["cluster"].fields or {}) if "cluster" in top else {})
        own = inner.get("cluster")
        cluster |= (own.fields or {}) if own is not None else {}
        if own is not None and "quotas" in (own.fields or {}):
            raise self.draft.fail(f"stages.{i}.cluster.quotas", say("programme.quotas"))
        cluster.pop("quotas", None)
        inner["cluster"] = Node(node.where, fields=cluster)
        if "budget" in top:
            kept = {k: v for k, v in (top["budget"].fields or {}).items() if k in ("cost", "confidence")}
            inner["budget"] = Node(top["budget"].where, fields=kept)
        places = {**self.draft.root.key_where, **node.key_where}
        root = Node(node.where, fields=inner, key_where={key: places[key] for key in inner if key in places})
        reading = Reading(self.reading.names, self.reading.homes, why_absent=self.reading.why_absent)
        values = SCENARIO.read(root, "", reading)
        builder = Builder(
            Draft(root, values, reading, self.file),
            self.models,
            lambda shape, name: model_from_mapping(shape, name, say("model_catalog.shape")),
            self.rates,
        )
        made = builder.scenario("")
        shared = "model" not in node.fields and isinstance(values["model"], dict)
        called = self.root.fields.get("name") if shared and self.root.fields else None
        return replace(
            made,
            model=replace(made.model, name=called.text if called is not None else self.file.stem)
            if shared
            else made.model,
            budget=Budget(confidence=self.budget.confidence, start=self.budget.start),
            cluster=_standing(made.cluster, quotas, reservations),
        )

    def _day_of(self, when: date | None) -> int | None:
        return None if when is None or self.budget.start is None else (when - self.budget.start).days


def _standing(cluster: Cluster, quotas: Sequence[Quota], reservations: Sequence[Reservation]) -> Cluster:
    """A stage's cluster: the most that each quota ever allows, and the machines reserved."""
    most: dict[QuotaKey, int] = {}
    for quota in quotas:
        most[quota.key] = max(most.get(quota.key, 0), quota.gpus)
    own = tuple(each.own for each in reservations)
    names = [each.name for each in (*cluster.own, *own)]
    for name in names:
        if names.count(name) > 1:
            raise fail("", "reservations", say("build.two_clusters", name=shown(name)))
    return replace(
        cluster,
        quotas=tuple(Quota(gpus, *key) for key, gpus in most.items()),
        own=(*cluster.own, *own),
    )


def _shape(scenario: Scenario) -> tuple[ModelSpec, str]:
    """A model without what it is called, and the file that it is read from."""
    return replace(scenario.model, name=""), scenario.model_file


def _without_folder(where: str) -> str:
    """A place with its file's name alone."""
    if not isinstance(where, Sentence):
        return where  # an override
    return say(where.code, **{**where.values, "file": Path(where.values["file"]).name})


def _placed(node: Node, more: str) -> Node:
    """The tree, `more` told of its place."""
    fields_ = None if node.fields is None else {key: _placed(child, more) for key, child in node.fields.items()}
    items = None if node.items is None else [_placed(child, more) for child in node.items]
    places: dict[str, str] = {
        key: say("reading.within", where=where, path=more) for key, where in node.key_where.items()
    }
    place = say("reading.within", where=node.where, path=more)
    return Node(place, node.value, node.text, items, fields_, places, node.size)


def _defaults_of(stages: Sequence[Stage]) -> list[tuple[str, str]]:
    """What the stages' own keys left open; once, where all of them did."""
    own = ("data", "training", "layout", "model")
    found: dict[tuple[str, str], list[str]] = {}
    for stage in stages:
        for key, value in stage.scenario.defaults:
            if key.split(".")[0] in own:
                found.setdefault((key, value), []).append(stage.name)
    out = []
    for (key, value), names in found.items():
        if len(names) == len(stages) > 1:
            out.append((f"stages.*.{key}", value))
        else:
            out += [(f"stages.{name}.{key}", value) for name in names]
    return out


def refuse_programme_keys(root: Node) -> None:
    """What is of programmes alone is refused in a scenario of one run, where it would change nothing."""
    for key in ("reservations", "transfer"):
        if root.fields is not None and key in root.fields:
            raise fail(root.key_where[key], key, say("programme.of_a_programme"))
