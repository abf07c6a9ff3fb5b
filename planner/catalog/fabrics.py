"""What a network is, from the name that a cloud or a table of runs prints for it."""

from __future__ import annotations

import re

FABRICS = ("infiniband", "roce", "efa", "tcpx", "omni-path", "slingshot", "ethernet", "unknown")

# First match wins: "Ethernet (on-demand); IB only in clusters" is what one gets on demand, "ENA/EFA" has EFA.
_MARKS = tuple(
    (re.compile(mark), fabric)
    for mark, fabric in (
        (r"tcpx", "tcpx"),
        (r"ethernet \(", "ethernet"),
        (r"\befa\b|elastic fabric adapter", "efa"),
        (r"\bib\b|infiniband|\b[ehnx]dr(?:\d{3})?\b", "infiniband"),
        (r"\broce(?:[ -]?v?\d)?\b|spectrum-x", "roce"),
        (r"omni-?\s?path|\bopa\b", "omni-path"),
        (r"slingshot", "slingshot"),
        (
            r"ethernet|\d\s?g(?:b|ig)?e\b|\bena\b|gvnic|\bdcn\b|data[- ]?cent(?:er|re) network|\btcp\b|\bvpc\b",
            "ethernet",
        ),
    )
)
#: Names of networks as they stand between a number of links and the rate of one: "4x Omni-Path 100 Gb/s".
BETWEEN = (
    r"(?:ib|infiniband|[ehnx]dr(?:\d{3})?|roce(?:[ -]?v?\d)?|efa|ethernet|tcp|rdma|opa|omni-?\s?path"
    r"|slingshot(?:[ -]?1[01])?|connectx(?:-\d)?|links?|ports?|nics?|rails?|lanes?|hcas?)"
)
_NEUTRAL = frozenset(
    """a across aggregate an and at bandwidth between bidirectional bit bits bluefield byte bytes card cards
    center centre chip chips cloud connectx cx data direction domain dual each every fabric fat for full g gb
    gbit gbits gbps gbyte gbytes gen gpu gpudirect gpus hca hcas host hosts ici in infinity inside inter
    interconnect internode intra intranode lane lanes link links machine mb mbit mbps mbyte mellanox mesh multi
    network networking nic nics no node nodes none not nvidia nvl nvlink nvswitch of on one only optimized over
    p pci pcie per port ports quad rail rails rdma s server servers sharp single slice slices stated switch tb
    tbit tbps tbyte the to torus total tree two unidirectional v via with within without x xgmi""".split()
)  # fmt: skip


def fabric_of(network: str) -> str:
    """The class of a network by its printed name: one of FABRICS, "unknown" where the name says nothing."""
    name = network.lower()
    return next((fabric for mark, fabric in _MARKS if mark.search(name)), "unknown")


def names_no_network(network: str) -> bool:
    """Whether a text has words of which none is a network's, a link's inside a node, or of those that go with them.

    "carrier pigeon" has, "8 x 400 Gb/s per node" and "NVLink (single node)" have not.
    """
    words = re.findall(r"[a-z]+", network.lower())
    return fabric_of(network) == "unknown" and any(word not in _NEUTRAL for word in words)
