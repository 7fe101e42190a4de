"""Notes: refusals at the door and rotated keys stand in the audit trail, bounded in size."""

import json
from typing import Any

from agentsim.server.answers import Noted
from agentsim.server.operations.notes import NoteKeyRotation, NoteRefusal


def test_refusals_at_the_door_are_one_row_with_their_count(world: Any) -> None:
    asked = NoteRefusal(endpoint="/introspect", reason="no_credentials", count=12, source_ip="192.0.2.1")
    note = world.ask(asked, Noted)
    (row,) = world.audit()
    assert (row["log_id"], row["event_type"], row["status"]) == (note.log_id, "request_refused", "refused")
    assert (row["reason"], row["source_ip"], row["client_id"]) == ("no_credentials", "192.0.2.1", None)
    assert json.loads(row["details"]) == {"endpoint": "/introspect", "count": 12}


def test_a_rotation_names_who_did_it_and_the_new_key(world: Any) -> None:
    world.ask(NoteKeyRotation(by=world.admin, kid="k2", alg="ES256"), Noted)
    (row,) = world.audit()
    assert (row["event_type"], row["status"], row["reason"]) == ("key_rotated", "granted", None)
    assert json.loads(row["details"]) == {"by": "acme", "kid": "k2", "alg": "ES256"}


def test_long_words_are_cut(world: Any) -> None:
    long = "x" * 5_000
    world.ask(NoteRefusal(endpoint=long, reason=long), Noted)
    world.ask(NoteKeyRotation(by=world.admin, kid=long, alg=long), Noted)
    for row in world.audit():
        assert len(row["details"]) < 300
        assert len(row["reason"] or "") <= 80
