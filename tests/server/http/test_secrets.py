"""Secrets: told once to whom they belong, and never found in a table, a log or a refusal."""

import re
import sqlite3
from contextlib import closing
from itertools import chain
from typing import Any


def test_no_secret_is_ever_kept_or_told_in_clear(make_site: Any) -> None:
    site = make_site()
    made = site.register()
    site.confirm(made)
    agent = (made["client_id"], made["client_secret"])
    root = site.root(agent)
    child = site.child(site.agent(), root)
    fresh = site.refresh(agent, root).json()
    tokens = [grant[kind] for grant in (root, child, fresh) for kind in ("access_token", "refresh_token")]
    kinds = ("client_secret", "registration_token", "registration_access_token")
    secrets = [
        *tokens,
        *(made[kind] for kind in kinds),
        site.as_admin["Authorization"].removeprefix("Bearer "),
    ]
    bodies = [answer.text for secret in secrets for answer in misplaced(site, agent, secret)]
    rotated = site.post(f"/register/{made['client_id']}/secret", headers=site.as_admin).json()[
        "client_secret"
    ]
    site.post("/revoke", auth=(made["client_id"], rotated), data={"token": fresh["access_token"]})
    assert site.refusals_at_the_door("list_agents", "not_admin") > 0
    everything = "\n".join([*dump(site.database), site.log_file.read_text(), *bodies])
    assert made["client_id"] in everything
    for secret in (*secrets, rotated):
        # Of a JWT the signature, of a keyed token the half that is secret: no part that would do.
        assert secret.rpartition(".")[2] not in everything
        assert re.sub(r"^(rt|reg|rat)_\d+_", "", secret) not in everything


def misplaced(site: Any, agent: tuple[str, str], secret: str) -> list[Any]:
    """Requests that hold a secret where it does not belong, and are refused for it or for something else."""
    client_id, client_secret = agent
    form = {"grant_type": "client_credentials", "scope": "file_read:github"}
    return [
        # Name and secret changed places; the token endpoint took one for the other.
        site.post("/token", auth=(secret, client_id), data=form),
        site.post("/token", data={**form, "client_id": secret, "client_secret": client_id}),
        site.post("/introspect", auth=(secret, client_id), data={"token": "x"}),
        site.post("/revoke", auth=(secret, client_id), data={"token": "x"}),
        site.post("/verify", json={"token": "x", "client_id": secret, "client_secret": client_id}),
        site.post("/token", auth=(client_id, f"{client_secret}x"), data={**form, "parent_token": secret}),
        site.ask(agent, grant_type="refresh_token", refresh_token=f"x{secret}"),
        site.ask(agent, **form, parent_token=f"{secret}x"),
        site.post("/introspect", auth=agent, data={"token": f"{secret}x"}),
        site.post("/verify", auth=agent, json={"token": f"{secret}x"}),
        site.post("/revoke", auth=agent, data={"token": f"{secret}x"}),
        site.get("/admin/agents", headers={"Authorization": f"Bearer {secret}x"}),
        site.get(f"/register/{client_id}", headers={"Authorization": f"Bearer {secret}x"}),
        site.post("/register/confirm", json={"registration_token": f"{secret}x"}),
    ]


def dump(url: str) -> list[str]:
    """All rows of all tables as text; bytes both as they are and as hexadecimal digits."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = chain.from_iterable(database.execute(f"SELECT * FROM {name}") for name in names)
        values = list(chain.from_iterable(rows))
    assert len(names) >= 8
    raw = [value for value in values if isinstance(value, bytes)]
    return [str(value) for value in values] + [
        text for each in raw for text in (each.hex(), each.decode("latin-1"))
    ]
