"""`planner catalog`: what is in the catalog, its provenance and age, and how one's own prices come into it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Catalog, Date, Json, Output, day, day_option
from planner.cli.output import BAD_INPUT, deliver, say, width
from planner.words import said

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
    overlays: Catalog = None,
    as_json: Json = False,
    output: Output = None,
    date: Date = None,
) -> None:
    """List what the catalog holds of one kind.

    Example: planner catalog list --gpu h100 --sort usd_per_gpu_hour
    """
    from planner import api
    from planner.report.catalog import listing_table
    from planner.report.catalog_prices import ages_line

    found = api.list_catalog(
        kind,
        overlays,
        gpu=gpu,
        cloud=cloud,
        region=region,
        pricing=pricing,
        sort=sort,
        snapshot=snapshot,
    )
    table = "" if as_json else listing_table(kind, found.rows, width())
    if kind == "prices" and not as_json:
        table += "\n" + ages_line(found.made_of, day(date), width())
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=False)


@app.command("show", short_help="One GPU, node type or fabric, each number with its source.")
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="A GPU, node type or fabric.")],
    overlays: Catalog = None,
    as_json: Json = False,
    output: Output = None,
) -> None:
    """Show one part with the kind, source, date and catalog folder of every number; of a GPU, what training reached.

    Example: planner catalog show h100-sxm5-80gb
    """
    from planner import api
    from planner.report.catalog import part_table
    from planner.report.catalog_measured import measured_table

    found = api.show_catalog(name, overlays)
    table = part_table(found.made_of, width()) + measured_table(found.measured or (), width())
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=False)


@app.command("check", short_help="Errors that public price and hardware feeds are known to make.")
def check(overlays: Catalog = None, as_json: Json = False, output: Output = None) -> None:
    """Look for what cannot be right: peaks, units, counts, prices, and numbers without a source.

    Exit code 0: nothing found; 2: findings.

    Example: planner catalog check --catalog my-prices
    """
    from planner import api
    from planner.report.catalog import findings_table

    found = api.check_catalog(overlays)
    table = findings_table(found.made_of, width())
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=False)
    if found.rows:
        raise typer.Exit(BAD_INPUT)


@app.command("diff", short_help="What changed between two price snapshots.")
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A snapshot's date, or a catalog folder.")],
    after: Annotated[str, typer.Argument(metavar="B", help="A snapshot's date, or a catalog folder.")],
    gpu: Gpu = None,
    cloud: Cloud = None,
    overlays: Catalog = None,
    as_json: Json = False,
    output: Output = None,
) -> None:
    """Compare the prices of two snapshots: more expensive, cheaper, new and gone, the largest change first.

    Example: planner catalog diff 2026-11-24 my-catalog
    """
    from planner import api
    from planner.report.catalog_prices import changes_table

    found = api.diff_catalog(before, after, overlays, gpu=gpu, cloud=cloud)
    table = changes_table(found.made_of, width())
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=False)


@app.command("import", short_help="Prices from a day's list, a SkyPilot catalog folder or a CSV of quotes.")
def import_(
    source: Annotated[
        Path, typer.Argument(help="A day's list (CSV, JSON), a SkyPilot catalog folder, or a CSV file of quotes.")
    ],
    as_of: Annotated[
        datetime | None, day_option("--as-of", "The day on which these prices held; a day's list says its own.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", metavar="DIR", help="Your catalog folder; default: that of your config folder."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite an import of the same day.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report, and write nothing.")] = False,
    overlays: Catalog = None,
    as_json: Json = False,
    output: Output = None,
) -> None:
    """Check other people's prices row by row, and keep the good ones as a snapshot in your own catalog.

    Rows that fail a check are left out, or kept with a flag that keeps them from being used or is shown with the plan;
    each is reported with its reason, here and in the folder `imports` of your catalog.

    Example: planner catalog import ~/.sky/catalogs/v8 --as-of 2026-11-24 --to my-catalog
    """
    from planner import api
    from planner.report.catalog_prices import import_table, moved_table

    held = None if as_of is None else as_of.date()
    found = api.import_catalog(source, held, to, overlays, replace=replace, dry_run=dry_run)
    table = import_table(found.made_of, [path.as_posix() for path in found.files], width())
    table += moved_table(found.changes, width())
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=False)
    for note in found.notes:
        say(said("output.note", what=note), quiet=as_json)
    if to is not None and found.files:
        say(said("cli_catalog.use", folder=str(to)), quiet=as_json)
