"""The same work done with other tools: programs of their own, which know nothing of fundlyhub.

Each has the verbs ``setup`` (tables and queues of its tool), ``fill FILE`` (a backlog), ``work`` (until killed) and
``publish FILE RATE SECONDS`` (business row and job together, at a steady rate). ``BENCH_DSN`` and ``BENCH_REDIS``
say where.
"""
