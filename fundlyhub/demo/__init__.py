"""The main job on made-up traffic: publish in business transactions, wait, and check every number."""
