"""``python -m agentsim.cli``: the command line where its script is not on the PATH."""

from agentsim.cli import main

main()
