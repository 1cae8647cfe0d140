"""What several tests need: servers of our own, and nothing that stands in for the code under test."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The checkout."""
