"""The command line: every command parses, calls one library function, and prints."""

# Imported for what they add to the application, in the order in which help lists them.
from agentsim.cli import (  # noqa: I001
    runs,
    fork,
    sweep,
    roles,
    attacks,
    calibrate,
    evaluate,
    exposure,
    features,
    reports,
    serve,
    policy,
    model,
    account,
    admin,
    bench,
    bench_cascade,
    bench_core,
    bench_scale,
)
from agentsim.cli.app import app, main

__all__ = [
    "account",
    "admin",
    "app",
    "attacks",
    "bench",
    "bench_cascade",
    "bench_core",
    "bench_scale",
    "calibrate",
    "evaluate",
    "exposure",
    "features",
    "fork",
    "main",
    "model",
    "policy",
    "reports",
    "roles",
    "runs",
    "serve",
    "sweep",
]
