"""The tests of this package use what `fundlyhub` and `fundlyhub.testing` offer to anybody."""

pytest_plugins = ["fundlyhub.testing.plugin"]
