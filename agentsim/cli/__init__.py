"""The command line: every command parses, calls one library function, and prints."""

# Imported for what they add to the application, in the order in which help lists them.
from agentsim.cli import runs, exposure, reports, serve, policy, account, admin  # noqa: I001
from agentsim.cli import bench, bench_core, bench_scale
from agentsim.cli.app import app, main

__all__ = [
    "account",
    "admin",
    "app",
    "bench",
    "bench_core",
    "bench_scale",
    "exposure",
    "main",
    "policy",
    "reports",
    "runs",
    "serve",
]
