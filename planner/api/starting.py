"""A first scenario from five answers: model, machines, data, epochs, budget."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from planner.api.inputs import Folders, folders, load_scenario
from planner.files import write_all
from planner.reading import read_json, wrong_at
from planner.reading.quantities import parse_date, parse_duration, parse_money, split_count
from planner.units import PlannerError, shown
from planner.words import say

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.spec.scenario import Scenario

SCHEMA = "schema.json"
MOST_SCHEMA = 4 << 20  # bytes
NODE = 8  # GPUs of a node, where there are more of them than that
SEQ_LENGTH = 2048
NETWORK = "400 Gbit/s/gpu"
_MACHINES = re.compile(r"(?:(\d+)\s*[x×*]\s*)?(\d+)(?:\s*[x×*]\s*|\s+)(\S.*)")
_PRICED = re.compile(r"(.*\S)\s+(?:at|@)\s+(\S.*)", re.IGNORECASE)
_HOURLY = re.compile(r"\s*(?:/|\ban?\b|\bper\b)\s*(?:GPU[- ]?)?h(?:our)?$", re.IGNORECASE)
_LENGTH = re.compile(r"(.+?)\s+of\s+(\d+)(?:\s+tokens?)?")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*")


@dataclass(frozen=True, slots=True)
class Started:
    """What was written, and what was taken for granted in it."""

    scenario: Path
    schema: Path
    text: str
    remarks: tuple[str, ...]


def init(
    file: str | Path = "scenario.yaml",
    *,
    model: str,
    gpus: str = "cloud",
    data: str,
    epochs: float = 1,
    budget: str = "none",
    today: date | None = None,
    overlays: Folders = (),
) -> Started:
    """Writes a scenario that runs, with `schema.json` beside it for editors. No file is overwritten.

    Parameters
    ----------
    file : path
        The scenario to write.
    model : str
        A name of the catalog, or a config.json.
    gpus : str
        `cloud`; one's own machines, `4 x rtx-4090`, `8 x 8 h100` (nodes, and GPUs of each), with what an hour of a GPU
        costs, `4 x rtx-4090 at 0.40 USD`; both, `64 h100 or cloud`.
    data : str
        `10k samples`, `2B tokens`; `10k samples of 4096` where a sequence has another length than 2,048.
    budget : str
        A time, a cost, a day by which it must be done, or several with `and`; `none` on machines of one's own alone.
    today : date, optional
        On which the run starts, where a day is given.

    Raises
    ------
    PlannerError
        If an answer cannot be read, no such scenario can be planned, or a file is there already.
    """
    path = Path(file)
    schema = path.parent / SCHEMA
    _refuse(path, schema)
    from planner.catalog import load_catalog

    catalog = load_catalog(folders(overlays))
    lines, remarks = _lines(model, gpus, data, epochs, budget, today, catalog)
    text = "\n".join([f"# yaml-language-server: $schema={SCHEMA}", *lines]) + "\n"
    import yaml

    scenario = load_scenario(yaml.safe_load(text), (), overlays)  # what cannot be planned is not written
    remarks += _prices(scenario, catalog)
    from planner.api.documents import schema as scenario_schema
    from planner.results.json_form import dumps

    write_all(path.parent, {SCHEMA: dumps(scenario_schema()), path.name: text})
    return Started(path, schema, text, tuple(remarks))


def _prices(scenario: Scenario, catalog: Catalog) -> list[str]:
    """A remark where one's own machines have a price that is assumed.

    Raises PlannerError where one is needed, and neither stated nor known.
    """
    from planner.catalog.own_machines import owned_offers

    own = scenario.cluster.own
    if not own or scenario.cost_left_out or own[0].usd_per_gpu_hour is not None:
        return []
    try:
        owned_offers(catalog, scenario.cluster)
    except PlannerError:
        raise PlannerError(say("starting.no_price", gpu=own[0].gpu)) from None
    return [say("starting.assumed_price")]


def _refuse(path: Path, schema: Path) -> None:
    if path.exists():
        raise PlannerError(say("starting.exists", file=str(path)))
    if schema.exists():
        try:
            found = read_json(schema, MOST_SCHEMA)
        except PlannerError:
            found = None
        ours = isinstance(found, dict) and found.get("$id") == "urn:planner:scenario"
        if not ours:
            raise PlannerError(say("starting.foreign_schema", file=str(schema)))


def _lines(
    model: str, gpus: str, data: str, epochs: float, budget: str, today: date | None, catalog: Catalog
) -> tuple[list[str], list[str]]:
    machines, precision, remarks = _machines(gpus, catalog)
    own_only = any("own_only: true" in line for line in machines)
    limits = _budget(budget, today)
    if not limits and not own_only:
        raise PlannerError(say("starting.no_budget"))
    name = f"{Path(model).stem if model.endswith('.json') else model}, {data.strip()}"
    lines = [
        f"name: {json.dumps(name, ensure_ascii=False)}",
        f"model: {model if _PLAIN.fullmatch(model) else json.dumps(model, ensure_ascii=False)}",
        f"data: {_data(data)}",
        f"training: {{epochs: {epochs:g}{precision}}}",
        *([f"budget: {{{', '.join(limits)}}}"] if limits else []),
        *(["objective: time"] if own_only and not any(limit.startswith("cost") for limit in limits) else []),
        *machines,
    ]
    return lines, remarks


def _data(text: str) -> str:
    answer = text.strip()
    match = _LENGTH.fullmatch(answer)
    amount, length = (match[1], int(match[2])) if match else (answer, SEQ_LENGTH)
    try:
        _, unit = split_count(amount)
    except PlannerError as error:
        raise wrong_at("--data", error.args[0]) from None
    if unit not in ("samples", "sequences", "tokens"):
        raise PlannerError(say("starting.samples_or_tokens", data=shown(answer), amount=amount))
    key = "tokens" if unit == "tokens" else "samples"
    number = re.split(r"\s+(?=samples?|sequences?|tokens?)|(?<=\d)(?=samples?|sequences?|tokens?)", amount)[0]
    return f"{{{key}: {number}, seq_length: {length}}}"


def _budget(text: str, today: date | None) -> list[str]:
    found: list[str] = []
    for part in re.split(r"\s+and\s+|\s*,\s+", text.strip()):
        answer = part.strip().removeprefix("by ").strip()
        if answer.lower() in ("", "none"):
            continue
        found += _limit(answer, today)
    keys = [limit.split(":")[0] for limit in found]
    if len(set(keys)) < len(keys) or {"time", "deadline"} <= set(keys):
        raise PlannerError(say("starting.twice", budget=shown(text)))
    return found


def _limit(answer: str, today: date | None) -> list[str]:
    try:
        day = parse_date(answer)
    except PlannerError:
        pass
    else:
        start = today or date.today()  # noqa: DTZ011 - the reader's own day
        return [f"deadline: {day.isoformat()}", f"start: {start.isoformat()}"]
    for key, parse in (("time", parse_duration), ("cost", parse_money)):
        try:
            parse(answer)
        except PlannerError:
            continue
        return [f"{key}: {answer}"]
    raise PlannerError(say("starting.no_limit", budget=shown(answer)))


def _machines(text: str, catalog: Catalog) -> tuple[list[str], str, list[str]]:
    """The lines of `cluster`, a precision where the GPU lacks bf16, and remarks on what was assumed in them."""
    answer = text.strip()
    if answer.lower() == "cloud":
        return [], "", []
    rented = bool(re.search(r"\s+or\s+(?:cloud|rent(?:ed)?)$", answer, re.IGNORECASE))
    answer = re.sub(r"\s+or\s+\S+$", "", answer) if rented else answer
    priced = _PRICED.fullmatch(answer)
    match = _MACHINES.fullmatch(priced[1] if priced else answer)
    if match is None:
        raise PlannerError(say("starting.machines", gpus=shown(text)))
    nodes, size = int(match[1] or 1), int(match[2])
    if match[1] is None and size > NODE:
        if size % NODE:
            raise PlannerError(say("starting.nodes", gpus=size, node=NODE))
        nodes, size = size // NODE, NODE
    gpu, remarks = _accelerator(match[3], catalog)
    own = [f"name: mine, gpu: {gpu}, gpus_per_node: {size}, nodes: {nodes}"]
    if priced:
        own.append(f"usd_per_gpu_hour: {_price(priced[2])!r}")
    if nodes > 1:
        own.append(f"network: {NETWORK}")
        remarks.append(say("starting.network", network=NETWORK))
    lines = ["cluster:", f"  own: [{{{', '.join(own)}}}]", f"  own_only: {'false' if rented else 'true'}"]
    if rented:
        lines += [f"  gpus: [{gpu}]", f"  max_gpus: {nodes * size}"]
    return lines, _precision(gpu, catalog, remarks), remarks


def _price(answer: str) -> float:
    try:
        return parse_money(_HOURLY.sub("", answer))
    except PlannerError as error:
        raise wrong_at("--gpus", error.args[0]) from None


def _precision(gpu: str, catalog: Catalog, remarks: list[str]) -> str:
    """What `training` says of the precision: nothing, or fp16 on a GPU that has no bf16, with a remark."""
    from planner.catalog import supports

    accelerator = catalog.accelerators[gpu]
    if supports(accelerator, "bf16") or not supports(accelerator, "fp16"):
        return ""
    remarks.append(say("starting.fp16", gpu=gpu))
    return ", precision: fp16"


def _accelerator(name: str, catalog: Catalog) -> tuple[str, list[str]]:
    """The catalog's id of a GPU as people say it; of several parts the common one, with a remark that says so."""
    from planner.performance.gpu_names import accelerator_id, accelerator_written, parts_of_chip

    try:
        return accelerator_id(name, catalog), []
    except PlannerError:
        words = name.strip().lower()
        alike = parts_of_chip(name, catalog.accelerators) or [
            each for each in catalog.accelerators if words in each.split("-")
        ]
        usual = [each for each in alike if not catalog.accelerators[each].unusual] or alike
        if not usual:
            raise
        meant = accelerator_written(name, None, catalog.accelerators)
        if meant is not None and meant.id in usual:
            chosen = meant.id
        else:
            chosen = max(usual, key=lambda each: ("sxm" in each, catalog.accelerators[each].memory_gib))
        others = [each for each in usual if each != chosen]
        return chosen, [say("starting.taken_as", name=name, chosen=chosen, others=others)] if others else []
