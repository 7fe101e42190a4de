"""Refusals: one RFC code and status per class, one machine reason per case, and each case has a story."""

import ast
import importlib
from pathlib import Path
from typing import Any

import pytest

import agentsim.server as server
from agentsim.server import Issue, Policy, SeededSecrets, SystemSecrets, errors
from agentsim.server.credentials import client_name, keyed_token, parse_client_name, parse_keyed_token

CLASSES = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.OAuthError) and kind is not errors.OAuthError
]
#: RFC 6585 section 4, 6749 sections 4.1.2.1 and 5.2, 6750 section 3.1, 7591 section 3.2.2, 8707 section 2, 9396 section 5,
#: 9470 section 3.
CODES = {
    "invalid_request": 400,
    "invalid_client": 401,
    "invalid_grant": 400,
    "unauthorized_client": 400,
    "invalid_scope": 400,
    "invalid_token": 401,
    "insufficient_scope": 403,
    "insufficient_user_authentication": 401,
    "access_denied": 403,
    "too_many_requests": 429,
    "unsupported_grant_type": 400,
    "invalid_target": 400,
    "invalid_authorization_details": 400,
    "invalid_client_metadata": 400,
    "invalid_redirect_uri": 400,
    "invalid_software_statement": 400,
    "unapproved_software_statement": 400,
    "temporarily_unavailable": 503,
}


def test_each_class_is_one_code() -> None:
    assert {kind.error: kind.status for kind in CLASSES} == CODES
    assert len(CLASSES) == len(CODES)


def test_the_page_draws_every_class_with_its_code() -> None:
    drawn = errors.__doc__ or ""
    for kind in CLASSES:
        after_its_name = (
            drawn.partition(f"── {kind.__name__} ")[2] or drawn.partition(f"── {kind.__name__}\n")[2]
        )
        assert after_its_name.lstrip(" │\n").startswith(f"{kind.status} {kind.error} ")


def test_classes_made_elsewhere_refine_a_case_and_keep_its_code() -> None:
    for module in Path(server.__file__).parent.rglob("*.py"):
        if "migrations" in module.parts:
            # Those run under alembic alone, and refuse nobody.
            continue
        name = ".".join(
            ["agentsim", "server", *module.relative_to(Path(server.__file__).parent).with_suffix("").parts]
        )
        importlib.import_module(name.removesuffix(".__init__"))
    for kind in CLASSES:
        for finer in kind.__subclasses__():
            assert finer.error == kind.error


def reasons() -> set[str]:
    """Every reason that the source names: what an error class is called with first."""
    found = set()
    names = {kind.__name__ for kind in CLASSES}
    for module in Path(server.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                reason = node.args[0]
                if isinstance(reason, ast.Constant):
                    found.add(reason.value)
    bounds, sets = (
        ("registration", "parent"),
        ("scope_exceeds", "tools_exceed", "resources_exceed", "level_exceeds"),
    )
    return found | {f"{what}_{bound}" for what in sets for bound in bounds}


@pytest.mark.parametrize("reason", sorted(reasons()))
def test_each_reason_is_told_in_a_story(reason: str) -> None:
    stories = [path for path in Path(__file__).parent.rglob("test_*.py") if path.name != Path(__file__).name]
    assert any(f'"{reason}"' in path.read_text() for path in stories)


def test_a_refusal_carries_its_evidence(world: Any) -> None:
    agent = world.agent(allowed_tools=["file_read"], resource_access=["github"])
    refused = world.refusal(Issue(by=agent, task_id="t", scope="file_read:github file_write:github"))
    assert refused.as_dict() == {
        "error": "invalid_scope",
        "error_description": "the scope asked for exceeds those of the registration",
        "reason": "scope_exceeds_registration",
        "asked": ["file_write:github"],
        "allowed": ["file_read:github"],
        "hint": "ask for no more than the registration allows",
    }
    assert str(refused).startswith("invalid_scope (scope_exceeds_registration): ")
    with pytest.raises(errors.InvalidScope):
        world.ask(Issue(by=agent, task_id="t", scope="file_write:github"), object)


def test_what_the_package_offers_is_there() -> None:
    assert sorted(server.__all__) == server.__all__
    assert all(hasattr(server, name) for name in server.__all__)


@pytest.mark.parametrize(
    "mistake",
    [
        {"levels": ("low", "low")},
        {"tool_levels": {"file_write": "godlike"}},
        {"max_depth": 65},
        {"max_depth": -1},
        {"max_fanout": -1},
        {"refresh_grace_us": -1},
        {"acess_ttl_us": 5},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(mistake: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(mistake)).split("_")[0]):
        Policy(**mistake)


def test_secrets_hold_256_bits_and_never_repeat() -> None:
    system, seeded = SystemSecrets(), SeededSecrets(b"seed")
    made = [source.new() for source in (system, seeded) for _ in range(1_000)]
    assert len(set(made)) == 2_000
    assert {len(secret) for secret in made} == {43}
    assert [SeededSecrets(b"seed").new(), SeededSecrets(b"other").new()] != [made[1_000]] * 2
    assert SeededSecrets(b"seed").new() == made[1_000]
    assert (system.simulated, seeded.simulated) == (False, True)


@pytest.mark.parametrize("number", [0, 1, (1 << 63) - 1])
def test_names_and_keyed_tokens_can_be_read_back(number: int) -> None:
    assert parse_client_name(client_name(number)) == number
    assert parse_keyed_token("rt", keyed_token("rt", number, "s_e_cret")) == number
    assert parse_keyed_token("reg", keyed_token("rt", number, "secret")) is None


@pytest.mark.parametrize(
    "name", ["agent_", f"agent_{1 << 63}", "agent_ 1", "agent_+1", "agent_1_0", "AGENT_1", "agent_²"]
)
def test_what_is_no_name_is_none(name: str) -> None:
    assert parse_client_name(name) is None
