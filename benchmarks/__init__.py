"""Benchmarks: ratios within one run, on servers of their own; every run ends with a check of the totals."""
