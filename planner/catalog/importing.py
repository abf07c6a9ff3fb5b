"""From a table of other people's prices to a snapshot of one's own: checks, what becomes of each row, the files.

Nothing is overwritten and nothing is used silently: a row that fails a check is left out, or kept with a flag that says
so, and each is reported with its reason.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from planner.catalog.carrying import carried, others_files
from planner.catalog.catalog import Catalog
from planner.catalog.checks_prices import DIFFERS, REJECTS, SUSPECT, PriceFindings, check_prices, prices_table
from planner.catalog.history import in_use, seen_from
from planner.catalog.prices import COLUMNS, read_prices
from planner.files import csv_text, finish, write_all
from planner.reading import read_bytes
from planner.units import PlannerError
from planner.words import phrase, say

if TYPE_CHECKING:
    import pandas as pd

REPORT_COLUMNS = ("file", "line", "cloud", "instance", "region", "pricing", "what", "check", "reason")
_KEY = ["cloud", "instance", "region", "pricing"]
_FLAG = {SUSPECT: "suspect", DIFFERS: "differs"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What an importer made of its files: candidate rows, and the rows that it could not read as a price.

    `rows` has the columns of a snapshot, and `file` and `line` of where each came from. `rejected` has REPORT_COLUMNS.
    `other` counts rows that are no accelerator's (processors alone), by what they are.
    """

    rows: pd.DataFrame
    rejected: pd.DataFrame
    other: Mapping[str, int]
    lines_read: int


@dataclass(frozen=True, slots=True)
class Import:
    """The outcome: rows to keep, and every row that was left out or flagged, with its reason."""

    rows: pd.DataFrame
    report: pd.DataFrame
    other: Mapping[str, int]
    lines_read: int

    @property
    def counts(self) -> Mapping[str, int]:
        """How many rows each reason met, as `check: what became of it`."""
        pairs = zip(self.report["check"], self.report["what"], strict=True)
        found = (say("importing.became", check=check, what=phrase("importing", what)) for check, what in pairs)
        return dict(sorted(Counter(found).items()))


def checked(reading: Reading, catalog: Catalog) -> Import:
    """The rows of a reading after all price checks, beside the prices that the catalog has."""
    import pandas as pd

    table = reading.rows.reset_index(drop=True)
    again = table.duplicated(_KEY)
    messages = (say("importing.again"),) * int(again.sum())
    twice = PriceFindings(tuple(table.index[again]), "priced_once", messages, REJECTS)
    reference = prices_table(catalog.prices)
    own = _quoted(table, catalog)
    rejected: set[int] = set()
    flags: dict[int, list[str]] = {}
    reports = [reading.rejected]
    users = frozenset(table.index[table["quality"] == "user"])
    for found in [
        twice,
        own,
        *(part for each in check_prices(table, catalog, reference) for part in _of_users(each, users)),
    ]:
        reports.append(_report(table, found))
        if found.action == REJECTS:
            rejected.update(found.rows)
        else:
            for row in found.rows:
                flags.setdefault(row, []).append(_FLAG[found.action])
    if flags:
        joined = table["flags"].to_dict()
        for row, names in flags.items():
            joined[row] = ";".join(dict.fromkeys([*filter(None, str(joined[row]).split(";")), *names]))
        table = table.assign(flags=pd.Series(joined))
    kept = table.drop(index=sorted(rejected))
    kept, older = _older(kept, catalog)
    reports.append(older)
    report = pd.concat([part for part in reports if len(part)] or [reading.rejected], ignore_index=True)
    return Import(kept, report, reading.other, reading.lines_read)


def _quoted(table: pd.DataFrame, catalog: Catalog) -> PriceFindings:
    """Rows of lists for an offer of which the user has a quote: the quote stands."""
    no_day = say("importing.no_day")
    quotes = {row.key: row.as_of or no_day for row in catalog.prices if in_use(row) and row.quality == "user"}
    keys = zip(*(table[name].tolist() for name in _KEY), strict=True)
    found = {
        index: quotes[key]
        for index, key, quality in zip(table.index, keys, table["quality"].tolist(), strict=True)
        if quality != "user" and key in quotes
    }
    messages = tuple(say("importing.own_quote", day=day) for day in found.values())
    return PriceFindings(tuple(found), "own_quote", messages, REJECTS)


def _older(table: pd.DataFrame, catalog: Catalog) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows, those flagged `superseded` of which a later price is known; and a report of these. A quote stands."""
    known = {row.key: since for row in catalog.prices if in_use(row) and (since := seen_from(row)) is not None}
    keys = zip(*(table[name].tolist() for name in _KEY), strict=True)
    late = [
        quality != "user" and day != "" and key in known and known[key].isoformat() > day
        for key, day, quality in zip(keys, table["as_of_latest"].tolist(), table["quality"].tolist(), strict=True)
    ]
    flags = [
        ";".join(filter(None, (flag, "superseded"))) if is_late else flag
        for flag, is_late in zip(table["flags"].tolist(), late, strict=True)
    ]
    indices = tuple(index for index, is_late in zip(table.index, late, strict=True) if is_late)
    messages = (say("importing.older"),) * len(indices)
    return table.assign(flags=flags), _report(table, PriceFindings(indices, "older", messages, "kept as history"))


def _of_users(found: PriceFindings, users: frozenset[int]) -> Iterator[PriceFindings]:
    """Findings, those that doubt a price apart where the user was quoted it: a quote stands, and the doubt is shown."""
    if found.action != SUSPECT:
        yield found
        return
    pairs = list(zip(found.rows, found.messages, strict=True))
    for quoted, action in ((False, SUSPECT), (True, DIFFERS)):
        some = [pair for pair in pairs if (pair[0] in users) == quoted]
        if some:
            rows, messages = zip(*some, strict=True)
            yield PriceFindings(rows, found.check, messages, action)


def _report(table: pd.DataFrame, found: PriceFindings) -> pd.DataFrame:
    import pandas as pd

    rows = table.loc[list(found.rows), ["file", "line", *_KEY]]
    reasons = pd.Series(found.messages, rows.index, dtype=object)  # of sentences, which a column of texts would lose
    return pd.DataFrame(rows).assign(what=found.action, check=found.check, reason=reasons)


def without_twice(outcome: Import, folder: Path, snapshot: str, name: str) -> Import:
    """An import without offers that another file beside it prices on that day: the file stands, each is reported."""
    import pandas as pd

    stands = {
        (*row.key, row.as_of_latest.isoformat() if row.as_of_latest else ""): path.name
        for path in others_files(folder, snapshot, name)
        for row in read_prices(path)
        if not {"superseded", "index"} & set(row.flags)
    }
    if not stands:
        return outcome
    rows = outcome.rows
    late = pd.Series(["superseded" in str(flags) for flags in rows["flags"]], rows.index, dtype=bool)
    keys = zip(*(rows[column].tolist() for column in (*_KEY, "as_of_latest")), strict=True)
    found = pd.Series([stands.get(key, "") for key in keys], rows.index, dtype=object).where(~late, "")
    twice = found != ""
    messages = tuple(say("importing.priced", file=file) for file in found[twice])
    report = _report(rows, PriceFindings(tuple(rows.index[twice]), "priced_once", messages, REJECTS))
    return replace(outcome, rows=rows[~twice], report=pd.concat([outcome.report, report], ignore_index=True))


def node_ids(catalog: Catalog) -> dict[tuple[str, str], str]:
    """Node ids by cloud and instance: the feeds have no network column, so the node's file is joined."""
    return {(catalog.nodes[name].cloud, catalog.nodes[name].instance): name for name in catalog.nodes}


def dated(as_of: date) -> dict[str, str]:
    """The date columns of prices that are known to have held on one day."""
    day = as_of.isoformat()
    return {"as_of": day, "as_of_earliest": day, "as_of_latest": day, "date_kind": "exact"}


def write_snapshot(outcome: Import, folder: Path, snapshot: str, name: str, *, replace: bool = False) -> list[Path]:
    """Write the kept rows to `folder/prices/SNAPSHOT/NAME-CLOUD.csv`, and the report to `folder/imports/`.

    What the folder's owner wrote into an older snapshot is carried into the new one, which would hide it otherwise.

    Returns
    -------
    The files written.

    Raises
    ------
    PlannerError
        If a file is there already and would change: what a user has edited is never overwritten unless `replace`.
    """
    try:
        date.fromisoformat(snapshot)
    except ValueError:
        raise PlannerError(say("importing.snapshot", snapshot=snapshot)) from None
    finish(folder)
    written: dict[str, str] = {}
    # A column that says nothing but its default is left out, as a person would leave it out.
    silent = {"currency": "USD", "flags": "", "note": "", "node": ""}
    present = [column for column in COLUMNS if column in outcome.rows]
    columns = [name for name in present if not (name in silent and (outcome.rows[name] == silent[name]).all())]
    for cloud, rows in outcome.rows.groupby("cloud", sort=True):
        written[f"prices/{snapshot}/{name}-{cloud}.csv"] = _as_csv(rows, columns)
    written |= carried(folder, snapshot, name)
    report = outcome.report
    written[f"imports/{snapshot}-{name}.csv"] = _as_csv(report, list(report.columns), sort=False)
    if not replace:
        old = {path: folder / path for path in written if os.path.isfile(folder / path)}  # noqa: PTH113 - any name
        changed = [path for name, path in old.items() if read_bytes(path) != written[name].encode()]
        if changed:
            raise PlannerError(say("importing.differs", file=str(changed[0])))
    return write_all(folder, written)


def _as_csv(table: pd.DataFrame, columns: Sequence[str], *, sort: bool = True) -> str:
    """A table as CSV text, in the order of accelerator, instance, region and pricing."""
    import numpy as np
    import pandas as pd

    if sort:
        keys = [pd.factorize(table[name], sort=True)[0] for name in ("pricing", "region", "instance", "gpu")]
        table = table.iloc[np.lexsort(keys)]
    lists = [["" if value != value else value for value in table[name].tolist()] for name in columns]
    return csv_text([columns, *zip(*lists, strict=True)])


def empty_report(rows: Sequence[Sequence[object]] = ()) -> pd.DataFrame:
    """A report of rows that an importer rejects itself."""
    import pandas as pd

    return pd.DataFrame([list(row) for row in rows], columns=list(REPORT_COLUMNS), dtype=object)
