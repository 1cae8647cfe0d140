"""The commands of `fundlyhub`, each with its line in the help."""

from __future__ import annotations

COMMANDS = {
    "audit": "List who was shown payloads, or exported them.",
    "breakers": "Show the circuit breakers of outside services; open and close them.",
    "claims": "Show the partitions of the claims, and what keeps them; drop old ones.",
    "console": "Serve the operators' console in a browser; its users.",
    "demo": "Run the whole system on generated events, and verify every number.",
    "dlq": "Inspect, correct, replay, discard, restore and move dead letters.",
    "events": "Find events and follow them; publish from files; archive and restore; export schemas and docs.",
    "explain": "Explain a row of a projection: which event changed what, and whether the row is right.",
    "feed": "Show the home feed of a user, or the activities of one user, organization or campaign.",
    "health": "Check servers, relay, processors and queues, for container probes.",
    "ingest": "Read events from Redis Streams into the log.",
    "metrics": "Serve the platform's metrics to Prometheus.",
    "migrate": "Migrate the databases to this version's tables.",
    "notifications": "Show messages to people: previews, the ledger, failed delivery reports.",
    "payments": "Show donations that share a payment; accept and refuse them.",
    "people": "Show where data about people is, and what is held about a person; erase it.",
    "processors": "Show which processors run and which are paused; pause and resume them.",
    "publishers": "Show and limit the types that the role of a service may publish.",
    "rebuild": "Make a processor's tables anew beside the live ones, compare them, and exchange them.",
    "relay": "Move events from the log to the queues.",
    "search": "Find campaigns, users and organizations.",
    "status": "Show the progress of the relay and the processors.",
    "suppressions": "Show and change the addresses that get no messages.",
    "verify": "Compare the log with claims, tables and messages; send what is missing again.",
    "waiting": "Show which events wait, and why.",
    "webhooks": "Receive the delivery reports of providers, and serve the unsubscribe page.",
    "up": "Start the whole platform on this machine, and keep it running.",
}
"""Each command's module below this package, and its line in the help."""
