"""What the numbers of a random story choose from, and the rules under which it is told."""

from typing import Any

from agentsim.server import Admin
from agentsim.server.clock import SECOND
from tests.callers import EXCHANGE

OWNERS = (Admin("acme"), Admin("globex"))
PROFILES: tuple[dict[str, Any], ...] = (
    {"allowed_tools": ["read", "write"], "resource_access": ["a", "b"], "max_scope_level": "standard"},
    {"allowed_tools": ["read"], "resource_access": ["a/x"], "max_scope_level": "minimal"},
    {
        "allowed_tools": ["read", "run"],
        "resource_access": ["a", "b/y"],
        "max_scope_level": "elevated",
        "scope": "mail.read",
    },
)
GRANT_TYPES = ["client_credentials", "refresh_token", EXCHANGE]
#: What a registration is changed to, one thing at a time.
UPDATES: tuple[dict[str, Any], ...] = (
    {"allowed_tools": ["read"]},
    {"resource_access": ["a/x"]},
    {"max_scope_level": "minimal"},
    {"grant_types": ["client_credentials", EXCHANGE]},
    {"allowed_tools": ["read", "write", "run"]},
    {"resource_access": ["a", "b"], "max_scope_level": "elevated"},
    {"grant_types": GRANT_TYPES},
    {"scope": "mail.read"},
)
FIRST, SECOND_SERVER, THIRD = (f"https://{name}.example" for name in ("first", "second", "third"))
#: The resource servers that are asked for.
TARGETS = ((), (), (), (), (FIRST,), (SECOND_SERVER,), (SECOND_SERVER, FIRST), (THIRD, FIRST))
SCOPES = (
    "read:a",
    "read:a/x",
    "read:a/x/z write:b",
    "read:a read:b/y",
    "run:b/y mail.read",
    "read:ab",
    "read:a/../b",
    "",
)
TASKS = ("plan", "fetch", "write up", "check")
PEOPLE = (None, None, "alice", "bob")
STEPS = (0, 1, SECOND, 15 * SECOND, 40 * SECOND, 100 * SECOND, 260 * SECOND, -SECOND)
KINDS = (
    *["register"] * 2,
    *["confirm"] * 2,
    *["issue"] * 4,
    *["child"] * 8,
    *["refresh"] * 5,
    *["verify"] * 3,
    *["introspect"] * 2,
    *["execution"] * 2,
    "revoke_token",
    "revoke_name",
    *["update"] * 3,
    "disable",
    "enable",
    *["pause"] * 3,
    "rotate",
    *["advance"] * 4,
    "fill",
    "respond",
    *["vouch"] * 2,
    "hold",
)
#: What is told as soon as there is an agent.
OF_AGENTS = ("confirm", "issue", "revoke_name", "update", "disable", "enable", "pause", "rotate")
POLICY = {
    "access_ttl_us": 100 * SECOND,
    "grant_ttl_us": 300 * SECOND,
    "registration_ttl_us": 60 * SECOND,
    "max_depth": 3,
    "max_fanout": 2,
    "audience": FIRST,
    "resources": (SECOND_SERVER,),
}
