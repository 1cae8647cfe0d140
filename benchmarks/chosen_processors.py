"""Loaded by FUNDLYHUB_PROCESSORS: takes all processors off but those of BENCH_ONLY, and says when a worker is ready.

So a row runs the processors that it is about, through the commands that operators use.
"""

from __future__ import annotations

import os
from pathlib import Path

from celery.signals import worker_ready

from fundlyhub.processing import registry

wanted = os.environ.get("BENCH_ONLY", "").split()
for name in list(registry.processors()):
    if wanted and name not in wanted:
        del registry._registry[name]


@worker_ready.connect
def _say_so(**_: object) -> None:
    if file := os.environ.get("BENCH_READY"):
        Path(file).touch()
