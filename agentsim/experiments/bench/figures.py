"""What a measurement counted, and what is told of several."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt
import orjson


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What the load generator counted in one measurement.

    Attributes
    ----------
    seconds : how long it counted, the warm-up left out.
    grants : grants that were answered in that time.
    latencies : nanoseconds from sending a request to its whole answer, of the answers in that time.
    answered : grants answered altogether, in the warm-up and after the end, too: as many must have been stored.
    faults : how often something went wrong, by what it was.
    evidence : words of the first of them.
    kept : bodies of a few answers.
    """

    seconds: float
    grants: int
    latencies: npt.NDArray[np.int64]
    answered: int
    faults: dict[str, int]
    evidence: str
    kept: list[bytes]

    @property
    def rate(self) -> float:
        """Grants per second."""
        return self.grants / self.seconds

    def tokens(self) -> Iterator[str]:
        """The access tokens in the answers that were kept, of either form."""
        for body in self.kept:
            answer = orjson.loads(body)
            yield from (grant["access_token"] for grant in answer.get("responses", [answer]))


@dataclass(frozen=True)
class Spread:
    """A figure over several rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What is told of several rounds. Latencies are of all rounds together, in milliseconds.

    ``ratio`` compares each round's rate with the floor's in the same round.
    """

    grants: int
    grants_per_second: Spread
    p50_ms: float
    p99_ms: float
    most_ms: float
    ratio: Spread


def summarise(samples: Sequence[Sample], floors: Sequence[Sample]) -> Figures:
    """The figures of rounds and of the floor's measurements in the same rounds, in the same order."""
    latencies = np.concatenate([sample.latencies for sample in samples])
    p50, p99, most = (float(value) for value in np.percentile(latencies, [50, 99, 100]) / 1e6)
    ratios = [sample.rate / floor.rate for sample, floor in zip(samples, floors, strict=True)]
    return Figures(
        grants=sum(sample.grants for sample in samples),
        grants_per_second=Spread.of([sample.rate for sample in samples]),
        p50_ms=p50,
        p99_ms=p99,
        most_ms=most,
        ratio=Spread.of(ratios),
    )
