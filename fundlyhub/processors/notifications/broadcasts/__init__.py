"""Broadcasts: one message of one event to many recipients, slice by slice."""
