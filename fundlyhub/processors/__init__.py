"""What we do: each processor registers when its module is imported, and all are imported here."""

from fundlyhub.processors import projections, writes

__all__ = ["projections", "writes"]
