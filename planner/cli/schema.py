"""`planner schema`: the JSON Schema of scenario files."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.options import Output
from planner.cli.output import deliver, emit, width


def schema(
    keys: Annotated[bool, typer.Option("--keys", help="List the keys for people instead.")] = False,
    output: Output = None,
) -> None:
    """Print the JSON Schema of scenarios, with descriptions; editors use it to complete and to check.

    Example: planner schema -o scenario.schema.json
    """
    from planner import api
    from planner.report.schema import keys_table
    from planner.results.json_form import dumps

    found = api.schema()
    if keys:
        emit(keys_table(found, width()))
    if output is not None or not keys:
        deliver(dumps(found), "", as_json=output is None, output=output, quiet=False)
