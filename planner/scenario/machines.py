"""The sections of a scenario that say which machines may be used, on what terms, and how they fail."""

from __future__ import annotations

import re
from dataclasses import replace

from planner import units
from planner.catalog.fabrics import FABRICS
from planner.catalog.ownership import KEYS as OWNERSHIP_KEYS
from planner.reading import quantities
from planner.scenario.fields import (
    CLOUD,
    DAY,
    GPU,
    GPUS,
    RATE,
    REGION,
    SHARE,
    SHARE_ABOVE_0,
    SIZE,
    Flag,
    Quantity,
    Text,
    Word,
    duration,
    money,
    real,
    whole,
)
from planner.scenario.tables import AnyOr, Key, KeyedMap, Many, Shape
from planner.spec.scenario import MOST_GPUS
from planner.units import PlannerError
from planner.words import say

PRICING = ("on_demand", "spot", "reserved", "block")


def _ownership_key(name: str, meaning: str) -> Key:
    if name == "utilisation":
        return Key(name, SHARE_ABOVE_0, meaning, examples=(0.7,))
    return Key(name, SHARE if "fraction" in name else real(above=0) if "years" in name else real(least=0), meaning)


_OWNERSHIP = KeyedMap(
    tuple(_ownership_key(name, meaning) for name, meaning in OWNERSHIP_KEYS.items()), wanted=say("wanted.map")
)
_SITE = KeyedMap(
    (
        Key("power_kw_per_node", real(above=0), "power of a node under load", examples=(6.5,)),
        Key("pue", real(least=1), "power usage effectiveness of the site", examples=(1.3,)),
        Key(
            "country",
            Text(say("wanted.country"), 100),
            "country of the electricity, an ISO 3166 code",
            examples=("DEU",),
        ),
        Key(
            "co2_g_per_kwh",
            real(least=0),
            "carbon intensity; wins over the country's",
            examples=(50,),
        ),
    ),
    wanted=say("wanted.map"),
)
_WAITING = duration(above=None, least=0)
OWN = KeyedMap(
    (
        Key("name", Text(say("wanted.name"), 100), "what it is called", True, examples=("lab",)),
        Key("gpu", GPU, "accelerator id", True, examples=("a100-sxm4-40gb",)),
        Key("gpus_per_node", whole(1, 1024), "GPUs of one node", True, examples=(8,)),
        Key("nodes", whole(1, 10**6), "nodes there are", True, examples=(12,)),
        Key("network", RATE, "a node's network, one direction; unknown: one node only", examples=("1600 Gbit/s",)),
        Key("fabric", Word(FABRICS), "kind of network", examples=("infiniband",)),
        Key("usd_per_gpu_hour", money(), "what an hour of one GPU costs you", examples=(1.10,)),
        Key("ownership", _OWNERSHIP, "total cost of ownership, instead of a price"),
        Key("waiting", _WAITING, "until it is free; counts against the deadline; default: 0", examples=("3 days",)),
        Key("site", _SITE, "what energy and CO2 are counted with; power and PUE enter the cost of ownership too"),
    ),
    at_most_one=(("usd_per_gpu_hour", "ownership"),),
    wanted=say("wanted.cluster"),
)
_DISCOUNT = Shape(
    say("wanted.discount"),
    SHARE,
    None,
    KeyedMap(
        (
            Key("min", SHARE, "least share that comes off", True, examples=(0.30,)),
            Key("max", SHARE, "largest share that comes off", True, examples=(0.40,)),
        ),
        wanted=say("wanted.shares"),
    ),
)
_PRICE = KeyedMap(
    (
        Key("pricing", Word(PRICING), "kind of price", True, examples=("reserved",)),
        Key("usd_per_gpu_hour", money(), "the price you were quoted", examples=(2.10,)),
        Key("discount", _DISCOUNT, "instead of a price: what comes off the catalog's on-demand price"),
        Key("cloud", CLOUD, "cloud it holds for", examples=("aws",)),
        Key("instance", Text(), "instance type it holds for", examples=("p5.48xlarge",)),
        Key("region", REGION, "region it holds for", examples=("us-east-1",)),
        Key("gpu", GPU, "accelerator it holds for", examples=("h100-sxm5-80gb",)),
        Key("term", duration(), "of reserved and block: paid whole, used or not", examples=("365 days",)),
        Key("increment", duration(), "time is bought in whole ones; default: the term", examples=("1 day",)),
        Key("upfront", SHARE, "share of the term that is paid before it begins; default: 0", examples=(1.0,)),
        Key("then", Word(("on_demand",)), "how time beyond the term is paid; default: in increments"),
        Key("block", duration(), "a term that is also the increment, in one key", examples=("365 days",)),
        Key("waiting", _WAITING, "until the machines are there; counts against the deadline", examples=("2 weeks",)),
    ),
    one_of=("usd_per_gpu_hour", "discount"),
    wanted=say("wanted.price"),
)
_QUOTA = KeyedMap(
    (
        Key("gpus", whole(0, 10**9), "GPUs one may have", True, examples=(256,)),
        Key("cloud", CLOUD, "cloud it holds for", examples=("aws",)),
        Key("region", REGION, "region it holds for", examples=("us-east-1",)),
        Key("gpu", GPU, "accelerator it holds for", examples=("h100-sxm5-80gb",)),
        Key("from", DAY, "of a programme: the first day on which it holds", examples=("2027-03-01",)),
        Key("until", DAY, "of a programme: the day by whose beginning it has ended", examples=("2027-05-01",)),
    ),
    wanted=say("wanted.quota"),
)


CLUSTER = KeyedMap(
    (
        Key(
            "gpus",
            AnyOr(GPUS, say("wanted.ids_or_chips")),
            "accelerator ids",
            default="any",
            examples=("any", ["h100-sxm5-80gb"]),
        ),
        Key(
            "clouds",
            AnyOr(CLOUD, say("wanted.names")),
            "clouds",
            default="any",
            examples=("any", ["aws"]),
        ),
        Key("regions", AnyOr(REGION, say("wanted.names")), "regions", default="any", examples=("any", ["us-east-1"])),
        Key(
            "pricing",
            Many(Word(PRICING), say("wanted.list"), single=True),
            "kinds of price",
            default="on_demand",
            examples=(["on_demand", "spot"],),
        ),
        Key(
            "quality",
            Many(Word(("A", "B", "C")), say("wanted.list"), single=True),
            "quality of the price's source: A vendor feed, B secondary, C hand-curated or undated",
            default=("A", "B"),
        ),
        Key("max_gpus", whole(1, MOST_GPUS), "most GPUs of a plan", default="1024"),
        Key("power_limit_w", real(above=0, most=1e5), "power limit of one accelerator, in watts", examples=(400,)),
        Key(
            "site",
            Text(say("wanted.name"), 100),
            "whose cluster it is, as measured rows name it; otherwise `own`, where your own rows were measured",
            examples=("lab",),
        ),
        Key(
            "assume_network",
            RATE,
            "network of offers whose fabric is unknown",
            examples=("3200 Gbit/s", "400 Gbit/s/gpu"),
        ),
        Key("own", Many(OWN, say("wanted.clusters")), "machines of one's own"),
        Key("own_only", Flag(), "true: no cloud offers, only own clusters"),
        Key("quotas", Many(_QUOTA, say("wanted.quotas")), "GPUs one may have, by cloud, region and accelerator"),
        Key("prices", Many(_PRICE, say("wanted.prices")), "prices you were quoted; they win over the catalog's"),
    ),
    wanted=say("wanted.map"),
)
STORAGE = KeyedMap(
    (
        Key("size", SIZE, "what is kept in object storage while the run lasts", True, examples=("50 TB",)),
        Key("usd_per_gb_month", real(least=0, most=1e3), "price of 10^9 bytes for 30 days", True, examples=(0.023,)),
    ),
    wanted=say("wanted.map"),
)
EGRESS = KeyedMap(
    (
        Key("size", SIZE, "what leaves the cloud, once", True, examples=("10 TB",)),
        Key("usd_per_gb", real(least=0, most=1e3), "price of 10^9 bytes", True, examples=(0.09,)),
    ),
    wanted=say("wanted.map"),
)
TERMS = KeyedMap(
    (
        Key("billing_step", duration(), "time is paid in whole steps of this", examples=("1 h",)),
        Key("minimum_time", duration(), "at least this much time is paid", examples=("7 days",)),
        Key("minimum_gpus", whole(), "no order is smaller", examples=(16,)),
    ),
    wanted=say("wanted.map"),
)
_WRITE_RATE = Quantity(RATE.parse, say("wanted.write_rate"), RATE.pattern)
_PER_1000 = real(least=0, most=1e6)
_FACTOR = real(least=1, most=10)
_OVERHEAD_WANTED = say("wanted.overhead_factor")


def _overhead(text: str) -> float:
    """The factor that a text states; a share of time lost is answered with the factor that it may mean."""
    share = re.fullmatch(r"(\d{1,2}(?:\.\d{1,4})?) ?%", text.strip())
    if share:
        meant = units.format_number(round(1.0 + float(share[1]) / 100.0, 6))
        raise PlannerError(say("machines.share", text=text, meant=meant, share=share[0]))
    return 1.0 if text == "none" else quantities.parse_number(text, _OVERHEAD_WANTED)


_OVERHEAD = Shape(
    say("wanted.overhead"),
    replace(
        _FACTOR,
        parse=_overhead,
        wanted=_OVERHEAD_WANTED,
        pattern=f"(none|{_FACTOR.pattern})",
        show=lambda limit: say("fields.factor", x=limit),
    ),
    Many(
        KeyedMap(
            (
                Key("allocated", real(above=0, most=1e15), "GPU-hours that were paid for", True, examples=(12000,)),
                Key("productive", real(above=0, most=1e15), "GPU-hours of steps kept", True, examples=(10600,)),
                Key("failures", real(least=0, most=1e15), "GPU-hours of failures and checkpoints", examples=(400,)),
            ),
            wanted=say("wanted.run"),
        ),
        say("wanted.runs"),
    ),
    KeyedMap(
        (
            Key("low", _FACTOR, "the factor that one run in ten stays below", True, examples=(1.02,)),
            Key("high", _FACTOR, "the factor that nine runs in ten stay below", True, examples=(1.2,)),
        ),
        wanted=say("wanted.range"),
    ),
)
RISK = KeyedMap(
    (
        Key(
            "interruptions_per_1000_node_days",
            _PER_1000,
            "interruptions of nodes of eight GPUs; 0: none",
            examples=(3.8,),
        ),
        Key("detection", duration(above=None, least=0), "until an interruption is noticed", examples=("5 min",)),
        Key(
            "restart",
            duration(above=None, least=0),
            "until training goes on from the last checkpoint",
            examples=("20 min",),
        ),
        Key("spare_nodes", whole(0, 10**6), "nodes standing by, paid; default: none", examples=(2,)),
        Key(
            "replacement",
            duration(above=None, least=0),
            "until a failed node is replaced, where none stands by; default: 30 min",
            examples=("2 h",),
        ),
        Key(
            "checkpoint_interval",
            duration(),
            "work between checkpoints; default: the optimal one, 4 h at most",
            examples=("1 h",),
        ),
        Key("asynchronous_checkpoints", Flag(), "true: training goes on while a checkpoint is written"),
        Key("storage", _WRITE_RATE, "write rate of the whole cluster's storage", examples=("20 GByte/s",)),
        Key("spot_preemptions_per_1000_node_days", _PER_1000, "preemptions of spot nodes", examples=(50,)),
        Key("spot_refill", duration(above=None, least=0), "until a preempted node is back", examples=("30 min",)),
        Key(
            "overhead",
            _OVERHEAD,
            "what is paid beside training, failures and checkpoints (evaluation, rollbacks, idle nodes), as a factor on"
            " time: `none`, a number, its range, or runs of your own that tell; default: as published runs had it",
            examples=({"low": 1.02, "high": 1.2},),
        ),
    ),
    wanted=say("wanted.map"),
)
