"""Suppressed addresses, by their keyed hashes: why, since when, and how to lift a suppression."""

from fundlyhub.processors.notifications.suppressions.causes import Cause, Why, device_is_gone, suppress
from fundlyhub.processors.notifications.suppressions.lifting import Lifted, lift, skipped_messages, undo
from fundlyhub.processors.notifications.suppressions.listing import Filter, Suppression, lifted, suppressions

__all__ = [
    "Cause",
    "Filter",
    "Lifted",
    "Suppression",
    "Why",
    "device_is_gone",
    "lift",
    "lifted",
    "skipped_messages",
    "suppress",
    "suppressions",
    "undo",
]
