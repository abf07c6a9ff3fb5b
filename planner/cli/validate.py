"""`planner validate`: predicted against measured, on rows that the calibration has not seen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Catalog, Json, Output, Quiet
from planner.cli.output import colour, deliver, say, width, working


def validate(
    rows: Annotated[
        list[Path],
        typer.Argument(metavar="ROWS.csv...", help="Tables as in catalogs/measured.", exists=True, dir_okay=False),
    ],
    leave_out: Annotated[
        str,
        typer.Option(
            "--leave-out",
            metavar="WHAT",
            help="Leave out each row's configuration (in all releases), row, group (model, accelerator and precision),"
            " model, source, site, stack or part; none: as shipped.",
        ),
    ] = "configuration",
    refit: Annotated[
        bool,
        typer.Option("--refit", help="Fit anew for each that is left out (minutes), instead of solving without it."),
    ] = False,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Predicted against measured: .svg, .png or .html.")
    ] = None,
    catalog: Catalog = None,
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Compare predictions with measured rows; a row never helps to predict itself.

    Example: planner validate catalogs/measured/vtrain.csv --leave-out group
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small fits: threads only get in each other's way
    from planner.catalog.overlay import overlay_dirs
    from planner.performance.assumed import counted
    from planner.performance.calibration import load_calibration
    from planner.performance.tables import read_table
    from planner.performance.validation import judge, report
    from planner.plan_json import dumps
    from planner.report.validation import validation_chart, validation_table

    overlays = overlay_dirs(catalog or ())
    with working("refitting", quiet=quiet):
        judged = judge(rows, load_calibration(overlays), leave_out, overlays, refit=refit)
    for table in rows:
        for remark in read_table(table).remarks():
            say(f"{table}: {remark}", quiet=quiet)
    for why in judged.unreadable.values():
        say(f"left out: {why}", quiet=quiet)
    for assumption in counted(run.assumed for run in judged.runs):
        say(assumption, quiet=quiet)
    found = report(judged)
    deliver(
        dumps(found),
        "" if as_json or quiet else validation_table(found, width(), colour()),
        as_json=as_json,
        output=output,
        quiet=quiet,
    )
    if chart is not None:
        validation_chart(judged, chart)
        say(f"chart saved to {chart}", quiet=quiet)
