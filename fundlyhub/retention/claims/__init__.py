"""Partitions of the claims: made ahead of need, and dropped once no event below them can run again."""
