"""Attackers: small state machines that add operations of their own beside what honest agents do.

All of them are our own invention, made to exercise what a token server could see. An attacker never changes what its
victim intends: with attacks switched off, every benign intent is drawn the same. :mod:`agentsim.simulation.attacks.base`
is the contract for attacks of others.
"""

from agentsim.simulation.attacks.base import Attacker
from agentsim.simulation.attacks.catalogue import ATTACKERS, GROUP, describe, explain, find_attacker
from agentsim.simulation.attacks.holding import Holding
from agentsim.simulation.attacks.signals import SIGNALS
from agentsim.simulation.attacks.unseen import NOT_PLAYED, UNSEEN, Unseen
from agentsim.simulation.attacks.victims import NEVER, Agents, Victim, pairs, without

__all__ = [
    "ATTACKERS",
    "GROUP",
    "NEVER",
    "NOT_PLAYED",
    "SIGNALS",
    "UNSEEN",
    "Agents",
    "Attacker",
    "Holding",
    "Unseen",
    "Victim",
    "describe",
    "explain",
    "find_attacker",
    "pairs",
    "without",
]
