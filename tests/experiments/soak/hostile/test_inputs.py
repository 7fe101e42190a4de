"""Hostile input at a served server: a part of what a long soak tries."""

from agentsim.experiments.soak.hostile.inputs import inputs
from agentsim.experiments.soak.hostile.requests import spoilt_values, unreadable
from agentsim.server.http.endpoints import ENDPOINTS, Access


def test_nothing_hostile_is_let_in_or_disturbs_the_server(tmp_path):
    tallies = inputs(folder=tmp_path, database=None, step=19, progress=False)
    assert [each for each in tallies if not each.sound] == []
    *families, said = tallies
    assert len(families) == 5
    assert sum(each.tried for each in tallies) > 300
    assert all(each.tried for each in families)
    assert said.tried == 0


def test_every_endpoint_is_tried():
    callers = {access: {} for access in Access}
    tried = {(each.method, each.path.partition("?")[0]) for each in spoilt_values(callers, "agent_1")}
    for endpoint in ENDPOINTS:
        if endpoint.body or endpoint.query or "{" in endpoint.path:
            begins = endpoint.path.partition("{")[0]
            assert any(method == endpoint.method and path.startswith(begins) for method, path in tried)
    bodies = {each.path for each in unreadable(callers)}
    assert len(bodies) == len({each.path for each in ENDPOINTS if each.body})
