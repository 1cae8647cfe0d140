"""Collects messages that RabbitMQ gave up on or that a worker refused."""
