"""Celery's settings for ``celery -A fundlyhub``; they live in the package."""

from fundlyhub.processing.celery_settings import *  # noqa: F403  # this file is nothing but a re-export
