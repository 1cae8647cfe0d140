"""Dead letters: events that a processor gave up on, kept with their error until a person decides.

Workers ``record`` and ``resolve`` them; operators ``find``, ``show``, ``correct``, ``replay``, ``discard``, ``restore``
and move them. The functions of operators take a connection to the Events DB and work in its transaction; ``replay`` and
``import_lines`` make their own. Who does something is always named, and kept in the audit.
"""

from fundlyhub.database.audited import UNKNOWN as UNKNOWN
from fundlyhub.database.audited import Changes as Changes
from fundlyhub.processing.dead_letters.canary import End as End
from fundlyhub.processing.dead_letters.canary import Terms as Terms
from fundlyhub.processing.dead_letters.correcting import Corrected as Corrected
from fundlyhub.processing.dead_letters.correcting import Draft as Draft
from fundlyhub.processing.dead_letters.correcting import correct as correct
from fundlyhub.processing.dead_letters.correcting import draft as draft
from fundlyhub.processing.dead_letters.correcting import neighbours as neighbours
from fundlyhub.processing.dead_letters.correcting import patched as patched
from fundlyhub.processing.dead_letters.correcting import undo as undo
from fundlyhub.processing.dead_letters.deciding import discard as discard
from fundlyhub.processing.dead_letters.deciding import restore as restore
from fundlyhub.processing.dead_letters.faults import describe as describe
from fundlyhub.processing.dead_letters.faults import error_class as error_class
from fundlyhub.processing.dead_letters.faults import fingerprint as fingerprint
from fundlyhub.processing.dead_letters.faults import reason as reason
from fundlyhub.processing.dead_letters.finding import Filter as Filter
from fundlyhub.processing.dead_letters.finding import Group as Group
from fundlyhub.processing.dead_letters.finding import count as count
from fundlyhub.processing.dead_letters.finding import find as find
from fundlyhub.processing.dead_letters.finding import groups as groups
from fundlyhub.processing.dead_letters.finding import ids as ids
from fundlyhub.processing.dead_letters.finding import in_full as in_full
from fundlyhub.processing.dead_letters.finding import things as things
from fundlyhub.processing.dead_letters.grouping import Faults as Faults
from fundlyhub.processing.dead_letters.grouping import count_faults as count_faults
from fundlyhub.processing.dead_letters.harm import Harm as Harm
from fundlyhub.processing.dead_letters.harm import harm_of as harm_of
from fundlyhub.processing.dead_letters.model import AUDIT as AUDIT
from fundlyhub.processing.dead_letters.model import WORKER as WORKER
from fundlyhub.processing.dead_letters.model import Action as Action
from fundlyhub.processing.dead_letters.model import Letter as Letter
from fundlyhub.processing.dead_letters.model import State as State
from fundlyhub.processing.dead_letters.moving import ImportReport as ImportReport
from fundlyhub.processing.dead_letters.moving import export_lines as export_lines
from fundlyhub.processing.dead_letters.moving import import_lines as import_lines
from fundlyhub.processing.dead_letters.recording import Correction as Correction
from fundlyhub.processing.dead_letters.recording import DeadLetter as DeadLetter
from fundlyhub.processing.dead_letters.recording import Known as Known
from fundlyhub.processing.dead_letters.recording import corrections as corrections
from fundlyhub.processing.dead_letters.recording import forget_waits as forget_waits
from fundlyhub.processing.dead_letters.recording import known as known
from fundlyhub.processing.dead_letters.recording import record as record
from fundlyhub.processing.dead_letters.recording import resolve as resolve
from fundlyhub.processing.dead_letters.replaying import Replayed as Replayed
from fundlyhub.processing.dead_letters.replaying import choose as choose
from fundlyhub.processing.dead_letters.replaying import choose_open as choose_open
from fundlyhub.processing.dead_letters.replaying import replay as replay
from fundlyhub.processing.dead_letters.showing import Shown as Shown
from fundlyhub.processing.dead_letters.showing import show as show
