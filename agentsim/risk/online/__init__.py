"""Risk at work in a server: what judges uses while they are verified, and what follows the audit trail beside it."""

from agentsim.risk.online.following import Following
from agentsim.risk.online.judging import Judging
from agentsim.risk.online.rules import Rules
from agentsim.risk.online.watching import Learned, ModelWatch, OnlineError, learn, load_watch

__all__ = ["Following", "Judging", "Learned", "ModelWatch", "OnlineError", "Rules", "learn", "load_watch"]
