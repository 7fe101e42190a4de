"""Attacks of others, named by their class or installed as entry points."""

import re
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from agentsim.lineage import check
from agentsim.settings.faults import SettingsError
from agentsim.simulation import simulate
from agentsim.simulation.attacks import ATTACKERS, describe, explain

GUEST = '''
from agentsim.server import Introspect
from agentsim.simulation.attacks import Attacker


class Peeker(Attacker):
    """Looks its victim's token up."""

    kind = "peeking"
    tags = ("T9",)
    signals = ("introspections",)

    def act(self, victim):
        return Introspect(token=victim.access_token, caller="nobody", source_ip=victim.source_ip)


class Idle(Attacker):
    kind = "idle"


class Nameless(Peeker):
    kind = None


class Stranger:
    pass
'''


@pytest.fixture
def guest(tmp_path, monkeypatch):
    """A package of somebody else's on the path."""
    folder = tmp_path / "guests"
    (folder / "guest_attacks").mkdir(parents=True)
    (folder / "guest_attacks" / "__init__.py").write_text("")
    (folder / "guest_attacks" / "peeking.py").write_text(GUEST)
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in [name for name in sys.modules if name.startswith("guest_attacks")]:
        del sys.modules[name]


def attacked_by(scenario, kind):
    return scenario(
        population={"agents": 120},
        workload={"executor": "constant-arrival-rate", "duration": "5m"},
        tenants=2,
        attacks=[{"kind": kind, "prevalence": 0.5, "stealth": 0.5}],
    )


def test_a_class_of_others_plays_and_leaves_labels_under_its_kind(guest, scenario, tmp_path):
    run = simulate(attacked_by(scenario, "guest_attacks.peeking:Peeker"), tmp_path / "run")
    events = run.sql(
        "select distinct l.attack, a.event_type from labels l join audit a using (log_id, tenant)"
    )
    assert list(events.itertuples(index=False, name=None)) == [("peeking", "token_introspected")]
    assert check(run) == []
    assert run.manifest.source["attacks"][0]["kind"] == "guest_attacks.peeking:Peeker"


def test_worker_processes_load_the_class_again(guest, scenario, tmp_path):
    run = simulate(attacked_by(scenario, "guest_attacks.peeking:Peeker"), tmp_path / "run", jobs=2)
    labels = run.frame("labels")
    assert set(labels["tenant"]) == {0, 1}
    assert set(labels["attack"]) == {"peeking"}


def test_the_example_of_the_page_on_data_is_an_attack():
    page = (Path(__file__).parents[3] / "data" / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"\n\n(    from agentsim\.server.*?)\n\nHow often", page, flags=re.DOTALL)
    names = {}
    exec(textwrap.dedent(example), names)
    assert describe(names["Peeker"])["does"] == "Looks its victim's token up, again and again."
    names["Peeker"](0.5, np.random.default_rng(0))


def test_an_installed_attack_is_named_by_its_entry_point(guest, scenario, tmp_path):
    folder = guest / "guest-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: guest\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[agentsim.attacks]\npeeker = guest_attacks.peeking:Peeker\n")
    run = simulate(attacked_by(scenario, "peeker"), tmp_path / "run")
    assert set(run.frame("labels")["attack"]) == {"peeking"}


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("token_thef", "did you mean 'token_theft'?"),
        ("no.such.module:Attack", "cannot be imported: No module named 'no'"),
        ("guest_attacks.peeking:Nothing", "cannot be imported"),
        ("guest_attacks.peeking:Stranger", "is not derived from agentsim.simulation.attacks.base:Attacker"),
        ("guest_attacks.peeking:Idle", "does not say how it acts"),
        ("guest_attacks.peeking:Nameless", "has no kind"),
    ],
)
def test_what_is_wrong_with_an_attack_is_told_with_its_place(guest, scenario, kind, fault):
    with pytest.raises(SettingsError) as raised:
        scenario(
            attacks=[{"kind": "token_theft", "prevalence": 0.1}, {"kind": kind, "prevalence": 0.1}],
            window="often",
        )
    faults = {found.path: found.message for found in raised.value.faults}
    assert fault in faults["attacks.1.kind"]
    assert set(faults) == {"attacks.1.kind", "window"}


def test_a_guest_explains_itself_as_the_built_in_ones_do(guest):
    told = explain("guest_attacks.peeking:Peeker")
    assert told["does"] == "Looks its victim's token up."
    assert set(told) == set(explain(next(iter(ATTACKERS))))
