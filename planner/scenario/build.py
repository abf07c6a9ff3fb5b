"""From the checked keys of a scenario file to a Scenario: dependent defaults, and checks across sections."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from planner.money import Money
from planner.scenario.batch import batch_size, critical_batch, global_batch, int_choice, largest
from planner.scenario.currency import Rates, ask_lines, budget_of, money_of_scenario
from planner.scenario.draft import Draft
from planner.scenario.fields import with_place
from planner.spec.adapter import ALL_LINEAR, RANK, Adapter
from planner.spec.hardware import Site
from planner.spec.model import PARTS, ModelSpec
from planner.spec.scenario import (
    MEMORY_HEADROOM,
    MOST_TRAINING,
    BatchRamp,
    Budget,
    Cluster,
    DataSource,
    Egress,
    IntChoice,
    LayoutBounds,
    MeasuredThroughput,
    Objective,
    OwnCluster,
    OwnRun,
    Quota,
    QuotedPrice,
    Risk,
    Scenario,
    StatedOverhead,
    Storage,
    Terms,
    Training,
)
from planner.units import MAX_COUNT, PlannerError, shown
from planner.words import say, say_from
from planner.workload.adapters import targets

Values = dict[str, Any]
Models = Callable[[str], ModelSpec]
ModelFromShape = Callable[[Values, str], ModelSpec]

_MODEL_FILES = (".json", ".yml", ".yaml")
_HUB_ID = (
    r"[A-Za-z0-9][\w.-]*/[\w.-]+(?<!\.json)(?<!\.yml)(?<!\.yaml)"  # a maker and a model, as hubs of models have them
)
#: Keys of training beside `adapter`: values that go together with it, and the code of what is said of others.
ADAPTER_CONFLICTS = (
    ("precision", ("bf16", "fp16"), "build.quantised"),
    ("starts_from", ("checkpoint",), "build.from_scratch"),
    ("offload", ("none", "activations"), "build.offload"),
    ("tuning", ("", "field"), "build.tuning"),
)


@dataclass(frozen=True)
class Builder:
    """Turns one file's values into a Scenario."""

    draft: Draft
    models: Models
    from_shape: ModelFromShape
    rates: Rates = dict

    @property
    def values(self) -> Values:
        """The checked values of the file."""
        return self.draft.values

    def scenario(self, digest: str) -> Scenario:
        """The whole scenario."""
        name = self.values["name"] or self.draft.default("name", self.draft.file.stem)
        model, model_file = self._model(name)
        data, seq_length = self._data()
        training = self._training(seq_length, model)
        self._check_size(data, seq_length, training)
        money = money_of_scenario(self.draft, self.rates)
        budget = budget_of(self.draft, money, "build.deadline_start")
        storage, egress, terms = (self.values[key] for key in ("storage", "egress", "terms"))
        return Scenario(
            name=name,
            model=model,
            model_file=model_file,
            data=data,
            seq_length=seq_length,
            training=training,
            layout=self._layout(),
            throughput=tuple(self._measured(i, row) for i, row in enumerate(self.values["throughput"] or ())),
            budget=budget,
            objective=self._objective(budget, money),
            simpler_within=self.values["simpler_within"],
            cluster=self._cluster(),
            storage=Storage(storage["size"], storage["usd_per_gb_month"]) if storage else None,
            egress=Egress(egress["size"], egress["usd_per_gb"]) if egress else None,
            terms=Terms(terms["billing_step"], terms["minimum_time"], terms["minimum_gpus"]) if terms else None,
            risk=self._risk(),
            ask=ask_lines(self.draft, money),
            money=money,
            defaults=self.draft.used_defaults(),
            source=self.draft.file.name,
            digest=digest,
            folder=str(self.draft.file.parent),
        )

    # --- sections ------------------------------------------------------------------------------------------------

    def _model(self, name: str) -> tuple[ModelSpec, str]:
        given = self.values["model"]
        node = self.draft.node("model")
        if isinstance(given, dict):
            shape = {key: value for key, value in given.items() if value is not None}
            for key in PARTS:
                if key in shape:
                    shape[key] = {k: v for k, v in shape[key].items() if v is not None}
            shape.setdefault("name", name)
            for key, value in self._shape_defaults(shape):
                self.draft.default(f"model.{key}", value)
            return with_place(node, "model", lambda: self.from_shape(shape, name)), ""
        if re.fullmatch(_HUB_ID, given) and not (self.draft.file.parent / given).exists():
            try:
                return self.models(given), ""
            except PlannerError:
                raise self.draft.fail("model", say("build.hub_id", name=shown(given))) from None
        if given.endswith(_MODEL_FILES) or "/" in given or "\\" in given:
            return ModelSpec(Path(given).stem, 0, 0, 0, 0, 0, 0, 0), given
        return with_place(node, "model", lambda: self.models(given)), ""

    @staticmethod
    def _shape_defaults(shape: Values) -> list[tuple[str, str]]:
        used: list[tuple[str, str]] = []
        if "kv_heads" not in shape:
            used.append(("kv_heads", say("defaults.kv_heads", heads=shape["heads"])))
        if "head_dim" not in shape and "mla" not in shape:
            used.append(("head_dim", say("defaults.head_dim")))
        if "ffn" not in shape:
            used.append(("ffn", say("defaults.ffn")))
        return used

    def _data(self) -> tuple[tuple[DataSource, ...], int]:
        given = self.values["data"]
        rows, many = (given, True) if isinstance(given, list) else ([given], False)
        lengths: dict[int, str] = {}
        sources: list[DataSource] = []
        for i, row in enumerate(rows):
            path = f"data.{i}" if many else "data"
            if row["seq_length"] is not None:
                lengths.setdefault(row["seq_length"], f"{path}.seq_length")
            if many and len(rows) > 1 and row["weight"] is None:
                self.draft.default(f"{path}.weight", "1")
            if row["split"] is not None and row["index"] is None:
                raise self.draft.fail(f"{path}.split", say("build.split_of_index"))
            weight = 1.0 if row["weight"] is None else row["weight"]
            keep = {key: row[key] for key in ("samples", "tokens", "index", "log")}
            sources.append(
                DataSource(
                    name=row["name"] or (f"data {i + 1}" if many else "data"),
                    weight=weight,
                    split=row["split"] or "",
                    **keep,
                )
            )
        if len(lengths) > 1:
            raise self.draft.fail(list(lengths.values())[1], say("build.lengths", lengths=list(map(str, lengths))))
        if not lengths and any(source.log is None for source in sources):
            raise self.draft.fail("data", say("build.no_length"))
        return tuple(sources), next(iter(lengths), 0)

    def _training(self, seq_length: int, model: ModelSpec) -> Training:
        given = dict(self.values["training"])
        if given["epochs"] is None and given["iterations"] is None and self.values["objective"] not in MOST_TRAINING:
            raise self.draft.fail("training", say("build.no_end"))
        ramp, evaluation = given.pop("batch_ramp"), given.pop("evaluation") or {}
        if given["target"] == "equal_loss" and given["reference_batch"] is None:
            raise self.draft.fail("training.target", say("build.needs_reference"))
        if given["reference_batch"] is not None and given["target"] != "equal_loss":
            raise self.draft.fail("training.reference_batch", say("build.reference_alone"))
        reference = batch_size(self.draft, "training.reference_batch", given.pop("reference_batch"), seq_length)
        batch = global_batch(self.draft, given["global_batch"], seq_length)
        return Training(
            epochs=given["epochs"],
            iterations=given["iterations"],
            global_batch=batch,
            batch_ramp=self._ramp(ramp, batch),
            precision=given["precision"],
            framework=given["framework"],
            framework_release=given["framework_release"],
            evaluation_interval=evaluation.get("interval"),
            evaluation_iterations=evaluation.get("iterations"),
            target=given["target"] or "epochs",
            reference_batch=reference,
            critical_batch=critical_batch(self.draft, given["critical_batch"], seq_length),
            flash_attention=given["flash_attention"],
            fused_or_compile=given["fused_or_compile"],
            comm_overlap=given["comm_overlap"],
            tuning=given["tuning"] or "",
            optimizer=given["optimizer"],
            offload=given["offload"] or "none",
            starts_from=given["starts_from"] or ("checkpoint" if given["adapter"] else ""),
            adapter=self._adapter(given, model),
        )

    def _adapter(self, training: Values, model: ModelSpec) -> Adapter | None:
        """The adapters that are trained, whose matrices the model must have."""
        given = training["adapter"]
        if given is None:
            return None
        given = {"method": given} if isinstance(given, str) else given
        modules = tuple(dict.fromkeys(given.get("target_modules") or ()))
        adapter = Adapter(given["method"], given.get("r") or RANK, modules or (ALL_LINEAR,))
        for key, value in (("r", str(RANK)), ("target_modules", ALL_LINEAR)):
            if given.get(key) is None:
                self.draft.default(f"training.adapter.{key}", value)
        if not training["starts_from"]:
            self.draft.default("training.starts_from", say("defaults.from_adapted"))
        for key, able, code in ADAPTER_CONFLICTS:
            if (training[key] or able[0]) not in able:
                why = say_from(code, {"method": adapter.method, "value": training[key]})
                raise self.draft.fail(f"training.{key}", why)
        if model.layers:  # else a file holds the shape, which is read later
            with_place(self.draft.node("training.adapter"), "training.adapter", lambda: targets(model, adapter))
        return adapter

    def _ramp(self, given: Values | None, batch: IntChoice | None) -> BatchRamp | None:
        if given is None:
            return None
        most = largest(batch)
        if most is not None and given["start"] > most:
            raise self.draft.fail("training.batch_ramp.start", say("build.ramp", start=given["start"], most=most))
        return BatchRamp(**given)

    def _check_size(self, data: Sequence[DataSource], seq_length: int, training: Training) -> None:
        """Every product of the run's counts must stay a 64-bit number."""
        epoch = sum((source.samples or 0) * seq_length + (source.tokens or 0) for source in data)
        if epoch * (training.epochs or 1) > MAX_COUNT:
            raise self.draft.fail("data", say("build.too_many_tokens"))
        if (training.iterations or 0) * (largest(training.global_batch) or 1) * max(seq_length, 1) > MAX_COUNT:
            raise self.draft.fail("training.iterations", say("build.too_many_tokens"))

    def _layout(self) -> LayoutBounds:
        given = dict(self.values["layout"] or {})
        recompute = tuple(dict.fromkeys(given.pop("recompute", None) or ()))
        parallel = given.pop("sequence_parallel", None)
        free = given.pop("memory_headroom", None)
        share, group = given.pop("recompute_share", None), given.pop("shard_group", None)
        choices = {
            key: int_choice(self.draft, f"layout.{key}", value) for key, value in given.items() if value is not None
        }
        headroom = MEMORY_HEADROOM if free is None else free
        return LayoutBounds(
            sequence_parallel=parallel,
            recompute=recompute,
            memory_headroom=headroom,
            recompute_share=share,
            shard_group=group,
            **choices,
        )

    def _measured(self, i: int, row: Values) -> MeasuredThroughput:
        """A measurement whose own numbers contradict each other would match nothing, and nobody would know."""
        parts = [row[key] or 1 for key in ("tp", "pp", "cp", "dp")]
        product = math.prod(parts)
        if row["gpus"] is not None and (row["gpus"] % product or (row["dp"] is not None and product != row["gpus"])):
            written = " x ".join(map(str, parts))
            why = say("build.no_layout", parts=written, product=product, gpus=row["gpus"])
            raise self.draft.fail(f"throughput.{i}.gpus", why)
        share = (row["micro_batch"] or 1) * (row["dp"] or 1)
        if row["global_batch"] is not None and row["global_batch"] % share:
            why = say("build.no_share", batch=row["global_batch"], share=share)
            raise self.draft.fail(f"throughput.{i}.global_batch", why)
        return MeasuredThroughput(**row)

    def _objective(self, budget: Budget, money: Money) -> Objective:
        given = self.values["objective"]
        if given is None:
            # Nothing has a price: machines of one's own alone, none of them priced, and no budget of money.
            cluster = self.values["cluster"]
            priced = any(row["usd_per_gpu_hour"] is not None or row["ownership"] for row in cluster["own"] or ())
            unpriced = cluster["own_only"] and not priced and budget.cost_usd is None
            by_cost = budget.time_s is not None and (money.hours or not unpriced)
            given = self.draft.default("objective", "cost" if by_cost else "time")
        if isinstance(given, dict):
            return Objective("usd_per_day", given["usd_per_day"])
        return Objective(given)

    def _cluster(self) -> Cluster:
        given = self.values["cluster"]
        own = tuple(self._own(i, row) for i, row in enumerate(given["own"] or ()))
        names = [cluster.name for cluster in own]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise self.draft.fail(f"cluster.own.{i}.name", say("build.two_clusters", name=shown(name)))
        if given["own_only"] and not own:
            raise self.draft.fail("cluster.own_only", say("build.own_only"))
        if own and given["own_only"] is None:
            self.draft.default("cluster.own_only", say("defaults.clouds_compete"))
        rate, per_gpu = given["assume_network"] or (None, False)
        return Cluster(
            gpus=_unique(given["gpus"]),
            clouds=_unique(given["clouds"]),
            regions=_unique(given["regions"]),
            pricing=_unique(given["pricing"]),
            quality=_unique(given["quality"]),
            max_gpus=given["max_gpus"],
            assume_network_gbit_per_s=None if per_gpu else rate,
            assume_network_per_gpu_gbit_per_s=rate if per_gpu else None,
            own=own,
            own_only=bool(given["own_only"]),
            quotas=tuple(self._quota(i, row) for i, row in enumerate(given["quotas"] or ())),
            prices=tuple(self._price(i, row) for i, row in enumerate(given["prices"] or ())),
            power_limit_w=given["power_limit_w"],
            site=given["site"] or "",
        )

    def _quota(self, i: int, row: Values) -> Quota:
        for key in ("from", "until"):
            if row[key] is not None:
                raise self.draft.fail(f"cluster.quotas.{i}.{key}", say("build.quota_days"))
        return quota_of(row)

    def _own(self, i: int, row: Values) -> OwnCluster:
        if "/" in row["name"]:
            raise self.draft.fail(f"cluster.own.{i}.name", say("build.slash"))
        rate, per_gpu = row["network"] or (None, False)
        ownership = {key: value for key, value in (row["ownership"] or {}).items() if value is not None}
        site = {key: value for key, value in (row["site"] or {}).items() if value is not None}
        self._share_power(f"cluster.own.{i}", ownership, site, priced=row["usd_per_gpu_hour"] is not None)
        return OwnCluster(
            name=row["name"],
            gpu=row["gpu"],
            gpus_per_node=row["gpus_per_node"],
            nodes=row["nodes"],
            network_gbit_per_s=rate * row["gpus_per_node"] if per_gpu else rate,
            usd_per_gpu_hour=row["usd_per_gpu_hour"],
            network=self.draft.node(f"cluster.own.{i}.network").text.strip() if rate is not None else "",
            ownership=ownership,
            fabric=row["fabric"] or "unknown",
            site=Site(**site),
            waiting_s=row["waiting"] or 0.0,
        )

    def _share_power(self, path: str, ownership: Values, site: Values, *, priced: bool) -> None:
        """Power and PUE are one fact each: stated for the cost or for the energy, they hold for both."""
        for key in ("power_kw_per_node", "pue"):
            if key in ownership and key in site and ownership[key] != site[key]:
                raise self.draft.fail(f"{path}.site.{key}", say("build.stated_twice", key=key))
            if key in ownership:
                site.setdefault(key, ownership[key])
            elif key in site and not priced:
                ownership[key] = site[key]

    def _price(self, i: int, row: Values) -> QuotedPrice:
        plain = ("pricing", "usd_per_gpu_hour", "cloud", "instance", "region", "gpu", "upfront")
        off = row["discount"]
        span = None if off is None else (off["min"], off["max"]) if isinstance(off, dict) else (off, off)
        if span is not None and not 0 <= span[0] <= span[1] < 1:
            raise self.draft.fail(f"cluster.prices.{i}.discount", say("build.discount"))
        self._check_terms(f"cluster.prices.{i}", row)
        return QuotedPrice(
            **{key: row[key] for key in plain},
            discount=span,
            term_s=row["term"] or row["block"] or (row["increment"] if row["pricing"] == "block" else None),
            increment_s=row["increment"] or row["block"],
            then_on_demand=row["then"] is not None,
            waiting_s=row["waiting"] or 0.0,
        )

    def _check_terms(self, path: str, row: Values) -> None:
        """A commitment's terms go together, and with prices that commit."""
        pricing, terms = row["pricing"], [key for key in ("term", "increment", "block") if row[key] is not None]
        if row["block"] is not None and len(terms) > 1:
            raise self.draft.fail(f"{path}.block", say("build.block"))
        if pricing == "block" and not {"increment", "block"} & set(terms):
            raise self.draft.fail(path, say("build.increments"))
        for key in ("term", "increment", "upfront", "then"):
            if row[key] is not None and pricing not in ("reserved", "block"):
                raise self.draft.fail(f"{path}.{key}", say("build.terms_of", pricing=pricing))
        for key in ("upfront", "then"):
            if row[key] is not None and not terms:
                raise self.draft.fail(f"{path}.{key}", say("build.of_a_term"))

    def _risk(self) -> Risk | None:
        given = self.values["risk"]
        if given is None:
            return None
        seconds = {field.name.removesuffix("_s"): field.name for field in fields(Risk) if field.name.endswith("_s")}
        rate = given["storage"]
        plain = {seconds.get(key, key): value for key, value in given.items() if key != "storage"}
        plain["asynchronous_checkpoints"] = bool(plain["asynchronous_checkpoints"])
        plain["overhead"] = self._overhead(given["overhead"])
        return Risk(**plain, storage_gbyte_per_s=rate[0] / 8 if rate else None)

    def _overhead(self, given: float | Values | list[Values] | None) -> StatedOverhead | None:
        if given is None:
            return None
        if isinstance(given, float | int):
            return StatedOverhead(given, given)
        if isinstance(given, dict):
            if given["low"] > given["high"]:
                raise self.draft.fail("risk.overhead", say("build.low_high"))
            return StatedOverhead(given["low"], given["high"])
        runs = tuple(OwnRun(row["allocated"], row["productive"], row["failures"] or 0.0) for row in given)
        for i, run in enumerate(runs):
            if run.productive + run.failures > run.allocated:
                used = {"used": run.productive + run.failures, "allocated": run.allocated}
                raise self.draft.fail(f"risk.overhead.{i}", say("build.more_than_allocated", **used))
        return StatedOverhead(runs=runs)


def quota_of(row: Values) -> Quota:
    """A quota from its checked keys."""
    return Quota(row["gpus"], row["cloud"], row["region"], row["gpu"], row["from"], row["until"])


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
