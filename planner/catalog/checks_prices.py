"""Checks of price rows: each would have caught an error met in a public feed.

They run on tables (pandas), so that a snapshot of half a million rows takes seconds; the columns are those of `prices`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from planner.catalog.catalog import Catalog
from planner.catalog.checks_hardware import Finding
from planner.catalog.prices import NAMES, PriceRow
from planner.words import say

if TYPE_CHECKING:
    import pandas as pd

_SAME = 1e-4
REGION_SPREAD = 0.6  # a price below this share of the upper quartile's is no regional difference
TWO_SOURCES = 0.30
FLOOR = 0.6  # of the cheapest other cloud
CLOUDS_TO_COMPARE = 4
CEILING = 5.0  # times the median of the accelerator
SPOT_FLOOR = 0.1  # of the cheapest on-demand anywhere
# Rows that say of themselves why they are cheap, or that nobody uses.
_OUT = ("superseded", "index")
_CHEAP = ("market_price", "momentary_availability")
# What a finding does to the row on import: the row goes, or stays with a flag that keeps it from being used or shows.
REJECTS, SUSPECT, DIFFERS = "left out", "kept, not used", "kept, shown"


@dataclass(frozen=True, slots=True)
class PriceFindings:
    """Findings by row: parallel to the table's index labels in `rows`."""

    rows: tuple[int, ...]
    check: str
    messages: tuple[str, ...]
    action: str


def check_prices(table: pd.DataFrame, catalog: Catalog, reference: pd.DataFrame | None = None) -> list[PriceFindings]:
    """All findings on the rows of `table`.

    Parameters
    ----------
    table : DataFrame
        Columns of a price snapshot (`prices.COLUMNS`); numbers as numbers, flags as text; index 0, 1, 2, ...
    reference : DataFrame, optional
        Rows that are known already, for the checks that compare; by default the table alone.

    Returns
    -------
    One `PriceFindings` for each check that found something, in the order in which the checks run.
    """
    import pandas as pd

    known = table.iloc[:0] if reference is None else reference
    together = pd.concat([table, known], ignore_index=True)
    # Strings are compared once: every later join is on whole numbers.
    names = together["cloud"] + "\0" + together["instance"] + "\0" + together["region"]
    together = together.assign(machine=pd.factorize(names)[0])
    live = together[~_has(together, *_OUT) & (together["quality"] != "X")]
    beyond = _within(_above_ceiling(live), len(table))
    # A placeholder of 700 USD would make every honest region look too cheap: it does not take part in what follows.
    live = live.drop(index=list(beyond.rows))
    mine, rest = live[live.index < len(table)], live[live.index >= len(table)]
    rows = together.iloc[: len(table)]
    found = [
        beyond,
        _accelerator_known(rows, catalog),
        _no_price(rows),
        _gpu_count(rows, catalog),
        _right_variant(rows, catalog),
        _unit_of_count(rows),
        _spot_above_on_demand(mine),
        _spot_equals_on_demand(mine),
        _spot_placeholder(mine),
        _spread_over_regions(mine),
        _below_floor(mine, live, catalog),
        *_two_sources(mine, mine if reference is None else rest),
    ]
    return [_within(each, len(table)) for each in found if any(row < len(table) for row in each.rows)]


def _within(found: PriceFindings, rows: int) -> PriceFindings:
    """The findings on the table's own rows, without those on the reference."""
    pairs = [(row, text) for row, text in zip(found.rows, found.messages, strict=True) if row < rows]
    return PriceFindings(tuple(row for row, _ in pairs), found.check, tuple(text for _, text in pairs), found.action)


def prices_table(rows: Sequence[PriceRow]) -> pd.DataFrame:
    """Price rows as the table that the checks work on."""
    import pandas as pd

    table = pd.DataFrame(list(rows), columns=list(PriceRow._fields)).rename(columns=NAMES)
    return table.assign(flags=[";".join(row.flags) for row in rows])


def findings_of(table: pd.DataFrame, found: list[PriceFindings]) -> list[Finding]:
    """Price findings as sentences about rows."""
    names = table[["cloud", "instance", "region", "pricing"]].astype(str).agg("/".join, axis=1)
    return [
        Finding(each.check, str(names.loc[row]), message, each.action == REJECTS)
        for each in found
        for row, message in zip(each.rows, each.messages, strict=True)
    ]


def _has(table: pd.DataFrame, *flags: str) -> pd.Series[bool]:
    """Which rows carry one of the flags; the few distinct texts are looked at once."""
    marked = [text for text in table["flags"].unique() if set(flags) & set(str(text).split(";"))]
    return table["flags"].isin(marked)


def _findings(check: str, rows: pd.DataFrame, message: Sequence[str] | str, action: str) -> PriceFindings:
    text = (message,) * len(rows) if isinstance(message, str) else tuple(message)
    return PriceFindings(tuple(rows.index), check, text, action)


def _messages(code: str, **columns: pd.Series[Any]) -> list[str]:
    """The sentence of a code for each row, its values in columns."""
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [say(code, **dict(zip(columns, row, strict=True))) for row in rows]


def _accelerator_known(table: pd.DataFrame, catalog: Catalog) -> PriceFindings:
    """A name that is not an accelerator's here: A10 is not A10G, and guessing is how 125 TFLOP/s became 70."""
    rows = table[~table["gpu"].isin(list(catalog.accelerators))]
    return _findings("accelerator_known", rows, _messages("checks_prices.accelerator", gpu=rows["gpu"]), REJECTS)


def _no_price(table: pd.DataFrame) -> PriceFindings:
    low = table["usd_per_machine_hour_low"]
    rows = table[low.isna() | (low <= 0)]
    return _findings("price_present", rows, say("checks_prices.no_price"), REJECTS)


def _above_ceiling(table: pd.DataFrame) -> PriceFindings:
    """Far above the usual price of the accelerator: GCP lists TPU slices of any size at 700.00 where none is sold."""
    per_gpu = _per_gpu(table)
    typical = per_gpu.groupby([table["gpu"], table["pricing"]]).transform("median")
    high = per_gpu > CEILING * typical
    messages = _messages("checks_prices.ceiling", usd=per_gpu[high], usual=typical[high])
    return _findings("price_ceiling", table[high], messages, REJECTS)


def _against_nodes(table: pd.DataFrame, catalog: Catalog) -> pd.DataFrame:
    """The rows whose cloud and instance a node file describes, with that node's accelerator and count."""
    nodes = (catalog.nodes[name] for name in catalog.nodes)
    facts = {(node.cloud, node.instance): (node.gpu, node.gpus_per_node) for node in nodes}
    rows = table[table["instance"].isin({instance for _, instance in facts})]
    found = [facts.get(pair, ("", 0)) for pair in zip(rows["cloud"].tolist(), rows["instance"].tolist(), strict=True)]
    rows = rows.assign(node_gpu=[gpu for gpu, _ in found], node_gpus=[count for _, count in found])
    return rows[rows["node_gpus"] > 0]


def _gpu_count(table: pd.DataFrame, catalog: Catalog) -> PriceFindings:
    """GPUs of the row against the node's file: one feed lists ND96isr_H100_v5 with 12."""
    rows = _against_nodes(table, catalog)
    rows = rows[rows["gpus"] != rows["node_gpus"]]
    messages = _messages("checks_prices.gpus", gpus=rows["gpus"], machine=rows["node_gpus"])
    return _findings("gpu_count", rows, messages, REJECTS)


def _right_variant(table: pd.DataFrame, catalog: Catalog) -> PriceFindings:
    rows = _against_nodes(table, catalog)
    rows = rows[rows["gpu"] != rows["node_gpu"]]
    messages = _messages("checks_prices.variant", gpu=rows["gpu"], machine=rows["node_gpu"])
    return _findings("right_variant", rows, messages, REJECTS)


def _unit_of_count(table: pd.DataFrame) -> PriceFindings:
    """TPU names count cores up to v4 and in v5p (two a chip), chips in v5e and v6e; `gpus` counts chips."""
    rows = table[table["gpu"].isin([gpu for gpu in table["gpu"].unique() if str(gpu).startswith("tpu-")])]
    if rows.empty:
        return _findings("unit_of_count", rows, "", REJECTS)
    name = rows["instance"].str.extract(r"(?i)v(\d+[a-z]*|5litepod)-(\d+)")
    rows = rows[name[1].notna()]
    name = name.dropna()
    per_chip = name[0].str.lower().isin(["2", "3", "4", "5p"]).map({True: 2, False: 1})
    chips = (name[1].astype(int) // per_chip).clip(lower=1)
    wrong = rows["gpus"] != chips
    messages = _messages("checks_prices.chips", counted=rows["gpus"][wrong], chips=chips[wrong])
    return _findings("unit_of_count", rows[wrong], messages, REJECTS)


def _spot_with_on_demand(table: pd.DataFrame) -> pd.DataFrame:
    """Spot rows with the on-demand price of the same machine in the same region as `full`."""
    listed = table.loc[table["pricing"] == "on_demand", ["machine", "usd_per_machine_hour_low"]]
    full = listed.drop_duplicates("machine").set_index("machine")["usd_per_machine_hour_low"]
    spot = table[table["pricing"] == "spot"]
    return spot.assign(full=spot["machine"].map(full)).dropna(subset=["full"])


def _spot_above_on_demand(table: pd.DataFrame) -> PriceFindings:
    """Spot above on-demand: the "on-demand" row is another product's (GCP H100 in us-central1, 4.20 against 5.34).

    Both rows are found: one of the two prices is wrong, and nobody can tell which.
    """
    import pandas as pd

    rows = _spot_with_on_demand(table)
    rows = rows[rows["usd_per_machine_hour_low"] > rows["full"] * (1 + _SAME)]
    messages = _messages("checks_prices.spot_above", spot=rows["usd_per_machine_hour_low"], full=rows["full"])
    message = pd.Series(messages, index=rows.index, dtype=object)
    by_machine = pd.Series(messages, index=rows["machine"], dtype=object).groupby(level=0).first()
    listed = table[(table["pricing"] == "on_demand") & table["machine"].isin(by_machine.index)]
    both = pd.concat([message, listed["machine"].map(by_machine)])
    return PriceFindings(tuple(both.index), "spot_above_on_demand", tuple(both), REJECTS)


def _spot_equals_on_demand(table: pd.DataFrame) -> PriceFindings:
    """A spot price that repeats on-demand is no market: every Azure H100 row, many AWS zones."""
    rows = _spot_with_on_demand(table)
    same = (rows["usd_per_machine_hour_low"] / rows["full"] - 1).abs() <= _SAME
    rows = rows[same & ~_has(rows, "no_spot_market", "spot_equals_on_demand_in_some_zones")]
    return _findings("spot_equals_on_demand", rows, say("checks_prices.no_spot_market"), REJECTS)


def _spot_placeholder(table: pd.DataFrame) -> PriceFindings:
    """A least spot price of exactly a tenth of on-demand is a placeholder that AWS rows carry."""
    rows = _spot_with_on_demand(table)
    tenth = (rows["usd_per_machine_hour_low"] / (0.1 * rows["full"]) - 1).abs() <= _SAME
    rows = rows[tenth & ~_has(rows, "placeholder_spot")]
    return _findings("spot_placeholder", rows, say("checks_prices.spot_placeholder"), REJECTS)


def _per_gpu(table: pd.DataFrame) -> pd.Series[float]:
    return table["usd_per_machine_hour_low"] / table["gpus"]


def _spread_over_regions(table: pd.DataFrame) -> PriceFindings:
    """One accelerator of one cloud far cheaper in one region: another product (A100 in europe-west4 at half price).

    Regions do differ, by up to 40 % in the feeds; below `REGION_SPREAD` of the upper quartile it is two products. One
    region at twice the price of all others (sa-east-1) makes none of them doubtful.
    """
    rows = table[(table["pricing"] == "on_demand") & ~_has(table, *_CHEAP)]
    per_gpu = _per_gpu(rows)
    usual = per_gpu.groupby([rows["cloud"], rows["gpu"]]).transform("quantile", 0.75)
    low = per_gpu < REGION_SPREAD * usual
    messages = _messages("checks_prices.regions", usd=per_gpu[low], usual=usual[low])
    return _findings("spread_over_regions", rows[low], messages, SUSPECT)


def _below_floor(table: pd.DataFrame, known: pd.DataFrame, catalog: Catalog) -> PriceFindings:
    """Far below every other cloud: an auction's floor (Mithril, 1.00 an H100), or a part of the price."""
    import pandas as pd

    listed = known[known["pricing"] == "on_demand"]
    listed = listed[listed["gpu"].isin(list(catalog.accelerators))]
    cheapest = pd.DataFrame({"cloud": listed["cloud"], "gpu": listed["gpu"], "usd": _per_gpu(listed)})
    cheapest = cheapest[cheapest["usd"] > 0].groupby(["gpu", "cloud"])["usd"].min().reset_index()
    # With few clouds to compare, five times cheaper is nothing unusual.
    cheapest = cheapest[cheapest.groupby("gpu")["cloud"].transform("size") >= CLOUDS_TO_COMPARE]
    if cheapest.empty:
        return PriceFindings((), "price_floor", (), SUSPECT)
    ranked = cheapest.sort_values("usd")
    first = ranked.groupby("gpu").nth(0).set_index("gpu")
    second = ranked.groupby("gpu").nth(1).set_index("gpu")["usd"]
    rows = table[~_has(table, *_CHEAP) & table["pricing"].isin(["on_demand", "spot"])]
    lowest, cloud = rows["gpu"].map(first["usd"]).astype(float), rows["gpu"].map(first["cloud"])
    # The cheapest price of the other clouds: the second one for rows of the cheapest cloud itself.
    other = lowest.where(rows["cloud"] != cloud, rows["gpu"].map(second).astype(float))
    floor = other.where(rows["pricing"] == "spot", other * FLOOR)
    floor = floor.where(rows["pricing"] != "spot", lowest * SPOT_FLOOR)
    per_gpu = _per_gpu(rows)
    low = (per_gpu > 0) & (per_gpu < floor)
    messages = _messages("checks_prices.floor", usd=per_gpu[low], floor=floor[low])
    return _findings("price_floor", rows[low], messages, SUSPECT)


def _two_sources(table: pd.DataFrame, known: pd.DataFrame) -> list[PriceFindings]:
    """Two list prices of one machine and region that differ by more than 30 %; spot prices do so every week.

    More than a factor of two apart, one of them is another kind of price (spot printed as on-demand) and is not used.
    """
    key = ["machine", "pricing"]
    listed, other = table[table["pricing"] != "spot"], known[known["pricing"] != "spot"]
    if table is known:
        listed = listed[listed.duplicated(key, keep=False)]
        other = listed
    else:
        listed = listed[listed["machine"].isin(other["machine"])]
    pair = listed[key].assign(usd=_per_gpu(listed)).reset_index(names="row")
    both = pair.merge(other[key].assign(usd_known=_per_gpu(other)).reset_index(names="other"), on=key)
    both = both[both["row"] != both["other"]].drop_duplicates("row")
    both = both.assign(ratio=both["usd"] / both["usd_known"]).set_index("row")
    both = both[(both["ratio"] > 1 + TWO_SOURCES) | (both["ratio"] < 1 / (1 + TWO_SOURCES))]
    far = (both["ratio"] > 2) | (both["ratio"] < 0.5)
    return [
        _findings("two_sources", some, _messages("checks_prices.two_sources", times=some["ratio"]), action)
        for some, action in ((both[far], SUSPECT), (both[~far], DIFFERS))
    ]
