"""What our HTTP services share: bounded connections, bodies and callers, headers on every answer, and serving."""
