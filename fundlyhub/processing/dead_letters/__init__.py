"""Dead letters: events that a processor gave up on, kept with their error until a person decides.

Workers ``record`` and ``resolve`` them; operators ``find``, ``show``, ``correct``, ``replay``, ``discard``, ``restore``
and move them. The functions of operators take a connection to the Events DB and work in its transaction; ``replay`` and
``import_lines`` make their own. Who does something is always named, and kept in the audit.
"""

from fundlyhub.database.audited import UNKNOWN, Changes
from fundlyhub.processing.dead_letters.canary import End, Terms
from fundlyhub.processing.dead_letters.correcting import Corrected, Draft, correct, draft, neighbours, patched, undo
from fundlyhub.processing.dead_letters.deciding import discard, restore
from fundlyhub.processing.dead_letters.faults import describe, error_class, fingerprint, reason
from fundlyhub.processing.dead_letters.finding import Filter, Group, count, find, groups, ids, in_full, things
from fundlyhub.processing.dead_letters.grouping import Faults, count_faults
from fundlyhub.processing.dead_letters.harm import Harm, harm_of
from fundlyhub.processing.dead_letters.model import AUDIT, WORKER, Action, Letter, State
from fundlyhub.processing.dead_letters.moving import ImportReport, export_lines, import_lines
from fundlyhub.processing.dead_letters.recording import (
    Correction,
    DeadLetter,
    Known,
    corrections,
    forget_waits,
    known,
    record,
    resolve,
)
from fundlyhub.processing.dead_letters.replaying import Replayed, choose, choose_open, replay
from fundlyhub.processing.dead_letters.showing import Shown, show

__all__ = [
    "AUDIT",
    "UNKNOWN",
    "WORKER",
    "Action",
    "Changes",
    "Corrected",
    "Correction",
    "DeadLetter",
    "Draft",
    "End",
    "Faults",
    "Filter",
    "Group",
    "Harm",
    "ImportReport",
    "Known",
    "Letter",
    "Replayed",
    "Shown",
    "State",
    "Terms",
    "choose",
    "choose_open",
    "correct",
    "corrections",
    "count",
    "count_faults",
    "describe",
    "discard",
    "draft",
    "error_class",
    "export_lines",
    "find",
    "fingerprint",
    "forget_waits",
    "groups",
    "harm_of",
    "ids",
    "import_lines",
    "in_full",
    "known",
    "neighbours",
    "patched",
    "reason",
    "record",
    "replay",
    "resolve",
    "restore",
    "show",
    "things",
    "undo",
]
