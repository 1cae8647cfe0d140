"""Archiving: the oldest events go into a file and come back, and no id is published again."""
