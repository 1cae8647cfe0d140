"""From the log to the queues: the relay, its cursor, and the sweep, which sends again what a broker lost."""
