"""Calls to outside services: providers of mail, push and SMS, and Elasticsearch, each behind a circuit breaker."""
