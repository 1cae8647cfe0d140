"""Reconciliation: the log against claims, tables and messages; what is missing, double, stuck or forged is named."""

from fundlyhub.verification.findings import Finding, Findings, Report, Tell
from fundlyhub.verification.run import verify

__all__ = ["Finding", "Findings", "Report", "Tell", "verify"]
