"""`planner schema`: the JSON Schema of scenario files."""

from __future__ import annotations

from planner.cli.options import Output
from planner.cli.output import deliver


def schema(output: Output = None) -> None:
    """Print the JSON Schema of scenarios, with descriptions; editors use it to complete and to check.

    Example: planner schema -o scenario.schema.json
    """
    from planner.plan_json import dumps
    from planner.scenario import scenario_schema

    text = dumps(scenario_schema())
    deliver(text, "", as_json=output is None, output=output, quiet=False)
