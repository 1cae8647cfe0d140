"""Rebuilds: a processor's tables made anew from the log beside the live ones, compared, and put in their place.

The processor's own code replays its claims into a schema of the rebuild's own, as `fundlyhub verify` does, and keeps up
with the live claims until the tables are exchanged.
"""

from fundlyhub.rebuilds.comparing import Difference, diff
from fundlyhub.rebuilds.exchanging import Exchanged, swap, undo
from fundlyhub.rebuilds.model import Rebuild, Status, Unapplied
from fundlyhub.rebuilds.starting import cancel, listed, prune, start, status

__all__ = [
    "Difference",
    "Exchanged",
    "Rebuild",
    "Status",
    "Unapplied",
    "cancel",
    "diff",
    "listed",
    "prune",
    "start",
    "status",
    "swap",
    "undo",
]
