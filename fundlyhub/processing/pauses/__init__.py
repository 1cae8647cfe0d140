"""Paused processors: their events wait, spend no attempt, and are sent when the pause is over.

A person pauses a processor, or a burst of the same failure does: it is a circuit breaker for handlers. The state is one
table of the Events DB, which every worker reads together with the events of a batch.
"""

from fundlyhub.processing.pauses.bursts import Hold as Hold
from fundlyhub.processing.pauses.bursts import notice as notice
from fundlyhub.processing.pauses.history import Entry as Entry
from fundlyhub.processing.pauses.history import history as history
from fundlyhub.processing.pauses.history import registered as registered
from fundlyhub.processing.pauses.rules import Burst as Burst
from fundlyhub.processing.pauses.rules import Kind as Kind
from fundlyhub.processing.pauses.rules import is_burst as is_burst
from fundlyhub.processing.pauses.rules import probe_wait as probe_wait
from fundlyhub.processing.pauses.standing import Standing as Standing
from fundlyhub.processing.pauses.standing import standing as standing
from fundlyhub.processing.pauses.store import IN_FORCE as IN_FORCE
from fundlyhub.processing.pauses.store import Pause as Pause
from fundlyhub.processing.pauses.store import end as end
from fundlyhub.processing.pauses.store import end_by_hand as end_by_hand
from fundlyhub.processing.pauses.store import in_force as in_force
from fundlyhub.processing.pauses.store import pause_by_hand as pause_by_hand
from fundlyhub.processing.pauses.store import paused as paused
from fundlyhub.processing.pauses.store import remove as remove
from fundlyhub.processing.pauses.store import start_probe as start_probe
from fundlyhub.processing.pauses.store import whole_table as whole_table
