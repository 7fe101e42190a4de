"""What can go wrong for a reader of reports; the error tree is drawn in :mod:`agentsim.errors`."""

from agentsim.errors import UserError


class ReportError(UserError):
    """No such report, a parameter that its notebook does not have, or a notebook that did not finish."""
