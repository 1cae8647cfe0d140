"""The processors: writes, projections and notifications. Importing this package registers them all."""

from fundlyhub.processors import notifications, projections, writes

__all__ = ["notifications", "projections", "writes"]
