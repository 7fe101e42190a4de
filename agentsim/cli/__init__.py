"""The command line: every command parses, calls one library function, and prints."""

# Imported for what they add to the application, in the order in which help lists them.
from agentsim.cli import runs, attacks, exposure, reports, serve, policy, account, admin, bench  # noqa: I001
from agentsim.cli.app import app, main

__all__ = [
    "account",
    "admin",
    "app",
    "attacks",
    "bench",
    "exposure",
    "main",
    "policy",
    "reports",
    "runs",
    "serve",
]
