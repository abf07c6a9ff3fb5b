"""`planner catalog`: what is in the catalog, its provenance and age, and how one's own prices come into it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Catalog, Date, Json, Output
from planner.cli.output import deliver, say, width

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
catalog_app = app

Gpu = Annotated[str | None, typer.Option("--gpu", metavar="ID", help="Only these: an id, or how ids begin (h100).")]
Cloud = Annotated[str | None, typer.Option("--cloud", metavar="NAME", help="Only of this cloud.")]


@app.command("list", short_help="GPUs, node types, prices, models or sources.")
def list_(
    kind: Annotated[str, typer.Argument(help="gpus, nodes, prices, models or sources.")] = "prices",
    gpu: Gpu = None,
    cloud: Cloud = None,
    region: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this region.")] = None,
    pricing: Annotated[str | None, typer.Option(metavar="KIND", help="on_demand, spot, reserved_1y or _3y.")] = None,
    sort: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Sort by a column of the JSON; -COLUMN: largest first.")
    ] = None,
    snapshot: Annotated[str | None, typer.Option(metavar="DATE", help="A price snapshot; default: the newest.")] = None,
    catalog: Catalog = None,
    as_json: Json = False,
    output: Output = None,
    date: Date = None,
) -> None:
    """List what the catalog holds of one kind.

    Example: planner catalog list --gpu h100 --sort usd_per_gpu_hour
    """
    from datetime import date as calendar

    from planner.catalog import load_catalog
    from planner.catalog.overlay import overlay_dirs
    from planner.plan_json import dumps
    from planner.report.catalog import listed, listing_table
    from planner.report.catalog_prices import ages_line, chosen

    loaded = load_catalog(overlay_dirs(catalog or ()), snapshot=snapshot)
    rows = chosen(listed(loaded, kind), gpu=gpu, sort=sort, cloud=cloud, region=region, pricing=pricing)
    table = "" if as_json else listing_table(kind, rows, width())
    if kind == "prices" and not as_json:
        today = date.date() if date else calendar.today()  # noqa: DTZ011 - the reader's own day
        table += "\n" + ages_line(loaded, today, width())
    deliver(dumps({kind: rows}), table, as_json=as_json, output=output, quiet=False)


@app.command("show", short_help="One GPU, node type or fabric, each number with its source.")
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="A GPU, node type or fabric.")],
    catalog: Catalog = None,
    as_json: Json = False,
    output: Output = None,
) -> None:
    """Show one part with the kind, source, date and catalog folder of every number; of a GPU, what training reached.

    Example: planner catalog show h100-sxm5-80gb
    """
    from planner.catalog import load_catalog
    from planner.catalog.overlay import overlay_dirs
    from planner.plan_json import dumps
    from planner.report.catalog import found_part, part_rows, part_table
    from planner.report.catalog_measured import measured_rows, measured_table

    loaded = load_catalog(overlay_dirs(catalog or ()))
    record = found_part(loaded, name)
    measured = {"measured": measured_rows(loaded, record.id)} if record.id in loaded.accelerators else {}
    document = dumps({"id": record.id, "fields": part_rows(record), **measured})
    table = part_table(record, width()) + measured_table(measured.get("measured", ()), width())
    deliver(document, table, as_json=as_json, output=output, quiet=False)


@app.command("check", short_help="Errors that public price and hardware feeds are known to make.")
def check(catalog: Catalog = None, as_json: Json = False, output: Output = None) -> None:
    """Look for what cannot be right: peaks, units, counts, prices, and numbers without a source.

    Exit code 0: nothing found; 2: findings.

    Example: planner catalog check --catalog my-prices
    """
    from planner.catalog import load_catalog
    from planner.catalog.checks import check_catalog
    from planner.catalog.overlay import overlay_dirs
    from planner.cli.run import BAD_INPUT
    from planner.plan_json import dumps
    from planner.report.catalog import findings_table

    findings = check_catalog(load_catalog(overlay_dirs(catalog or ())))
    document = dumps({"findings": findings})
    deliver(document, findings_table(findings, width()), as_json=as_json, output=output, quiet=False)
    if findings:
        raise typer.Exit(BAD_INPUT)


@app.command("diff", short_help="What changed between two price snapshots.")
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A snapshot's date, or a catalog folder.")],
    after: Annotated[str, typer.Argument(metavar="B", help="A snapshot's date, or a catalog folder.")],
    gpu: Gpu = None,
    cloud: Cloud = None,
    catalog: Catalog = None,
    as_json: Json = False,
    output: Output = None,
) -> None:
    """Compare the prices of two snapshots: dearer, cheaper, new and gone, the largest change first.

    Example: planner catalog diff 2026-11-24 my-catalog
    """
    from planner.catalog.diff import price_changes, snapshot_prices
    from planner.catalog.overlay import overlay_dirs
    from planner.plan_json import dumps
    from planner.report.catalog_prices import changes_rows, changes_table

    overlays = overlay_dirs(catalog or ())
    changes = [
        each
        for each in price_changes(snapshot_prices(before, overlays), snapshot_prices(after, overlays))
        if (cloud is None or each.cloud == cloud) and (gpu is None or each.gpu.startswith(gpu.lower()))
    ]
    document = dumps({"changes": changes_rows(changes)})
    deliver(document, changes_table(changes, width()), as_json=as_json, output=output, quiet=False)


@app.command("import", short_help="Prices from a SkyPilot catalog folder or a CSV of quotes.")
def import_(
    source: Annotated[Path, typer.Argument(help="A SkyPilot catalog folder, or a CSV file of quotes.")],
    as_of: Annotated[
        datetime,
        typer.Option("--as-of", metavar="YYYY-MM-DD", formats=["%Y-%m-%d"], help="The day on which these prices held."),
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Your catalog folder; default: that of your config folder."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an import of the same day.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, and write nothing.")] = False,
    catalog: Catalog = None,
    as_json: Json = False,
    output: Output = None,
) -> None:
    """Check other people's prices row by row, and keep the good ones as a snapshot in your own catalog.

    Rows that fail a check are left out, or kept with a flag that keeps them from being used or is shown with the plan;
    each is reported with its reason, here and in the folder `imports` of your catalog.

    Example: planner catalog import ~/.sky/catalogs/v8 --as-of 2026-11-24 --to my-catalog
    """
    from planner.catalog import load_catalog
    from planner.catalog.importing import checked, write_snapshot
    from planner.catalog.overlay import config_catalog, overlay_dirs
    from planner.catalog.quotes import read_quotes
    from planner.catalog.skypilot import read_skypilot
    from planner.plan_json import dumps
    from planner.report.catalog_prices import import_table
    from planner.units import PlannerError

    loaded = load_catalog(overlay_dirs(catalog or ()))
    if source.is_dir():
        name, reading = "skypilot", read_skypilot(source, loaded, as_of.date())
    elif source.is_file():
        name, reading = source.stem, read_quotes(source, loaded, as_of.date())
    else:
        raise PlannerError(f"{source} is neither a SkyPilot catalog folder nor a CSV file of quotes")
    outcome = checked(reading, loaded)
    folder = to or config_catalog()
    files = [] if dry_run else write_snapshot(outcome, folder, as_of.date().isoformat(), name, replace=replace)
    document = dumps(
        {
            "rows_read": outcome.lines_read,
            "prices_kept": len(outcome.rows),
            "not_accelerators": dict(outcome.other),
            "reasons": dict(outcome.counts),
            "rows": outcome.report.astype(str).to_dict("records"),
        }
    )
    table = import_table(outcome, [path.as_posix() for path in files], width())
    deliver(document, table, as_json=as_json, output=output, quiet=False)
    if to is not None and files:
        say(f"use these prices with --catalog {to}", quiet=as_json)
