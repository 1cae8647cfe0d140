"""The lookup of events by aggregate, correlation and causation: a processor of its own, which may be left out.

The default of `FUNDLYHUB_PROCESSORS` names this module; importing it registers the processor.
"""

from fundlyhub.processors.event_lookup.processor import EventLookupProcessor

__all__ = ["EventLookupProcessor"]
