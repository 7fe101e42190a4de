"""``agentsim`` as somebody for whom permissions of files count, even where root starts it: this file instead of ``-m agentsim.cli``."""

from __future__ import annotations

import ctypes
import os
import sys

#: From <linux/prctl.h> and <linux/capability.h>: what root writes to in spite of permissions.
_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1

if __name__ == "__main__":
    # Where that is not root's to do, permissions count already. It takes effect with the next program.
    ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)
    os.execv(sys.executable, [sys.executable, "-m", "agentsim.cli", *sys.argv[1:]])  # noqa: S606
