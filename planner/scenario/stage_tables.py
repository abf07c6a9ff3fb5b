"""The keys of a programme: stages in order, machines reserved for some days, and what moving between places takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from planner.scenario.fields import DAY, RATE, Flag, Text, Word, real, whole
from planner.scenario.machines import OWN
from planner.scenario.tables import Key, KeyedMap, Many
from planner.words import say

INHERITED = ("checkpoint", "optimizer", "cluster")
NAME = Text(say("wanted.name"), 60, pattern=r"[^=,/\s]([^=,/]*[^=,/\s])?")


def programme_keys(run: Mapping[str, Key], cluster: KeyedMap) -> tuple[Key, Key, Key]:
    """`stages`, `reservations` and `transfer`; `run`: the keys of one run, which a stage has too."""
    stage = KeyedMap(
        (
            Key("name", NAME, "what the stage is called", True, examples=("main",)),
            replace(run["model"], required=False, help="its model; default: the programme's"),
            run["data"],
            run["training"],
            replace(run["layout"], implied=None),
            run["throughput"],
            Key("cluster", cluster, "which machines it may use, where that differs from the programme's `cluster`"),
            Key(
                "after",
                Many(Text(say("wanted.stage_name"), 60), say("wanted.stages_or_none"), single=True),
                "stages that have ended before it begins, or `none`; default: the stage above it",
                examples=("main", ["ablations", "tokenizer"]),
            ),
            Key("copies", whole(1, 1000), "runs of this kind, such as ablations; default: 1", examples=(8,)),
            Key("beside", Flag(), "whether its copies may run side by side; default: true"),
            Key(
                "inherits",
                Many(Word((*INHERITED, "none")), say("wanted.list"), single=True),
                "what it takes over from the first stage that it is after; default: the checkpoint of the same model",
                examples=(["checkpoint", "optimizer"],),
            ),
            Key(
                "may_move",
                Flag(),
                "whether what it inherits may be carried to another cloud or region, by `transfer`; default: false",
            ),
            Key("not_before", DAY, "the first day on which it may begin", examples=("2027-03-01",)),
            Key("deadline", DAY, "the day by whose beginning it must be done", examples=("2027-05-01",)),
        ),
        wanted=say("wanted.stage"),
    )
    reservation = KeyedMap(
        (
            *(key for key in OWN.keys if key.name in ("name", "gpu", "gpus_per_node", "nodes", "network", "fabric")),
            Key("usd_per_gpu_hour", real(least=0, most=1e6), "what an hour of one GPU costs", True, examples=(2.10,)),
            Key("from", DAY, "its first day", True, examples=("2027-03-01",)),
            Key("until", DAY, "the day by whose beginning it has ended", True, examples=("2027-04-01",)),
        ),
        wanted=say("wanted.reservation"),
    )
    transfer = KeyedMap(
        (
            Key("rate", RATE, "how fast checkpoints and data are carried", True, examples=("10 Gbit/s",)),
            Key("usd_per_gb", real(least=0, most=1e3), "price of 10^9 bytes that leave", True, examples=(0.09,)),
        ),
        wanted=say("wanted.map"),
    )
    return (
        Key(
            "stages",
            Many(stage, say("wanted.stages"), most=60),
            "a programme: runs in order within one budget and one calendar, in place of `data` and `training`",
        ),
        Key(
            "reservations",
            Many(reservation, say("wanted.reservations"), most=60),
            "of a programme: machines reserved for some days, paid whole and once if any stage is on them",
        ),
        Key("transfer", transfer, "of a programme: what carrying a checkpoint and data to another place takes"),
    )
