"""Rebuilds: a processor's tables made anew from the log beside the live ones, compared, and put in their place.

The processor's own code replays its claims into a schema of the rebuild's own, as `fundlyhub verify` does, and keeps up
with the live claims until the tables are exchanged.
"""

from fundlyhub.rebuilds.aggregate import Swapped, diff_aggregate, swap_aggregate
from fundlyhub.rebuilds.comparing import Difference, diff
from fundlyhub.rebuilds.exchanging import Exchanged, swap, undo
from fundlyhub.rebuilds.model import Rebuild, Status, Unapplied
from fundlyhub.rebuilds.starting import cancel, listed, prune, start, status

__all__ = [
    "Difference",
    "Exchanged",
    "Rebuild",
    "Status",
    "Swapped",
    "Unapplied",
    "cancel",
    "diff",
    "diff_aggregate",
    "listed",
    "prune",
    "start",
    "status",
    "swap",
    "swap_aggregate",
    "undo",
]
