"""The reference read model: names of users, campaigns and organizations, and whether they are public."""

from fundlyhub.processors.writes.references.processor import ReferenceWriteProcessor

__all__ = ["ReferenceWriteProcessor"]
