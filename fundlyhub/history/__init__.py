"""History: the events of the log by what is asked, new ones as they come, and the story of one event."""
