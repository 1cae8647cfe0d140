"""Digests: messages beyond the hourly limit, gathered and sent as one."""
