"""PostgreSQL and Valkey from wheels, and a supervisor: the whole platform on one machine with nothing installed."""
