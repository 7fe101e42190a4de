"""In front of a resource server: may this token be used for this route? Offline, by introspection or by status list.

Issuer            the token server, known by its issuer alone
ResourceServer    what a resource server says of itself, and what its routes require
Protect           the ASGI middleware; ``ResourceServer.require`` is what routes ask for
Offline, Introspection, StatusLists, Online
how tokens are checked, and so for how long a revoked one may still be honoured
"""

from agentsim.resources.checking import Checker, Facts, Wanted
from agentsim.resources.issuer import Issuer
from agentsim.resources.middleware import Protect, ResourceServer
from agentsim.resources.offline import Offline, StatusLists
from agentsim.resources.online import Introspection, Online
from agentsim.resources.refusals import Refusal

__all__ = [
    "Checker",
    "Facts",
    "Introspection",
    "Issuer",
    "Offline",
    "Online",
    "Protect",
    "Refusal",
    "ResourceServer",
    "StatusLists",
    "Wanted",
]
