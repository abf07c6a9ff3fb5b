"""What is in the catalog, as tables: lists of parts and prices, and one part with where each number comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.catalog.catalog import Catalog, is_gpu_family, without_framework
from planner.catalog.checks_hardware import Finding
from planner.catalog.facts import Record
from planner.catalog.prices import said_date
from planner.reading.names import did_you_mean
from planner.report.layout import Page, bullets, columns, hanging, heads
from planner.units import PlannerError, format_number
from planner.words import phrase, said, say, worded
from planner.workload.model_catalog import load_model, model_names

Row = Mapping[str, Any]
WIDE = 110  # columns from which a price's cloud, instance, region and terms have a column each


@dataclass(frozen=True, slots=True)
class Listing:
    """A kind of things the catalog holds: how to read its rows, and the columns people see with their `labels`."""

    rows: Callable[[Catalog], Iterable[Row]]
    shown: Mapping[str, str]
    flexible: str
    joined: tuple[str, ...] = ()  # columns that share one on a narrow page


def _fields(part: object, names: str) -> dict[str, Any]:
    return {name: getattr(part, name) for name in names.split()}


def _accelerators(catalog: Catalog) -> Iterable[Row]:
    for part in catalog.accelerators.values():
        yield {
            **_fields(part, "id name vendor family memory_gib memory_bw_gbyte_per_s"),
            "bf16_tflops": part.peak_dense_tflops.get("bf16"),
            "measured_bf16_tflops": part.matmul_tflops.get("bf16"),
            **_fields(part, "link_gbyte_per_s tdp_w"),
        }


def _prices(catalog: Catalog) -> Iterable[Row]:
    for row in sorted(catalog.prices, key=lambda row: (row.gpu, row.high / row.gpus, row.key, row.as_of)):
        yield {
            "gpu": row.gpu,
            "usd_per_gpu_hour": row.high / row.gpus,
            "usd_per_gpu_hour_least": row.low / row.gpus,
            **_fields(row, "cloud instance region pricing gpus as_of quality"),
            "flags": ", ".join(row.flags),
            **_fields(row, "source layer"),
        }


def _models(catalog: Catalog) -> Iterable[Row]:
    from planner.workload.counts import parameter_counts

    folders = [layer.path for layer in catalog.layers[1:]]
    for name in model_names(folders):
        model = load_model(name, folders)
        counts = parameter_counts(model)
        yield {"id": name, "parameters": counts.total, "active": counts.active, **_fields(model, "layers hidden")}


_NODE = "id cloud instance gpu gpus_per_node network network_gbit_per_s"
KINDS: Mapping[str, Listing] = {
    "gpus": Listing(
        _accelerators,
        {
            "id": "id",
            "name": "name",
            "memory_gib": "gib",
            "bf16_tflops": "bf16_tflops",
            "measured_bf16_tflops": "measured_at_best",
            "link_gbyte_per_s": "link_rate",
        },
        "name",
    ),
    "nodes": Listing(
        lambda catalog: (_fields(node, _NODE) for node in catalog.nodes.values()),
        {"id": "id", "gpu": "gpu", "gpus_per_node": "gpus", "network": "network", "network_gbit_per_s": "gbit_per_s"},
        "network",
    ),
    "prices": Listing(
        _prices,
        {
            "gpu": "gpu",
            "usd_per_gpu_hour": "usd_a_gpu_hour",
            "cloud": "cloud",
            "instance": "instance",
            "region": "region",
            "pricing": "pricing",
            "as_of": "as_of",
            "quality": "quality",
        },
        "instance",
        joined=("cloud", "instance", "region", "pricing"),
    ),
    "models": Listing(
        _models,
        {"id": "id", "parameters": "parameters", "active": "active", "layers": "layers", "hidden": "hidden"},
        "id",
    ),
    "sources": Listing(
        lambda catalog: ({"id": key, **source} for key, source in sorted(catalog.sources.items())),
        {"id": "id", "title": "title"},
        "title",
    ),
}


def listed(catalog: Catalog, kind: str) -> list[Row]:
    """The rows of one kind (see KINDS).

    Raises
    ------
    PlannerError
        If the kind is not known.
    """
    if kind not in KINDS:
        raise PlannerError(
            say("report_catalog.kind_unknown", kind=kind, kinds=list(KINDS), near=did_you_mean(kind, KINDS))
        )
    return list(KINDS[kind].rows(catalog))


def listing_table(kind: str, rows: Sequence[Row], width: int) -> str:
    """The columns that people see; one that says the same everywhere is left out, and narrow pages join some."""
    listing = KINDS[kind]
    if kind == "prices":
        rows = [{**row, "as_of": worded(said_date(row["as_of"]))} for row in rows]
    headings = {
        name: said(f"labels.{heading}")
        for name, heading in listing.shown.items()
        if name == "id" or len(rows) < 2 or len({row.get(name) for row in rows}) > 1
    }
    flexible_name = listing.flexible
    joined = [name for name in headings if name in listing.joined]
    if width < WIDE and len(joined) > 2:
        rows = [{**row, "offer": " ".join(_cell(row.get(name)) for name in joined)} for row in rows]
        headings = {("offer" if name == joined[0] else name): heading for name, heading in headings.items()}
        headings = {name: heading for name, heading in headings.items() if name not in joined}
        headings["offer"], flexible_name = said("labels.offer"), "offer"
    cells = [[*headings.values()], *([_cell(row.get(name)) for name in headings] for row in rows)]
    align = "".join("r" if any(isinstance(row.get(name), int | float) for row in rows) else "l" for name in headings)
    names = list(headings)
    flexible = names.index(flexible_name) if flexible_name in names else None
    return "\n".join(columns(cells, align, Page(width), flexible=flexible)) + "\n"


def found_part(catalog: Catalog, name: str) -> Record:
    """The accelerator, node type or fabric called `name`.

    Raises
    ------
    PlannerError
        If there is none, with the nearest names.
    """
    if name in catalog.nodes:
        return catalog.nodes.records[name]
    if name in catalog.fabrics:
        return catalog.fabrics[name]
    if name.lower() not in catalog.accelerators:
        near = did_you_mean(name, [*catalog.accelerators, *catalog.nodes, *catalog.fabrics])
        raise PlannerError(say("report_catalog.part_unknown", name=name, near=near))
    return catalog.accelerators.records[name.lower()]


def part_rows(record: Record) -> list[Row]:
    """Every field of a part with its value and where that comes from."""
    return [
        {
            "field": field,
            "value": fact.value,
            "low": fact.low,
            "high": fact.high,
            "kind": fact.kind or None,
            "source": ", ".join(fact.source) or None,
            "as_of": fact.as_of or None,
            "note": fact.note or None,
            "layer": fact.layer,
        }
        for field, fact in record.facts.items()
    ]


def part_table(record: Record, width: int) -> str:
    """A part's words, then its numbers with their provenance."""
    page = Page(width)
    facts = part_rows(record)
    words = [(str(fact["field"]), str(fact["value"])) for fact in facts if fact["kind"] is None]
    if not is_gpu_family(record.text("family")):
        words.append((said("labels.frameworks"), without_framework(record.id)))
    lines = [line for field, value in words for line in hanging(field, value, page)]
    # Which folder a number comes from is a question only where more than one has a say.
    layered = len({fact["layer"] for fact in facts}) > 1
    rows = [heads("field", "value", "kind", "as_of", "source", *(["from"] if layered else []))]
    rows += [
        [
            fact["field"],
            _number(fact),
            phrase("fact_kinds", fact["kind"]),
            _cell(fact["as_of"]),
            _cell(fact["source"]),
            *([fact["layer"]] if layered else []),
        ]
        for fact in facts
        if fact["kind"] is not None
    ]
    return "\n".join([*lines, "", *columns(rows, "lrlll" + "l" * layered, page, flexible=4)]) + "\n"


def _number(fact: Row) -> str:
    return str(int(fact["value"])) if fact["field"].endswith("_year") else _cell(fact["value"])


def _cell(value: object) -> str:
    if value is None:
        return ""
    return format_number(value) if isinstance(value, int | float) else str(value)


def findings_table(findings: Sequence[Finding], width: int) -> str:
    """What a check found, grouped by the check."""
    if not findings:
        return said("report_catalog.no_findings") + "\n"
    page = Page(width)
    lines = [said("report_catalog.findings", findings=len(findings))]
    for check in dict.fromkeys(finding.check for finding in findings):
        lines += ["", check]
        lines += bullets(
            (said("labels.of", what=each.subject, text=each.message) for each in findings if each.check == check), page
        )
    return "\n".join(lines) + "\n"
