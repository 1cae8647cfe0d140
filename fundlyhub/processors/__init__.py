"""What we do: each processor registers when its module is imported, and all are imported here."""

from fundlyhub.processors import notifications, projections, writes

__all__ = ["notifications", "projections", "writes"]
