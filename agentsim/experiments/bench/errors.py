"""What goes wrong with a benchmark itself: then there are no figures."""

from agentsim.errors import UserError


class BenchError(UserError):
    """A server did not come up or went away, or not every request was granted."""
