"""The pages: nothing that there is goes unsaid, and nothing that they say is wrong."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest
from markdown_it import MarkdownIt
from typer.core import TyperGroup
from typer.main import get_command

from agentsim.cli import app
from agentsim.cli.reference import MADE, filled

ROOT = Path(__file__).parents[1]
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *DOCS,
    *sorted(ROOT.glob("*/README.md")),
    *sorted(ROOT.glob("data/*.md")),
]
PAGES = list(dict.fromkeys(PAGES))
PARSER = MarkdownIt().enable("table")
COMMANDS = get_command(app)


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def tokens(page: Path) -> list[Any]:
    return PARSER.parse(text(page))


def row(page: str, key: str) -> str:
    """What a page says of a key: the last cell of its row."""
    found = re.findall(
        rf"^\| `{re.escape(key)}`.* \| (.*) \|$", text(ROOT / "docs" / page), flags=re.MULTILINE
    )
    assert found, f"{page} has no row for {key}"
    return " ".join(found)


# --- What is made -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", DOCS, ids=named)
def test_what_is_made_is_what_the_code_says_now(page):
    assert text(page) == filled(text(page)), "run: python -m agentsim.cli.reference"


def test_all_that_is_made_has_one_place():
    places = [place for page in DOCS for place in re.findall(r"<!-- made: (\S+) -->", text(page))]
    assert sorted(places) == sorted(MADE)


def test_a_place_is_filled_and_the_rest_is_left_alone():
    page = "Before.\n\n<!-- made: signals -->\nold\n<!-- end -->\n\nAfter.\n"
    made = filled(page)
    assert made.startswith("Before.\n\n<!-- made: signals -->\n")
    assert made.endswith("<!-- end -->\n\nAfter.\n")
    assert "old" not in made
    assert filled(made) == made


def test_a_place_for_what_is_not_made_is_refused():
    with pytest.raises(KeyError, match="nothing"):
        filled("<!-- made: nothing -->\n<!-- end -->")


# --- Nothing goes unsaid ------------------------------------------------------------------------------------------


def below(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for word, each in getattr(command, "commands", {}).items():
        yield from below(each, f"{name} {word}")


ALL_COMMANDS = dict(below(COMMANDS, "agentsim"))


@pytest.mark.parametrize("name", ALL_COMMANDS)
def test_every_command_argument_and_option_has_help(name):
    command = ALL_COMMANDS[name]
    assert command.help
    assert [each.name for each in command.params if not each.help] == []


@pytest.mark.parametrize("name", [name for name in ALL_COMMANDS if name != "agentsim"])
def test_every_command_is_on_its_page_with_its_options(name):
    _, found, section = text(ROOT / "docs" / "commands.md").partition(f"\n## {name}\n")
    assert found
    section = section.partition("\n## ")[0]
    options = [option for each in ALL_COMMANDS[name].params for option in each.opts if option.startswith("-")]
    assert [option for option in options if f"`{option}`" not in section] == []


def written() -> list[Any]:
    """Whatever people write in YAML: the page, and the model of it."""
    from agentsim.experiments.sweep.settings import SweepSettings
    from agentsim.risk.suppressions import Suppressions
    from agentsim.risk.thresholds.file import ThresholdFile
    from agentsim.settings.policy import PolicySettings
    from agentsim.simulation.role import Role
    from agentsim.simulation.scenario import Scenario

    return [
        pytest.param(
            "scenarios.md", Scenario, {"policies.md": PolicySettings, "roles.md": Role}, id="scenario"
        ),
        pytest.param("policies.md", PolicySettings, {}, id="policy"),
        pytest.param("roles.md", Role, {}, id="role"),
        pytest.param("sweeps.md", SweepSettings, {}, id="sweep"),
        pytest.param("thresholds.md", ThresholdFile, {}, id="thresholds"),
        pytest.param("thresholds.md", Suppressions, {}, id="suppressions"),
    ]


def properties(model: Any) -> dict[str, dict[str, str]]:
    """Each model that a file is made of, with its keys and what is said of each."""
    schema = model.model_json_schema(by_alias=True)
    models = {schema["title"]: schema} | schema.get("$defs", {})
    return {
        title: {key: value.get("description", "") for key, value in each["properties"].items()}
        for title, each in models.items()
        if "properties" in each
    }


@pytest.mark.parametrize(("page", "model", "elsewhere"), written())
def test_every_key_is_described_and_is_on_its_page(page, model, elsewhere):
    left_out = {title for other in elsewhere.values() for title in properties(other)}
    for title, keys in properties(model).items():
        for key, description in keys.items():
            assert description, f"{title}.{key} says nothing"
            if title not in left_out:
                assert description.replace("|", "\\|") in row(page, key), f"{title}.{key}"


def test_every_key_of_a_scenario_tells_its_default():
    assert "| `5m` |" in text(ROOT / "docs" / "policies.md")  # microseconds are told as a duration
    assert "| `0.5` |" in text(ROOT / "docs" / "scenarios.md")
    assert "| drawn |" in text(ROOT / "docs" / "scenarios.md")  # a seed is another each time


def test_every_feature_is_on_its_page_with_unit_and_meaning():
    from agentsim.risk.catalogue import FAMILIES, FEATURES

    page = text(ROOT / "docs" / "features.md")
    for name, feature in FEATURES.items():
        assert feature.unit, name
        assert feature.meaning, name
        assert re.search(
            rf"\| `{name}` \| [\w, ]+ \| {re.escape(feature.unit)} \| {re.escape(feature.meaning)} \|", page
        )
    assert {feature.family for feature in FEATURES.values()} == set(FAMILIES)


def test_every_attack_is_on_its_page_with_what_it_does():
    from agentsim.simulation.attacks import ATTACKERS, describe

    page = text(ROOT / "docs" / "attacks.md")
    for kind, attacker in ATTACKERS.items():
        told = describe(attacker)
        assert told["does"], kind
        assert told["tags"], kind
        assert told["signals"], kind
        assert f"\n### {kind}\n\n{told['does'].replace('``', '`')}" in page


def test_every_role_is_on_its_page():
    from agentsim.simulation.roles import ROLES

    for name, fields in ROLES.items():
        assert f"| `{name}` | {fields['summary']} |" in text(ROOT / "docs" / "roles.md")


def test_every_notebook_and_parameter_is_on_its_page():
    from agentsim.reporting.catalogue import NOTEBOOKS

    for name, notebook in NOTEBOOKS.items():
        assert notebook.question, name
        _, found, section = text(ROOT / "docs" / "reports.md").partition(f"\n### {name}\n")
        assert found, name
        assert notebook.question in section
        for parameter, field in notebook.parameters.model_fields.items():
            assert field.description, f"{name}: {parameter}"
            assert re.search(
                rf"\| `{parameter}` \|.*\| {re.escape(field.description)} \|", section.partition("\n### ")[0]
            )


# --- Nothing that is said is wrong --------------------------------------------------------------------------------


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found = tokens(page)
    headings = [found[place + 1].content for place, token in enumerate(found) if token.type == "heading_open"]
    assert len(headings) == len(set(headings)), f"{named(page)} has two headings that are alike"
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def inline(page: Path, kind: str) -> Iterator[Any]:
    for token in tokens(page):
        yield from (child for child in token.children or () if child.type == kind)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_to_files_and_headings(page):
    for link in inline(page, "link_open"):
        path, _, anchor = link.attrs["href"].partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link.attrs["href"]
        assert not anchor or anchor in anchors(target), link.attrs["href"]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_pictures_are_there_and_say_what_they_show(page):
    for picture in inline(page, "image"):
        path = page.parent / picture.attrs["src"]
        assert path.exists(), path
        assert path.stat().st_size < 150_000, path
        assert len(picture.content.split()) > 6, path


def test_no_page_and_no_picture_is_an_orphan():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = [link.attrs["href"].partition("#")[0] for link in inline(page, "link_open")]
        waiting += [(page.parent / link).resolve() for link in links if link and "://" not in link]
    assert set(DOCS) <= reached
    shown = {(page.parent / each.attrs["src"]).resolve() for page in PAGES for each in inline(page, "image")}
    assert set((ROOT / "docs" / "pictures").glob("*")) <= shown


def quoted(page: Path) -> Iterator[str]:
    """Every command that a page quotes: in code between ticks, and on the lines of blocks."""
    for token in tokens(page):
        lines = token.content.splitlines() if token.type in ("code_block", "fence") else []
        yield from (line.split(" #")[0].strip() for line in lines if line.strip().startswith("agentsim "))
        for child in token.children or ():
            if child.type == "code_inline" and child.content.replace("\n", " ").startswith("agentsim "):
                yield " ".join(child.content.split())


def parsed(line: str) -> list[str]:
    """The files that a command names to read; fails where there is no such command or option."""
    words = shlex.split(line.partition(" > ")[0])[1:]
    command = COMMANDS
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        word = words.pop(0)
        if word == "[OPTIONS]":
            break
        assert word in command.commands, f"no such command: {line}"
        command = command.commands[word]
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)} | {"--help"}
    for word in words[: words.index("--")] if "--" in words else words:
        if re.fullmatch(r"--?[a-z][a-z-]*", word):
            assert word in known, f"no such option: {word} in {line}"
    read = [word for before, word in zip(["", *words], words, strict=False) if before not in ("-o", "--out")]
    return [word for word in read if re.fullmatch(r"data/(scenarios|sweeps|policies)/\S+", word)]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=named)
def test_commands_that_are_quoted_can_be_given(page):
    for line in quoted(page):
        for file in parsed(line):
            assert (ROOT / file).exists(), line


@pytest.mark.parametrize(
    "line", ["agentsim simulat x", "agentsim tune RUN --budgets 5", "agentsim bench nothing"]
)
def test_a_command_that_cannot_be_given_is_noticed(line):
    with pytest.raises(AssertionError, match="no such"):
        parsed(line)


KEPT = r"(agentsim|notebooks|tests|docs|data/scenarios|data/sweeps|data/policies)/[\w./-]+\.\w+"


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=named)
def test_files_and_names_of_the_package_that_are_named_are_there(page):
    for code in inline(page, "code_inline"):
        if re.fullmatch(KEPT, code.content):
            assert (ROOT / code.content).exists(), code.content
        dotted = re.match(r"agentsim(?:\.\w+)+", code.content)
        # Groups of entry points have names of their own.
        if dotted and dotted[0] not in ("agentsim.roles", "agentsim.attacks"):
            resolve_name(dotted[0])
    for notebook in re.findall(r"`([\w-]+)` notebook", text(page)):
        assert (ROOT / "notebooks" / f"{notebook}.ipynb").exists(), notebook


def test_the_readme_is_short():
    assert len(text(ROOT / "README.md").splitlines()) <= 220
