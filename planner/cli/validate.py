"""`planner validate`: predicted against measured, on rows that the calibration has not seen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Catalog, Json, Output, Quiet, chart_file
from planner.cli.output import colour, deliver, say, width, working
from planner.words import said


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
    chart: Annotated[Path | None, chart_file("Predicted against measured: .svg, .png or .html.")] = None,
    overlays: Catalog = None,
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Compare predictions with measured rows; a row never helps to predict itself.

    Example: planner validate catalogs/measured/vtrain.csv --leave-out group
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # many small fits: threads only get in each other's way
    from planner import api
    from planner.report.charts import save_chart
    from planner.report.validation import validation_table

    with working(said("output.refitting"), quiet=quiet):
        found = api.validate(rows, overlays, leave_out=leave_out, refit=refit)
    for line in found.notes:
        say(line, quiet=quiet)
    table = "" if as_json or quiet else validation_table(found.report, width(), colour())
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=quiet)
    if chart is not None:
        save_chart(found.plot(), chart)
        say(said("cli_validate.chart", file=str(chart)), quiet=quiet)
