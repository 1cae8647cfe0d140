"""Compares the tables that follow from the events with a replay of the log."""
