"""Finding events in the log, following it, and the story of one event."""
