"""The whole system on generated traffic: publish in business transactions, wait, and check every number."""
