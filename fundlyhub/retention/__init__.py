"""Retention: partitions of claims are made and dropped, and old events move between the log and archives."""
