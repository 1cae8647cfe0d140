"""The beginning of the log in files: archived, restored, and refused while something still needs it."""
