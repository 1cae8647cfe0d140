"""The commands of `fundlyhub`, each with its line in the help."""

from __future__ import annotations

COMMANDS = {
    "breakers": "Which outside services are called; open and close their circuit breakers.",
    "claims": "The claims' partitions: which there are, what keeps them, and dropping old ones.",
    "demo": "Bring all up, publish a stream of events, and verify every number.",
    "dlq": "Dead letters: look at them, correct, replay, discard, restore and move them.",
    "events": "Publish events from files; archive old ones and restore them; export schemas and docs.",
    "feed": "Show the home feed of a user, or the activities of one user, organization or campaign.",
    "health": "For probes: whether servers answer, relay and processors keep up, and each queue has a worker.",
    "ingest": "Take what is written to Redis Streams into the log.",
    "metrics": "Serve the numbers of all of it to Prometheus.",
    "migrate": "Bring the databases to this version's tables.",
    "notifications": "What users are told: previews, the ledger, the table of messages.",
    "processors": "Which processors run and which are paused; pause and resume them.",
    "relay": "Move events from the log to the queues.",
    "search": "Find campaigns, users and organizations.",
    "status": "How far the relay and the processors are.",
    "suppressions": "Addresses that are not written to any more.",
    "verify": "Compare the log with claims, tables and messages; send what is missing again.",
    "waiting": "Which events wait, and why.",
    "webhooks": "Take up what providers tell, and serve the unsubscribe page.",
    "up": "Start everything that is not given, and keep it running.",
}
"""Each command's module below this package, and its line in the help."""
