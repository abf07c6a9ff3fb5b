"""`planner catalog`: what is in the catalog, its provenance and age."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.options import Catalog, Json, Output
from planner.cli.output import deliver, width

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("list", short_help="GPUs, node types, prices, models or sources.")
def list_(
    kind: Annotated[str, typer.Argument(help="gpus, nodes, prices, models or sources.")],
    gpu: Annotated[str | None, typer.Option(metavar="ID", help="Only of this GPU.")] = None,
    cloud: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this cloud.")] = None,
    catalog: Catalog = None,
    as_json: Json = False,
    output: Output = None,
) -> None:
    """List what the catalog holds of one kind.

    Example: planner catalog list prices --gpu h100-sxm5-80gb
    """
    from planner.catalog import load_catalog
    from planner.plan_json import dumps
    from planner.report.catalog import listed, listing_table

    rows = listed(load_catalog(catalog or ()), kind, gpu=gpu, cloud=cloud)
    deliver(dumps({kind: rows}), listing_table(kind, rows, width()), as_json=as_json, output=output, quiet=False)


@app.command("show", short_help="One GPU, node type or fabric, each number with its source.")
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="A GPU, node type or fabric.")],
    catalog: Catalog = None,
    as_json: Json = False,
    output: Output = None,
) -> None:
    """Show one part with the kind, source and date of every number.

    Example: planner catalog show h100-sxm5-80gb
    """
    from planner.catalog import load_catalog
    from planner.plan_json import dumps
    from planner.report.catalog import found_part, part_rows, part_table

    record = found_part(load_catalog(catalog or ()), name)
    document = dumps({"id": record.id, "fields": part_rows(record)})
    deliver(document, part_table(record, width()), as_json=as_json, output=output, quiet=False)


@app.command("check", short_help="Errors that public price and hardware feeds are known to make.")
def check(catalog: Catalog = None, as_json: Json = False, output: Output = None) -> None:
    """Look for what cannot be right: peaks, units, counts, prices, and numbers without a source.

    Exit code 0: nothing found; 2: findings.

    Example: planner catalog check --catalog my-prices
    """
    from planner.catalog import load_catalog
    from planner.catalog.checks import check_catalog
    from planner.cli.run import BAD_INPUT
    from planner.plan_json import dumps
    from planner.report.catalog import findings_table

    findings = check_catalog(load_catalog(catalog or ()))
    document = dumps({"findings": findings})
    deliver(document, findings_table(findings, width()), as_json=as_json, output=output, quiet=False)
    if findings:
        raise typer.Exit(BAD_INPUT)
