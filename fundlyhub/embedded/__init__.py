"""The whole platform on one machine: PostgreSQL and Valkey from wheels, and a supervisor of all processes."""
