"""The three databases: connections, metadata for the tables of other packages, and migrations."""

from fundlyhub.database.engines import connect as connect
from fundlyhub.database.engines import dispose_engines as dispose_engines
from fundlyhub.database.engines import get_engine as get_engine
from fundlyhub.database.engines import renew_after_fork as renew_after_fork
from fundlyhub.database.faults import SETUP_FAULTS as SETUP_FAULTS
from fundlyhub.database.faults import is_concurrency_fault as is_concurrency_fault
from fundlyhub.database.faults import is_outage as is_outage
from fundlyhub.database.faults import is_setup_fault as is_setup_fault
from fundlyhub.database.faults import sqlstate as sqlstate
from fundlyhub.database.metadata import analytics_metadata as analytics_metadata
from fundlyhub.database.metadata import app_metadata as app_metadata
