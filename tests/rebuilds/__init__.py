"""Rebuilds of processors' tables."""
