"""The event catalogue: one payload class per event type and version, in one module per domain, and their index."""

from typing import TYPE_CHECKING

from fundlyhub.events.catalogue.index import ALIASES as ALIASES
from fundlyhub.events.catalogue.index import CURRENT as CURRENT
from fundlyhub.events.catalogue.index import DOMAINS as DOMAINS
from fundlyhub.events.catalogue.index import PAYLOADS as PAYLOADS
from fundlyhub.events.catalogue.index import SECRET_KEYS as SECRET_KEYS
from fundlyhub.events.catalogue.index import VERSIONS as VERSIONS
from fundlyhub.events.catalogue.index import build as build
from fundlyhub.events.catalogue.index import canonical_type as canonical_type
from fundlyhub.events.catalogue.index import canonical_version as canonical_version
from fundlyhub.events.catalogue.index import payload_class as payload_class
from fundlyhub.events.catalogue.index import version_triple as version_triple

# Every payload class can be imported from here, and none is listed.
if TYPE_CHECKING:  # what type checkers and editors see
    from fundlyhub.events.catalogue.admin import *  # noqa: F403
    from fundlyhub.events.catalogue.campaign import *  # noqa: F403
    from fundlyhub.events.catalogue.donation import *  # noqa: F403
    from fundlyhub.events.catalogue.organization import *  # noqa: F403
    from fundlyhub.events.catalogue.payout import *  # noqa: F403
    from fundlyhub.events.catalogue.project import *  # noqa: F403
    from fundlyhub.events.catalogue.search import *  # noqa: F403
    from fundlyhub.events.catalogue.storage import *  # noqa: F403
    from fundlyhub.events.catalogue.user import *  # noqa: F403
else:  # the classes alone, without what their modules import
    globals().update({payload.__name__: payload for payload in PAYLOADS.values()})
