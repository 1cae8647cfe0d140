"""Delivery reports of providers: stored at once, and applied to messages and addresses later."""
