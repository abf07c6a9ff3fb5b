"""A plain CSV of quotes as price rows: what a sales person sent, in the fewest columns.

Columns: cloud, instance, gpu, gpus, pricing and one price, `usd_per_machine_hour` or `usd_per_gpu_hour`. Any other
column of a price snapshot may be there too (region, term_hours, minimum_gpus, as_of, source, note, ...).
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from planner.catalog.catalog import Catalog
from planner.catalog.checks_prices import REJECTS
from planner.catalog.importing import REPORT_COLUMNS, Reading, dated, node_ids
from planner.catalog.prices import COLUMNS, DATE_KINDS, FLAGS, PRICINGS, QUALITIES
from planner.reading import fault, read_csv
from planner.words import Sentence, say

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
        found = say("quotes.one_price", found=priced) if priced else say("quotes.no_price")
        raise fault(path, found, 1)
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
    known = pd.Series(
        [nodes.get(pair, "") for pair in zip(table["cloud"].tolist(), table["instance"].tolist(), strict=True)],
        table.index,
    )
    table["node"] = table["node"].where(table["node"] != "", known)
    table["gpu"] = table["gpu"].str.strip().str.lower()
    table = table.assign(file=path.name, line=list(read.lines))
    price = priced[0]
    complaints = _complaints(table, gpus, price, raw[price].str.strip())
    bad = complaints.notna()
    table["gpus"] = gpus.where(~bad, 1).astype(int)
    return Reading(table[~bad], _rejected(table[bad], complaints[bad]), {}, len(raw))


def _complaints(table: pd.DataFrame, gpus: pd.Series[float], price: str, written: pd.Series[str]) -> pd.Series[str]:
    """Why a row cannot be a price, None where it can; the first reason stands. `written` is in the column `price`."""
    import pandas as pd

    complaints = pd.Series(None, index=table.index, dtype=object)

    def complain(where: pd.Series[bool], message: Sentence) -> None:
        complaints[where & complaints.isna()] = message

    for name in ("cloud", "instance"):
        complain(table[name].str.strip() == "", say("quotes.empty", column=name))
    complain(~table["cloud"].str.fullmatch(_NAME), say("quotes.cloud"))
    complain(gpus.isna() | (gpus < 1) | (gpus % 1 != 0), say("quotes.gpus"))
    for name, allowed in (("pricing", PRICINGS), ("quality", QUALITIES), ("date_kind", DATE_KINDS)):
        complain(~table[name].isin(allowed), say("quotes.none_of", column=name, allowed=list(allowed)))
    complain(table["currency"] != "USD", say("quotes.currency"))
    amount = pd.to_numeric(written, errors="coerce")
    complain(written == "", say("quotes.empty", column=price))
    complain(amount.isna() | ~(amount < float("inf")), say("quotes.not_a_number", column=price))
    complain(amount <= 0, say("quotes.above_0", column=price))
    flags = table["flags"].str.split(";").map(lambda names: bool(set(filter(None, names)) - FLAGS))
    complain(flags.astype(bool), say("quotes.flags", allowed=sorted(FLAGS)))
    for name in ("as_of_earliest", "as_of_latest"):
        parsed = pd.to_datetime(table[name], format="%Y-%m-%d", errors="coerce")
        complain(parsed.isna() & (table[name] != ""), say("quotes.not_a_date", column=name))
    high, low = table["usd_per_machine_hour_high"], table["usd_per_machine_hour_low"]
    complain(high < low, say("quotes.high_below_low"))
    return complaints


def _rejected(rows: pd.DataFrame, complaints: pd.Series[str]) -> pd.DataFrame:
    import pandas as pd

    named = pd.DataFrame(rows[["file", "line", "cloud", "instance", "region", "pricing"]])
    checks = ["currency" if message.code == "quotes.currency" else "form" for message in complaints]
    return named.assign(what=REJECTS, check=checks, reason=complaints)[list(REPORT_COLUMNS)]
