"""The reference read model: names of users, campaigns and organizations, and who of them may be shown."""

from fundlyhub.processors.writes.references.processor import ReferenceWriteProcessor

__all__ = ["ReferenceWriteProcessor"]
