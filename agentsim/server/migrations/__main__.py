"""Write a new revision, once the models have changed: ``python -m agentsim.server.migrations "what it adds"``."""

import sys

from agentsim.server.migrations import add_revision

if len(sys.argv) != 2:
    sys.exit(__doc__)
sys.stdout.write(f"{add_revision(sys.argv[1])}\n")
