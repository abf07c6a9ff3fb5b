"""A plain CSV of quotes as price rows: what a sales person sent, in the fewest columns.

Columns: cloud, instance, gpu, gpus, pricing and one price, `usd_per_machine_hour` or `usd_per_gpu_hour`. Any other
column of a price snapshot may be there too (region, term_hours, minimum_gpus, as_of, source, note, ...).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from planner.catalog.catalog import Catalog
from planner.catalog.importing import REPORT_COLUMNS, Reading, dated, node_ids
from planner.catalog.prices import COLUMNS, DATE_KINDS, FLAGS, PRICINGS, QUALITIES
from planner.reading import fault, read_csv

if TYPE_CHECKING:
    import pandas as pd

PRICES = ("usd_per_machine_hour", "usd_per_gpu_hour")
NEEDED = ("cloud", "instance", "gpu", "gpus", "pricing")
_NAME = r"[^\W_][\w .+-]{0,59}"  # of a cloud: it becomes a part of a file's name
_NUMBERS = ("usd_per_machine_hour_low", "usd_per_machine_hour_high", "term_hours", "billing_step_s", "minimum_gpus")


def read_quotes(path: Path, catalog: Catalog, as_of: date) -> Reading:
    """The quotes of a CSV as candidate price rows; a row without a date is of `as_of`, without a quality the user's.

    Raises
    ------
    PlannerError
        If a column is missing or not known, or the price stands in two columns.
    """
    import pandas as pd

    read = read_csv(path, NEEDED, (*COLUMNS, *PRICES))
    priced = [name for name in (*PRICES, "usd_per_machine_hour_low") if name in read.header]
    if len(priced) != 1:
        raise fault(
            path,
            "give the price in exactly one of usd_per_machine_hour (of the row's `gpus` together), usd_per_gpu_hour "
            f"and usd_per_machine_hour_low; found {', '.join(priced) or 'none'}",
            1,
        )
    raw = pd.DataFrame(list(read.cells), columns=list(read.header), dtype=str)
    table = raw.reindex(columns=list(COLUMNS), fill_value="")
    gpus = pd.to_numeric(raw["gpus"], errors="coerce")
    for name in _NUMBERS:
        table[name] = pd.to_numeric(table[name], errors="coerce")
    if "usd_per_gpu_hour" in raw:
        table["usd_per_machine_hour_low"] = pd.to_numeric(raw["usd_per_gpu_hour"], errors="coerce") * gpus
    elif "usd_per_machine_hour" in raw:
        table["usd_per_machine_hour_low"] = pd.to_numeric(raw["usd_per_machine_hour"], errors="coerce")
    low = table["usd_per_machine_hour_low"]
    table["usd_per_machine_hour_high"] = table["usd_per_machine_hour_high"].fillna(low)
    for name, default in {"region": "all", "currency": "USD", "quality": "user", "source": path.name}.items():
        table[name] = table[name].where(table[name] != "", default)
    undated = (table["as_of_earliest"] == "") & (table["as_of_latest"] == "")
    for name, value in dated(as_of).items():
        table[name] = table[name].where(~undated, value)
    table["date_kind"] = table["date_kind"].where(table["date_kind"] != "", "exact")
    nodes = node_ids(catalog)
    found = pd.Series(
        [nodes.get(pair, "") for pair in zip(table["cloud"].tolist(), table["instance"].tolist(), strict=True)],
        table.index,
    )
    table["node"] = table["node"].where(table["node"] != "", found)
    table["gpu"] = table["gpu"].str.strip().str.lower()
    table = table.assign(file=path.name, line=list(read.lines))
    price = priced[0]
    complaints = _complaints(table, gpus, price, raw[price].str.strip())
    bad = complaints != ""
    table["gpus"] = gpus.where(~bad, 1).astype(int)
    return Reading(table[~bad], _rejected(table[bad], complaints[bad]), {}, len(raw))


def _complaints(table: pd.DataFrame, gpus: pd.Series[float], price: str, written: pd.Series[str]) -> pd.Series[str]:
    """Why a row cannot be a price, "" where it can; the first reason stands. `written` is in the column `price`."""
    import pandas as pd

    complaints = pd.Series("", index=table.index, dtype=object)

    def complain(where: pd.Series[bool], text: str) -> None:
        complaints[where & (complaints == "")] = text

    for name in ("cloud", "instance"):
        complain(table[name].str.strip() == "", f"form: {name} is empty")
    complain(~table["cloud"].str.fullmatch(_NAME), "form: cloud is not a name of letters, digits, - _ . and blanks")
    complain(gpus.isna() | (gpus < 1) | (gpus % 1 != 0), "form: gpus is not a whole number of at least 1")
    complain(~table["pricing"].isin(PRICINGS), f"form: pricing is not one of {', '.join(PRICINGS)}")
    complain(~table["quality"].isin(QUALITIES), f"form: quality is not one of {', '.join(QUALITIES)}")
    complain(~table["date_kind"].isin(DATE_KINDS), f"form: date_kind is not one of {', '.join(DATE_KINDS)}")
    complain(table["currency"] != "USD", "currency: convert the price to USD")
    amount = pd.to_numeric(written, errors="coerce")
    complain(written == "", f"form: {price} is empty")
    complain(amount.isna() | ~(amount < float("inf")), f"form: {price} is not a number such as 1234.5")
    complain(amount <= 0, f"form: {price} must be above 0")
    flags = table["flags"].str.split(";").map(lambda names: bool(set(filter(None, names)) - FLAGS))
    complain(flags.astype(bool), f"form: flags are not of {', '.join(sorted(FLAGS))}")
    for name in ("as_of_earliest", "as_of_latest"):
        parsed = pd.to_datetime(table[name], format="%Y-%m-%d", errors="coerce")
        complain(parsed.isna() & (table[name] != ""), f"form: {name} is not a date like 2026-11-24")
    high, low = table["usd_per_machine_hour_high"], table["usd_per_machine_hour_low"]
    complain(high < low, "form: usd_per_machine_hour_high is below usd_per_machine_hour_low")
    return complaints


def _rejected(rows: pd.DataFrame, complaints: pd.Series[str]) -> pd.DataFrame:
    import pandas as pd

    parts = [text.split(": ", 1) for text in complaints]
    named = pd.DataFrame(rows[["file", "line", "cloud", "instance", "region", "pricing"]])
    named = named.assign(what="left out", check=[part[0] for part in parts], reason=[part[1] for part in parts])
    return named[list(REPORT_COLUMNS)]
