"""From the log to the queues: the relay, its cursor, and the sweep that heals what a broker lost."""
