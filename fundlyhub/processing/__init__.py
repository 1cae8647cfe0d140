"""How any processor runs: what those who write processors need of it."""

from fundlyhub.processing.processor import ProjectionProcessor, WriteProcessor

__all__ = ["ProjectionProcessor", "WriteProcessor"]
