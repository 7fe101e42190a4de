"""What an operation and a batch cost in a play, told apart by windows that have more or less of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import nnls

#: Rows of ``windows`` that are no operations.
SHARED = ("load", "write", "fill", "drive")
#: What a batch costs whatever is in it.
BATCH = "batch"


def priced(windows: pd.DataFrame) -> tuple[dict[str, int], dict[str, float]]:
    """Count what was done, and split the wall time into prices.

    The time of a window is the sum of its operations at their prices and of its batches at theirs: fitted by least squares
    over all windows, no price below 0, and the prices of all that was done make up the whole time. Two plays whose
    batches are not equally full can so be compared: at the prices of the one and with the work of the other.

    Parameters
    ----------
    windows : rows of a Run's table with ``tenant``, ``window``, ``operation``, ``count`` and ``wall_us``.

    Returns
    -------
    By operation and :data:`BATCH`: how many there were, and microseconds of each.
    """
    window = ["tenant", "window"]
    of_operations = windows[~windows["operation"].isin(SHARED)]
    counts = of_operations.pivot_table("count", window, "operation", aggfunc="sum", fill_value=0)
    # Times scatter as the square root of what is done in them.
    weight = 1 / np.sqrt(counts.sum(axis=1).to_numpy(float))
    batches = windows[windows["operation"] == "load"].groupby(window)["count"].sum()
    counts[BATCH] = batches.reindex(counts.index, fill_value=0)
    us = windows.groupby(window)["wall_us"].sum().reindex(counts.index).to_numpy(float)
    causes = counts.to_numpy(float)
    prices, _ = nnls(causes * weight[:, None], us * weight)
    prices *= us.sum() / (causes @ prices).sum()
    names = [str(name) for name in counts.columns]
    return (
        dict(zip(names, counts.sum().astype(int).tolist(), strict=True)),
        dict(zip(names, prices.tolist(), strict=True)),
    )
