"""People's data: where it is, what is held about a person, and its erasure."""
