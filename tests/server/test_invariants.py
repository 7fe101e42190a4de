"""The invariants of the design, held against random stories, however these are cut into batches.

A story is told to a server one operation at a time, each built from earlier answers; a model that knows nothing of
marks, lineage or rows says at each step who must be active. Then the same operations and times go to fresh servers
in other cuts: every answer and every row of every table must be the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentsim.server import OAuthError
from agentsim.server.clock import SECOND
from agentsim.server.schema import Base
from tests.server.choices import KINDS, POLICY
from tests.server.story import RESPOND, Story, Wary, respond


def plain(value: Any) -> Any:
    """An answer as something that can be compared: errors by what they say."""
    if isinstance(value, OAuthError):
        return (type(value).__name__, value.log_id, value.as_dict())
    if is_dataclass(value):
        return (
            type(value).__name__,
            {field.name: plain(getattr(value, field.name)) for field in fields(value)},
        )
    return value


def replay(world: Any, script: list[tuple[Any, int]], cuts: list[int]) -> list[Any]:
    """The same operations at the same times, in batches of these sizes again and again; fills at their places."""
    answers: list[Any] = []
    batch: list[tuple[Any, int]] = []
    sizes = iter(cuts * (len(script) + 1))
    size = next(sizes)

    def flush() -> None:
        if batch:
            operations, times = zip(*batch, strict=True)
            answers.extend(world.server.execute(operations, at=times))
            batch.clear()

    for step, now in script:
        if isinstance(step, int):
            flush()
            world.server.fill(step, at=now)
            continue
        if step is RESPOND:
            flush()
            answers.extend(respond(world, now))
            continue
        batch.append((step, now))
        if len(batch) == size:
            flush()
            size = next(sizes)
    flush()
    return answers


def everything(world: Any) -> dict[str, list[dict[str, Any]]]:
    return {model.__tablename__: world.rows(model) for model in Base.__subclasses__()}


NUMBERS = st.integers(0, 7)
Command = tuple[str, int, int, int, int, int]
COMMANDS = st.tuples(st.sampled_from(KINDS), NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)
#: So that there is something to tell of: two agents and one of another owner, which works below the first one's root.
OPENING = (
    ("register", 0, 0, 0, 0, 0),
    ("confirm", 0, 0, 0, 0, 0),
    ("register", 2, 0, 0, 0, 0),
    ("confirm", 0, 0, 0, 0, 0),
    ("register", 2, 7, 0, 0, 0),
    ("confirm", 0, 0, 0, 0, 0),
    ("issue", 0, 3, 5, 2, 6),
    ("child", 0, 2, 0, 3, 0),
    ("child", 0, 7, 0, 2, 4),
)


STORIES = {
    "commands": st.lists(COMMANDS, min_size=15, max_size=60),
    "cuts": st.lists(st.integers(1, 12), min_size=1, max_size=6),
    "grace": st.sampled_from([0, 0, 20 * SECOND]),
}
USUAL = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        # What makes schemas makes a new one each time.
        HealthCheck.function_scoped_fixture,
    ],
)


def tell_and_replay(worlds: Iterator[Any], commands: list[Command], cuts: list[int]) -> None:
    """Tell a story in the first of three worlds, and hold what the other two make of it against that."""
    world = next(worlds)
    story = Story(world)
    for command in (*OPENING, *commands):
        story.tell(*command)
    story.finish()
    expected, rows = [plain(answer) for answer in story.answers], everything(world)
    world.server.close()
    for sizes in (cuts, [len(story.script)]):
        other = next(worlds)
        answers = replay(other, story.script, sizes)
        assert [plain(answer) for answer in answers] == expected
        assert everything(other) == rows
        other.server.close()


@settings(USUAL, max_examples=120)
@given(**STORIES)
def test_any_story_keeps_the_invariants_however_it_is_cut(
    new_world: Any, commands: list[Command], cuts: list[int], grace: int
) -> None:
    policy = POLICY | {"refresh_grace_us": grace}
    tell_and_replay((new_world(**policy) for _ in range(3)), commands, cuts)


@settings(USUAL, max_examples=12)
@given(**STORIES)
def test_postgresql_and_sqlite_tell_any_story_alike(
    new_world: Any,
    new_schema: Callable[[], str],
    commands: list[Command],
    cuts: list[int],
    grace: int,
) -> None:
    policy = POLICY | {"refresh_grace_us": grace}
    databases = (new_schema(), None, new_schema())
    tell_and_replay((new_world(database, **policy) for database in databases), commands, cuts)


@settings(USUAL, max_examples=40)
@given(**STORIES)
def test_a_matcher_that_acts_makes_the_same_of_a_story_however_it_is_cut(
    new_world: Any, commands: list[Command], cuts: list[int], grace: int
) -> None:
    policy = POLICY | {"refresh_grace_us": grace}
    # Uses come often enough that something is made of them.
    uses = [("verify", *numbers) for _, *numbers in commands]
    told = [command for pair in zip(commands, uses, strict=True) for command in pair]
    tell_and_replay((new_world(matcher=Wary(), **policy) for _ in range(3)), told, cuts)
