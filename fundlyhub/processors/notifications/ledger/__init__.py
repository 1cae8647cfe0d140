"""The ledger of messages: one row per message, its business key, its state, and who holds it while it is sent."""
