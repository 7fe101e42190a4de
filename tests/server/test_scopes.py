"""What contains what: by whole path segments, never by the beginning of a string."""

import tracemalloc

import pytest

from agentsim.server import scopes
from agentsim.server.errors import InvalidScope
from agentsim.server.scopes import canonical_resources, canonical_tools, excess, product


@pytest.mark.parametrize(
    ("granted", "asked", "covered"),
    [
        ("file_read:github", "file_read:github", True),
        ("file_read:github", "file_read:github/specific", True),
        ("file_read:github", "file_read:github/a/b/c", True),
        ("file_read:github/a", "file_read:github/a/b", True),
        ("file_read:github", "file_read:github-evil", False),
        ("file_read:github", "file_read:githubx/y", False),
        ("file_read:github/a", "file_read:github/ab", False),
        ("file_read:github/a", "file_read:github", False),
        ("file_read:github/a", "file_read:github/b", False),
        ("file_read:github", "file_write:github", False),
        ("file_read:github", "file_read", False),
        ("file_read:github", "File_read:github", False),
        ("file_read:github", "file_read:GitHub", False),
        ("file_read", "file_read:github", False),
        ("email.read", "email.read", True),
        ("email", "email.read", False),
        ("email.read", "email.read.all", False),
        ("a:b", "a:b:c", False),
        ("a:b:c", "a:b:c/d", True),
        ("x:y z:w", "z:w/1 x:y", True),
        ("x:y", "x:y z:w", False),
        ("", "x:y", False),
        ("x:y", "", True),
    ],
)
def test_containment(granted: str, asked: str, covered: bool) -> None:
    asked, granted = scopes.canonical_scope(asked), scopes.canonical_scope(granted)
    assert (not scopes.excess(asked, granted)) is covered


@pytest.mark.parametrize(
    "text",
    [
        "file_read:github/../x",
        "file_read:..",
        "file_read:github/./x",
        "file_read:github//x",
        "file_read:/github",
        "file_read:github/",
        "file_read:",
        ":github",
        "file/read:github",
        "email/read",
        "/",
        "file_read:git hub/../x",
        " file_read:github",
        "file_read:github ",
        "a:b  c:d",
        " ",
        "file_read:github\n",
        "file_read:git\thub",
        "file_read:*",
        "file_read:github/%2e%2e/x",
        "file_read:github\\..\\x",
        'file_read:"github"',
        "file_read:gith\u00fcb",
        "file_read:github\u2215x",
        "file_read:github\uff0f..",
        "file_read:\x00",
        "file_read:github/..;/x",
        "file_read:github/..;a=b/x",
        "x" * 257,
    ],
)
def test_malformed_scopes_are_refused(text: str) -> None:
    with pytest.raises(InvalidScope) as refused:
        scopes.canonical_scope(text)
    assert refused.value.reason == "malformed_scope"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a/b", "a\n", "tool*", "t%20", "x" * 257, "\ud800"])
def test_malformed_tools_are_refused(name: str) -> None:
    with pytest.raises(InvalidScope):
        scopes.canonical_tools(["fine", name])


@pytest.mark.parametrize("name", ["", "a b", "../etc", "a//b", "/a", "a/", ".", "a\n", "x" * 257])
def test_malformed_resources_are_refused(name: str) -> None:
    with pytest.raises(InvalidScope):
        scopes.canonical_resources(["fine", name])


def test_one_set_has_one_text() -> None:
    assert scopes.canonical_scope("z:w a:b z:w") == scopes.canonical_scope("a:b z:w") == "a:b z:w"
    assert scopes.canonical_tools(iter(["b", "a", "b"])) == "a b"


def test_tools_and_resources_make_scopes_and_come_back() -> None:
    scope = scopes.product("file_read file_write", "github jira")
    assert scope == "file_read:github file_read:jira file_write:github file_write:jira"
    assert scopes.actions(scope) == "file_read file_write"
    assert scopes.resources_of(scope) == "github jira"
    assert scopes.actions("email.read") == scopes.resources_of("email.read") == ""


def test_overlap_is_the_narrower_of_each_pair() -> None:
    assert scopes.overlap("r:a/b r:c", "r:a r:c/d w:a") == "r:a/b r:c/d"
    assert scopes.overlap("r:a", "r:ab") == ""


@pytest.mark.parametrize(
    "make",
    [
        lambda: scopes.canonical_scope(" ".join(f"s{number}" for number in range(1_001))),
        lambda: scopes.canonical_tools(f"{number:0250}" for number in range(100)),
        lambda: scopes.product(
            " ".join(f"t{number}" for number in range(101)), " ".join(f"r{number}" for number in range(100))
        ),
    ],
    ids=["members", "characters", "products"],
)
def test_no_set_grows_without_bound(make: object) -> None:
    with pytest.raises(InvalidScope) as refused:
        make()  # type: ignore[operator]
    assert refused.value.reason == "malformed_scope"


def test_endless_other_scopes_do_not_fill_the_memory() -> None:
    """Of a hundred names each makes ten thousand scopes, five megabytes: a client may ask for them again and again."""
    tracemalloc.start()
    try:
        for number in range(60):
            names = [f"{number}-{each}-{'x' * 60}" for each in range(100)]
            made = product(canonical_tools(names), canonical_resources(names))
            assert excess(made, made) == ()
        del made, names
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 200_000_000
