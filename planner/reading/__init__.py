"""People's files in: one way to bytes, text, CSV, JSON and YAML, and one style of sentence for what is wrong in them.

Nothing is trusted: size, encoding, zero bytes, nesting and numbers are checked first, whatever kind of file it is, and
every problem is a PlannerError that names file and line.
"""

from planner.reading.separated import read_separated
from planner.reading.tables import CsvTable, read_csv, records
from planner.reading.text import (
    MAX_BYTES,
    fault,
    json_of,
    line_of,
    one_line,
    opened,
    read_bytes,
    read_json,
    read_text,
    text_of,
    wrong_at,
)

__all__ = [
    "MAX_BYTES",
    "CsvTable",
    "fault",
    "json_of",
    "line_of",
    "one_line",
    "opened",
    "read_bytes",
    "read_csv",
    "read_json",
    "read_separated",
    "read_text",
    "records",
    "text_of",
    "wrong_at",
]
