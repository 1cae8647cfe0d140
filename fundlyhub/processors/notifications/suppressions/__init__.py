"""Suppressed addresses, by their keyed hashes: why, since when, and how to lift a suppression."""

from fundlyhub.processors.notifications.suppressions.causes import Cause as Cause
from fundlyhub.processors.notifications.suppressions.causes import Why as Why
from fundlyhub.processors.notifications.suppressions.causes import device_is_gone as device_is_gone
from fundlyhub.processors.notifications.suppressions.causes import suppress as suppress
from fundlyhub.processors.notifications.suppressions.lifting import Lifted as Lifted
from fundlyhub.processors.notifications.suppressions.lifting import lift as lift
from fundlyhub.processors.notifications.suppressions.lifting import skipped_messages as skipped_messages
from fundlyhub.processors.notifications.suppressions.lifting import undo as undo
from fundlyhub.processors.notifications.suppressions.listing import Filter as Filter
from fundlyhub.processors.notifications.suppressions.listing import Suppression as Suppression
from fundlyhub.processors.notifications.suppressions.listing import lifted as lifted
from fundlyhub.processors.notifications.suppressions.listing import suppressions as suppressions
