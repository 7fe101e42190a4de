"""How a notebook shows what a verification answered: text that has been asked for stays text."""

from bs4 import BeautifulSoup

from agentsim.server import Verification
from agentsim.server.errors import InvalidToken

HOSTILE = "<script>alert('task')</script>"


def shown(answer):
    soup = BeautifulSoup(answer._repr_html_(), "html.parser")
    assert soup.find_all(["script", "style", "img"]) == []
    return soup.strong.text, {row.th.text: row.td.text for row in soup.find_all("tr")}


def test_a_valid_use_shows_what_its_grant_has_done(make_world):
    world = make_world()
    agent = world.agent()
    world.root(agent, HOSTILE)
    grant = world.root(agent)
    world.verify(grant, required_tools=["file_read"], required_resources=["github"])
    decision, told = shown(world.verify(grant))
    assert decision == "Valid"
    assert (told["scope"], told["task fits"]) == ("file_read:github", "yes")
    assert HOSTILE in told["earlier tasks"]
    assert "verifications 1" in told["so far"]
    assert "tools file_read 1" in told["so far"]
    assert "first at 2023-11-14 22:13:20" in told["so far"]
    assert "risk" not in told


def test_a_refusal_shows_what_was_asked_and_what_would_be_allowed(make_world):
    world = make_world()
    decision, told = shown(world.verify(world.root(world.agent()), required_tools=["db_query"]))
    assert decision.startswith("Refused: ")
    assert "tool_not_granted" in told["reason"]
    assert (told["asked"], told["allowed"]) == ("db_query", "file_read")


def test_a_token_that_is_none_tells_nothing(make_world):
    decision, told = shown(make_world().verify("no token"))
    assert decision.startswith("Refused: ")
    assert set(told) == {"reason", "audit row"}


def test_what_is_made_of_a_use_is_shown(make_world, by_tool):
    world = make_world(matcher=by_tool(file_read="log"))
    grant = world.root(world.agent())
    _, told = shown(world.verify(grant, by=world.admin, required_tools=["file_read"]))
    assert (told["fits what such grants do"], told["pattern"], told["risk"]) == ("no", "unusual", "high")
    assert told["because"] == "file_read is strange"


def test_control_characters_become_blanks():
    refusal = InvalidToken("unknown", f"{HOSTILE}\x1b[2J\n", asked=["<b>"], hint="<i>no</i>")
    decision, told = shown(Verification(log_id=1, is_valid=False, error=refusal, risk_reasons=[HOSTILE]))
    assert decision == f"Refused: {HOSTILE} [2J "
    assert (told["asked"], told["what to do"], told["because"]) == ("<b>", "<i>no</i>", HOSTILE)


def test_without_a_style_of_its_own_it_looks_as_the_notebook_does():
    text = Verification(log_id=1, is_valid=True)._repr_html_()
    assert "<style" not in text
    assert "color" not in text
