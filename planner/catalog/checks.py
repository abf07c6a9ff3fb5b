"""All checks of a catalog in one answer: what `planner catalog check` prints."""

from __future__ import annotations

from planner.catalog.catalog import Catalog
from planner.catalog.checks_agreement import check_agreement
from planner.catalog.checks_hardware import Finding, check_hardware
from planner.catalog.checks_prices import check_prices, findings_of, prices_table
from planner.catalog.curves import read_curves
from planner.catalog.facts import SHIPPED
from planner.catalog.prices import undated
from planner.catalog.tables import table_paths
from planner.words import say
from planner.workload.model_catalog import read_model


def check_catalog(catalog: Catalog) -> list[Finding]:
    """Every finding on hardware, prices and provenance.

    Raises
    ------
    PlannerError
        If a file cannot be read at all: a form error has a line and is not a finding.
    """
    for path in table_paths(catalog.layers):
        catalog.table(path)
    read_curves(catalog.table("fabrics/collectives.csv"))
    for layer in catalog.layers:
        for file in sorted((layer.path / "models").glob("*.yaml")):
            read_model(file)
    findings = check_hardware(catalog)
    rows = catalog.prices
    table = prices_table([row for row in rows if row.quality != "X"])
    findings.extend(findings_of(table, check_prices(table, catalog)))
    findings.extend(check_agreement(rows))
    findings.extend(
        Finding("quality", "/".join(row.key), say("checks.wrong", why=row.note or say("checks.known_wrong")))
        for row in rows
        if row.quality == "X"
    )
    for row in rows:
        unknown = [key for key in row.source.split("+") if key not in catalog.sources]
        if row.layer == SHIPPED and unknown:
            findings.append(Finding("provenance", "/".join(row.key), say("checks.source", source=unknown[0])))
        graded = row.quality in ("A", "B") and "superseded" not in row.flags
        if row.layer == SHIPPED and graded and undated(row):
            findings.append(Finding("provenance", "/".join(row.key), say("checks.undated")))
        if row.node and row.node not in catalog.nodes:
            findings.append(Finding("node", "/".join(row.key), say("checks.node", node=row.node)))
    return findings
