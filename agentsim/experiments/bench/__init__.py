"""Benchmarks: our own figures beside a bare floor, measured in the same run and told as a ratio."""

from agentsim.experiments.bench.budgets import BudgetsResult, bench_budgets
from agentsim.experiments.bench.cascade import Cascade, bench_cascade
from agentsim.experiments.bench.cleanup import Cleanup, bench_cleanup
from agentsim.experiments.bench.core import CoreFigures, CoreResult, bench_core
from agentsim.experiments.bench.errors import BenchError
from agentsim.experiments.bench.figures import Figures, Spread
from agentsim.experiments.bench.http import HttpResult, bench_http
from agentsim.experiments.bench.isolation import IsolationResult, bench_isolation
from agentsim.experiments.bench.scale import ScaleResult, bench_scale
from agentsim.experiments.bench.stored import Stored

__all__ = [
    "BenchError",
    "BudgetsResult",
    "Cascade",
    "Cleanup",
    "CoreFigures",
    "CoreResult",
    "Figures",
    "HttpResult",
    "IsolationResult",
    "ScaleResult",
    "Spread",
    "Stored",
    "bench_budgets",
    "bench_cascade",
    "bench_cleanup",
    "bench_core",
    "bench_http",
    "bench_isolation",
    "bench_scale",
]
