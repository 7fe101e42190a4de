import numpy as np
import pytest

from agentsim.risk import gather
from agentsim.risk.relative import COLUMNS, Relative


def office(world, *, tasks=("post letters", "settle bills"), verbs=("send", "pay")):
    """Each task is read and done, eight times; the half of them look something up before."""
    for task, verb in zip(tasks, verbs, strict=True):
        for number in range(8):
            grant = world.grant(role="clerk", task=task)
            for tool in ("lookup", "read", verb) if number % 2 else ("read", verb):
                world.verify(grant, tool)
    return world


def table(new_world, tmp_path, *runs, **renamed):
    relative = Relative().fit(gather(office(new_world(), **renamed).write(tmp_path / "reference")))
    world = new_world()
    task = renamed.get("tasks", ("post letters",))[0]
    for tools in runs:
        grant = world.grant(role="clerk", task=task)
        for tool in tools:
            world.verify(grant, tool)
    found = relative.table(gather(world.write(tmp_path / "judged")))
    assert found.shape == (len(runs), len(COLUMNS))
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]


def test_what_was_done_beside_the_task_stands_in_its_own_column(new_world, tmp_path):
    usual, paid, again, lazy = table(
        new_world, tmp_path, ("read", "send"), ("read", "send", "pay"), ("read", "send", "send"), ("read",)
    )
    assert paid["act"] > usual["act"]
    assert paid["act_again"] == usual["act_again"] == 0 < again["act_again"]
    assert paid["more_acts"] > usual["more_acts"] > lazy["more_acts"]
    assert (usual["missing"], lazy["missing"]) == (0, 0.5)
    assert paid["chain"] > usual["chain"]
    assert paid["done_first"] >= paid["done_second"]


def test_the_names_of_tools_and_tasks_are_in_no_figure(new_world, tmp_path):
    runs = ("read", "send"), ("lookup", "read", "send", "pay"), ("read", "read"), ()
    here = table(new_world, tmp_path / "here", *runs)
    elsewhere = table(
        new_world,
        tmp_path / "elsewhere",
        *(tuple({"send": "mail", "pay": "buy"}.get(tool, tool) for tool in tools) for tools in runs),
        tasks=("write home", "shop"),
        verbs=("mail", "buy"),
    )
    for one, other in zip(here, elsewhere, strict=True):
        assert list(one.values()) == pytest.approx(list(other.values()))


def test_tasks_that_the_reference_does_not_have_are_compared_with_their_role(new_world, tmp_path):
    relative = Relative().fit(gather(office(new_world()).write(tmp_path / "reference")))
    world = new_world()
    for role in ("clerk", "pilot"):
        world.verify(world.grant(role=role, task="unheard of"), "send")
    found = relative.table(gather(world.write(tmp_path / "judged")))
    assert np.isfinite(found).all()
