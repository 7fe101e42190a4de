"""The reference in ``docs/``, made of what the code says of itself: ``python -m agentsim.cli.reference``."""

from agentsim.cli.reference.pages import MADE, filled

__all__ = ["MADE", "filled"]
