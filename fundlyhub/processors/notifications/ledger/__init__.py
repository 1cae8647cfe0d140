"""The ledger of messages: one row per message, with its business key, its state, and a lease while it is sent."""
