"""What a network is, from the name that a cloud prints for it."""

from __future__ import annotations

FABRICS = ("infiniband", "roce", "efa", "tcpx", "ethernet", "unknown")

# First match wins: "Ethernet (on-demand); IB only in clusters" is what one gets on demand, "ENA/EFA" has EFA.
_MARKS = (
    ("tcpx", "tcpx"),
    ("ethernet (", "ethernet"),
    ("efa", "efa"),
    ("ib ", "infiniband"),
    ("ib/", "infiniband"),
    ("infiniband", "infiniband"),
    ("roce", "roce"),
    ("spectrum-x", "roce"),
    ("slingshot", "roce"),  # Ethernet with remote memory access in its ports
    ("ethernet", "ethernet"),
    ("ena", "ethernet"),
    ("gvnic", "ethernet"),
    ("dcn", "ethernet"),
)


def fabric_of(network: str) -> str:
    """The class of a network by its printed name: one of FABRICS, "unknown" where the name says nothing."""
    name = network.lower() + " "
    for mark, fabric in _MARKS:
        if mark in name:
            return fabric
    return "unknown"
