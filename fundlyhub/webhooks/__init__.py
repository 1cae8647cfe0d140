"""Requests from outside: delivery reports of providers, and the unsubscribe page."""
