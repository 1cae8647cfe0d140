"""Tools for tests of processors, messages and event types, in this repository and in packages of other authors.

They come with the extra "testing". The pytest plug-in is loaded by name only: ``pytest_plugins =
["fundlyhub.testing.plugin"]`` in a conftest.py. docs/testing-outside.md says what each is for.
"""

from fundlyhub.testing.applying import Drained, apply, drain
from fundlyhub.testing.building import build, event
from fundlyhub.testing.convergence import assert_converges
from fundlyhub.testing.platform import Platform
from fundlyhub.testing.waiting import wait_until

__all__ = ["Drained", "Platform", "apply", "assert_converges", "build", "drain", "event", "wait_until"]
