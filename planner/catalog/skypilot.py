"""SkyPilot's catalog (`~/.sky/catalogs/<schema>/<cloud>/vms.csv`) as price rows.

Columns are found by name, as their order and number differ by cloud. The traps, each seen in the files: no zones
(Lambda, Nebius), GCP's accelerators and hosts in separate rows, TPU slices counted in cores, memory in other units or
absent, spot columns that repeat on-demand, placeholders.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from planner.catalog.catalog import Catalog
from planner.catalog.checks_prices import REJECTS
from planner.catalog.importing import REPORT_COLUMNS, Reading, dated, empty_report, node_ids
from planner.catalog.patterns import fits
from planner.reading import read_csv
from planner.units import PlannerError
from planner.words import say

if TYPE_CHECKING:
    import pandas as pd

NEEDED = ("InstanceType", "AcceleratorName", "AcceleratorCount", "Price", "Region")
_MOST_CARDS = 10_000  # of one machine, racks and TPU pods among them
_SAME = 1e-4
_TPU = re.compile(r"(?i)^tpu-(v\d+[a-z]*)-(\d+)$")
# Cores a chip, by how each generation's slices are named.
_TPU_CORES = {"v2": 2, "v3": 2, "v4": 2, "v5p": 2, "v5litepod": 1, "v5e": 1, "v6e": 1}
_TPU_ID = {"v4": "tpu-v4", "v5p": "tpu-v5p", "v5litepod": "tpu-v5e", "v5e": "tpu-v5e", "v6e": "tpu-v6e"}
_MEMORY = re.compile(r"SizeInMiB['\"]*\s*:\s*([0-9]{1,12}(?:\.[0-9]{0,9})?)(?![0-9.])")


def read_skypilot(folder: Path, catalog: Catalog, as_of: date) -> Reading:
    """Every cloud's `vms.csv` below a folder as candidate price rows of `as_of`.

    Parameters
    ----------
    folder : Path
        A schema's folder (`.../v8`), or one cloud's.

    Raises
    ------
    PlannerError
        If no `vms.csv` is there, two hold the same cloud, or a file lacks a column that every cloud has.
    """
    import pandas as pd

    files = sorted(folder.rglob("vms.csv"))
    if not files:
        raise PlannerError(say("skypilot.no_file", folder=str(folder)))
    clouds = [path.parent.name.lower() for path in files]
    twice = {cloud for cloud in clouds if clouds.count(cloud) > 1}
    if twice:
        raise PlannerError(say("skypilot.twice", folder=str(folder), cloud=min(twice)))
    nodes = node_ids(catalog)
    always = {row["cloud"]: row["flags"] for row in catalog.table("import/skypilot_clouds.csv")}
    rows, rejected, bare, lines = [], [empty_report()], 0, 0
    for path, cloud in zip(files, clouds, strict=True):
        raw = _read(path, cloud)
        lines += len(raw)
        machines, hosts = _machines(raw, catalog)
        bare += hosts
        if machines.empty:
            continue
        good, bad = _named(machines.assign(extra_flags=_with(machines["extra_flags"], always.get(cloud, ""))), catalog)
        rejected.append(bad)
        rows.append(_by_region(good, nodes, as_of))
    if not rows:
        raise PlannerError(say("skypilot.no_accelerator", folder=str(folder)))
    table = pd.concat(rows, ignore_index=True)
    other: dict[str, int] = {say("skypilot.processors"): bare}
    return Reading(table, pd.concat(rejected, ignore_index=True), other, lines)


def _with(flags: pd.Series[str], more: str) -> pd.Series[str]:
    return flags if not more else flags.map(lambda flag: f"{flag};{more}" if flag else more)


def _read(path: Path, cloud: str) -> pd.DataFrame:
    """A file's rows, with cloud, file name and line."""
    import pandas as pd

    text = ["InstanceType", "AcceleratorName", "GpuInfo", "Region", "AvailabilityZone"]
    read = read_csv(path, NEEDED, holds=say("skypilot.holds"))
    raw = pd.DataFrame(list(read.cells), columns=list(read.header), dtype=str)
    for name in text:
        raw[name] = (raw[name] if name in raw.columns else pd.Series("", index=raw.index)).fillna("")
    for name in ("Price", "SpotPrice", "AcceleratorCount"):
        column = raw[name] if name in raw.columns else pd.Series(float("nan"), index=raw.index)
        raw[name] = pd.to_numeric(column, errors="coerce")
    return raw.assign(cloud=cloud, file=f"{cloud}/{path.name}", line=list(read.lines))


def _machines(raw: pd.DataFrame, catalog: Catalog) -> tuple[pd.DataFrame, int]:
    """The rows with accelerators, at the price of the whole machine, and how many rows have none.

    GCP's accelerator rows have no instance: the host's row in the same zone is added to them.
    """
    accelerated = raw["AcceleratorName"] != ""
    cards = raw[accelerated & (raw["AcceleratorCount"].fillna(0) > 0)].assign(extra_flags="")
    bare = cards["InstanceType"].isin(["", "TPU-VM"])
    if not bare.any():
        return cards, int((~accelerated).sum())
    import pandas as pd

    hosts = pd.DataFrame(catalog.table("import/skypilot_hosts.csv"))
    hosts = hosts.assign(count=hosts["count"].astype(float))[["cloud", "accelerator", "count", "instance"]]
    named = cards[bare].merge(
        hosts,
        left_on=["cloud", "AcceleratorName", "AcceleratorCount"],
        right_on=["cloud", "accelerator", "count"],
        how="left",
    )
    prices = raw.loc[~accelerated, ["InstanceType", "Region", "AvailabilityZone", "Price", "SpotPrice"]]
    prices = prices.drop_duplicates(["InstanceType", "Region", "AvailabilityZone"])
    joined = named.merge(
        prices.rename(columns={"InstanceType": "instance", "Price": "host", "SpotPrice": "host_spot"}),
        on=["instance", "Region", "AvailabilityZone"],
        how="left",
    )
    slices = joined["AcceleratorName"].str.startswith("tpu-")
    alone = joined["host"].isna() & ~slices
    joined = joined.assign(
        InstanceType=joined["instance"].where(joined["instance"].notna(), joined["AcceleratorName"]),
        Price=joined["Price"] + joined["host"].fillna(0.0),
        SpotPrice=joined["SpotPrice"] + joined["host_spot"].fillna(0.0),
        extra_flags=alone.map({True: "gpu_part_only", False: ""}),
    )
    return pd.concat([cards[~bare], joined[cards.columns]], ignore_index=True), int((~accelerated).sum())


def _named(cards: pd.DataFrame, catalog: Catalog) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows whose accelerator is known by this catalog's id, with its count; and the others, with the reason."""
    import pandas as pd

    listed = catalog.table("import/skypilot_names.csv")
    # A user's own layer decides before ours; within a layer the first row that fits.
    names = [row for layer in reversed(catalog.layers) for row in listed if row["layer"] == layer.name]
    kinds = cards[["cloud", "AcceleratorName", "AcceleratorCount", "InstanceType", "GpuInfo"]].drop_duplicates()
    answers = [_identify(kind, names, catalog) for kind in kinds.itertuples(index=False)]
    found = pd.DataFrame(answers, columns=["gpu", "gpus", "check", "why"], index=kinds.index, dtype=object)
    kinds = pd.concat([kinds, found.astype({"gpus": int})], axis=1)
    joined = cards.merge(kinds, on=list(kinds.columns[:5]), how="left")
    good = joined["check"] == ""
    bad = joined[~good]
    report = pd.DataFrame(
        {
            "file": bad["file"],
            "line": bad["line"],
            "cloud": bad["cloud"],
            "instance": bad["InstanceType"],
            "region": bad["Region"],
            "pricing": "",
            "what": REJECTS,
            "check": bad["check"],
            "reason": bad["why"],
        },
        columns=list(REPORT_COLUMNS),
    )
    return joined[good], report


def _identify(kind: object, names: Sequence[dict[str, str]], catalog: Catalog) -> tuple[str, int, str, str]:
    """Accelerator id, count and, if it is not to be used, the check that it fails and the reason."""
    cloud, name = str(getattr(kind, "cloud", "")), str(getattr(kind, "AcceleratorName", ""))
    instance, info = str(getattr(kind, "InstanceType", "")), str(getattr(kind, "GpuInfo", ""))
    count = float(getattr(kind, "AcceleratorCount", 0))
    slice_ = _TPU.match(name)
    if slice_:
        cores = _TPU_CORES.get(slice_[1].lower())
        gpu = _TPU_ID.get(slice_[1].lower())
        if cores is None or gpu is None:
            return "", 0, "accelerator_known", say("skypilot.not_in_catalog", name=name)
        return gpu, max(1, int(slice_[2]) // cores) * int(count), "", ""
    if count > _MOST_CARDS:
        return "", 0, "gpu_count", say("skypilot.too_many", count=count, name=name)
    if count != int(count):
        return "", 0, "gpu_count", say("skypilot.share", count=count, name=name)
    gpu = next(
        (
            row["gpu"]
            for row in names
            if row["accelerator"] == name
            and row["cloud"] in ("", cloud)
            and fits(row["instance_pattern"], instance, "import/skypilot_names.csv")
        ),
        "",
    )
    if not gpu or gpu not in catalog.accelerators:
        return "", 0, "accelerator_known", say("skypilot.unknown", name=name, cloud=cloud)
    complaint = _memory_complaint(info, gpu, int(count), catalog)
    return gpu, int(count), "memory" if complaint else "", complaint


def _memory_complaint(info: str, gpu: str, count: int, catalog: Catalog) -> str:
    """Memory per card in MiB must be the accelerator's: in MiB, in GB (RunPod writes 80), as a total, or absent (0)."""
    found = _MEMORY.search(info)
    size = float(found[1]) if found else 0.0
    if size == 0:
        return ""
    want = catalog.accelerators[gpu].memory_gib * 1024
    if any(0.9 <= guess / want <= 1.1 for guess in (size, size * 1024, size / count)):
        return ""
    return say("skypilot.memory", size=size, gpu=gpu, known=want)


def _by_region(good: pd.DataFrame, nodes: Mapping[tuple[str, str], str], as_of: date) -> pd.DataFrame:
    """One row a region and pricing: least and most over its zones, without zones that have no spot market."""
    import pandas as pd

    good = good.assign(instance=good["InstanceType"], region=good["Region"].where(good["Region"] != "", "all"))
    ratio = good["SpotPrice"] / good["Price"]
    repeats, tenth = (ratio - 1).abs() <= _SAME, (ratio / 0.1 - 1).abs() <= _SAME
    # A zone without a market says nothing of spot; if no zone has one, the row stays for the check to name it.
    drop = (repeats | tenth) & good["SpotPrice"].notna()
    key = ["cloud", "instance", "region"]
    some = (~drop & good["SpotPrice"].notna()).groupby([good[name] for name in key]).transform("any")
    spot = good.assign(usd=good["SpotPrice"].where(~(drop & some)), pricing="spot")
    listed = good.assign(usd=good["Price"], pricing="on_demand")
    # Some machines are sold as spot alone; a row without any price stays for the check to name it.
    listed = listed[good["Price"].notna() | good["SpotPrice"].isna()]
    both = pd.concat([listed, spot[spot["usd"].notna()]], ignore_index=True)
    grouped = both.groupby([*key, "gpu", "gpus", "pricing"], sort=False, dropna=False)
    table = grouped.agg(
        usd_per_machine_hour_low=("usd", "min"),
        usd_per_machine_hour_high=("usd", "max"),
        flags=("extra_flags", "first"),
        file=("file", "first"),
        line=("line", "first"),
    ).reset_index()
    return table.assign(
        node=[nodes.get(pair, "") for pair in zip(table["cloud"].tolist(), table["instance"].tolist(), strict=True)],
        currency="USD",
        source="skypilot",
        quality="A",
        note="",
        **dated(as_of),
    )
