"""What several tests need: servers of our own, and nothing that stands in for the code under test."""
