"""Archives: the beginning of the log in files, unless something still needs its events."""
