"""Every kind of tampering is found, under the name of the invariant that it breaks."""

import shutil
import struct

import pandas as pd
import pytest

from agentsim.lineage import RULES, Violation, check
from agentsim.run import Run, save_manifest


def rules(violations):
    return {violation.rule for violation in violations}


def messages(violations, rule):
    return " | ".join(str(violation) for violation in violations if violation.rule == rule)


def where(frame, **values):
    """The index of the first row that has these values."""
    mask = pd.Series(True, index=frame.index)
    for column, value in values.items():
        mask &= frame[column].isna() if value is None else (frame[column] == value).fillna(False).astype(bool)
    return frame.index[mask][0]


def set_cell(value, column, **wanted):
    def change(frame):
        row = where(frame, **wanted)
        frame.at[row, column] = value(frame.loc[row]) if callable(value) else value

    return change


def drop_row(**wanted):
    return lambda frame: frame.drop(where(frame, **wanted))


def repeat_row(**wanted):
    def change(frame):
        row = where(frame, **wanted)
        again = frame.loc[[row]].assign(log_id=frame.at[row, "log_id"] + 1)
        return pd.concat([frame.loc[:row], again, frame.loc[row + 1 :]], ignore_index=True)

    return change


FIRST_CHILD = {"task_id": "review", "previous_token_id": None}
READ = {"task_id": "read"}
#: What is changed, in which table, and the rule and words that tell it. The audit chain is resealed after changes
#: to audit rows, so that nothing but the row itself gives them away.
TAMPERINGS = {
    "widened scope": (
        "tokens",
        set_cell("file_read:github web:github", "scope", **READ),
        "sets",
        "scope exceeds that of the parent's token: web:github",
    ),
    "a narrower path": (
        "tokens",
        set_cell("file_read:github/specific-evil", "scope", task_id="read-more"),
        None,
        None,
    ),
    "a sibling path with the same beginning": (
        "tokens",
        set_cell("file_read:github-evil", "scope", **READ),
        "sets",
        "file_read:github-evil",
    ),
    "a path that climbs": (
        "tokens",
        set_cell("file_read:github/specific/../../secrets", "scope", **READ),
        "sets",
        "file_read:github/specific/../../secrets",
    ),
    "widened tools": (
        "tokens",
        set_cell("file_read shell", "granted_tools", **READ),
        "sets",
        "granted_tools exceeds that of the parent's token: shell",
    ),
    "widened resources": (
        "tokens",
        set_cell("github secrets", "granted_resources", **READ),
        "sets",
        "granted_resources exceeds",
    ),
    "a refresh that widens": (
        "tokens",
        set_cell("file_read:github web:github", "scope", task_id="review", scope="file_read:github"),
        "sets",
        "scope exceeds that of the grant's first token: web:github",
    ),
    "raised level": ("tokens", set_cell("admin", "max_scope_level", **READ), "level", "the parent's token"),
    "unknown level": ("tokens", set_cell("root", "max_scope_level", **READ), "level", "none of minimal"),
    "root beyond its registration": (
        "tokens",
        set_cell("file_read:github web:intranet", "scope", task_id="quiet"),
        "registration",
        "scope exceeds that of the registration: web:intranet",
    ),
    "tools beyond the registration": (
        "agents",
        set_cell("file_read", "registered_allowed_tools", agent_name="lead"),
        "registration",
        "granted_tools exceeds that of the registration: web",
    ),
    "level beyond the registration": (
        "agents",
        set_cell("minimal", "max_scope_level", agent_name="lead"),
        "registration",
        "its level is above the registration's",
    ),
    "an unknown agent": ("agents", drop_row(agent_name="lead"), "registration", "not in the Run"),
    "token outlives its grant": (
        "tokens",
        set_cell(lambda row: row["grant_expires_at"] + 1, "expires_at", **READ),
        "expiry",
        "expires after its grant",
    ),
    "grant outlives its parent": (
        "tokens",
        set_cell(lambda row: row["grant_expires_at"] + 1, "grant_expires_at", **READ),
        "expiry",
        "its grant expires after the parent's",
    ),
    "token outlives the token that bounded it": (
        "tokens",
        set_cell(lambda row: row["expires_at"] + 1_000_000, "expires_at", **READ),
        "expiry",
        "parent's token that bounded it",
    ),
    "issued when the parent had expired": (
        "tokens",
        set_cell(lambda row: row["issued_at"] + 10_000_000_000, "issued_at", **READ),
        "expiry",
        "had expired",
    ),
    "another ancestor's key": (
        "tokens",
        set_cell(lambda row: struct.pack("<q", 7) + row["lineage"][8:], "lineage", **READ),
        "lineage",
        "does not begin with its parent's",
    ),
    "lineage without the parent": (
        "tokens",
        set_cell(lambda row: row["lineage"][24:], "lineage", **READ),
        "lineage",
        "not one triple for each level",
    ),
    "lineage of no whole triples": (
        "tokens",
        set_cell(b"abc", "lineage", **READ),
        "lineage",
        "not one triple for each level",
    ),
    "another depth": ("tokens", set_cell(1, "depth", **READ), "lineage", "not one level below its parent"),
    "another root": (
        "tokens",
        set_cell(lambda row: row["parent_grant_id"], "root_grant_id", **READ),
        "lineage",
        "another root than its parent",
    ),
    "a parent that is not there": ("tokens", drop_row(**FIRST_CHILD), "lineage", "parent is not in the Run"),
    "a refresh of another agent": (
        "tokens",
        set_cell(1, "client_id", task_id="review", scope="file_read:github"),
        "lineage",
        "another client_id than its grant",
    ),
    "an active descendant of a revoked grant": (
        "tokens",
        lambda frame: frame.update(
            pd.DataFrame({"is_revoked": [False]}, index=[where(frame, task_id="collect")])
        ),
        "closure",
        "active below a mark",
    ),
    "a token revoked without a mark": (
        "tokens",
        set_cell(lambda row: True, "is_revoked", task_id="quiet"),
        "closure",
        "not below the mark that it names",
    ),
    "revoked at no time": ("tokens", set_cell(None, "revoked_at", **READ), "closure", "revoked_at disagree"),
    "a mark that counts wrongly": (
        "revocations",
        set_cell(99, "affected_tokens", kind="client"),
        "closure",
        "affected_tokens",
    ),
    "a refusal of a revoked grant turned into a grant": (
        "audit",
        set_cell("granted", "status", event_type="token_verified", reason="revoked"),
        "marks",
        "token_verified): granted after the grant",
    ),
    "a refresh token used twice": (
        "tokens",
        set_cell(
            lambda row: row["grant_id"], "previous_token_id", task_id="review", refresh_consumed_at=None
        ),
        "refresh_once",
        "had been consumed",
    ),
    "a consumed refresh token that looks fresh": (
        "tokens",
        set_cell(None, "refresh_consumed_at", **FIRST_CHILD),
        "refresh_once",
        "not the moment of its exchange",
    ),
    "a refresh token consumed for nothing": (
        "tokens",
        set_cell(lambda row: row["issued_at"], "refresh_consumed_at", task_id="quiet"),
        "refresh_once",
        "no token came of it",
    ),
    "a refresh that came of nothing": (
        "tokens",
        set_cell(None, "previous_token_id", task_id="review", refresh_consumed_at=None),
        "refresh_once",
        "names no previous token",
    ),
    "a missing issue row": (
        "audit",
        drop_row(event_type="child_token_issued", status="granted"),
        "decisions",
        "1 rows in tokens, 0 audit rows child_token_issued",
    ),
    "a doubled issue row": (
        "audit",
        repeat_row(event_type="token_issued", status="granted"),
        "decisions",
        "1 rows in tokens, 2 audit rows token_issued",
    ),
    "a missing refresh row": (
        "audit",
        drop_row(event_type="token_refreshed", status="granted"),
        "decisions",
        "token_refreshed",
    ),
    "a missing registration": (
        "audit",
        drop_row(event_type="agent_registered"),
        "decisions",
        "rows in agents, 0",
    ),
    "a missing confirmation": (
        "audit",
        drop_row(event_type="agent_confirmed"),
        "decisions",
        "agent_confirmed",
    ),
    "a missing end": ("audit", drop_row(event_type="token_ended"), "decisions", "0 audit rows token_ended"),
    "an end of what goes on": (
        "tokens",
        set_cell(False, "is_revoked", **READ),
        "decisions",
        "0 rows in tokens, 1 audit rows token_ended",
    ),
    "an issue that is no longer there": (
        "tokens",
        drop_row(task_id="quiet"),
        "decisions",
        "0 rows in tokens, 1 audit rows token_issued",
    ),
    "an issue row about another agent": (
        "audit",
        set_cell(5, "client_id", event_type="child_token_issued", status="granted"),
        "decisions",
        "other things of its token",
    ),
    "a missing revocation row": (
        "audit",
        drop_row(event_type="token_revoked"),
        "decisions",
        "no audit row names it",
    ),
    "a mark that was taken back": ("revocations", drop_row(kind="task"), "decisions", "it is not in the Run"),
}


@pytest.mark.parametrize("story", TAMPERINGS)
def test_tampering_is_found(story, run, tamper, reseal):
    table, change, rule, words = TAMPERINGS[story]
    run = tamper(run, table, change)
    if table == "audit":
        run = reseal(run)
    found = check(run)
    if rule is None:
        assert found == []
    else:
        assert rule in rules(found)
        assert words in messages(found, rule)
        assert not rules(found) & {"files", "chain"}


def test_an_honest_run_breaks_no_rule(told_run):
    assert check(told_run) == []


def test_a_resealed_run_is_honest_again(run, reseal):
    assert check(reseal(run)) == []


def test_a_changed_file_is_found(run):
    path = run.files("windows")[0] if run.files("windows") else run.files("agents")[0]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    found = check(run)
    assert Violation("files", None, path.relative_to(run.path).as_posix(), run.remedy()) in found


def test_a_missing_file_is_told_and_what_it_hid_is_left_open(run):
    run.files("tokens")[0].unlink()
    found = check(Run(run.path))
    assert "files" in rules(found)
    assert "cannot be checked" in messages(found, "sets")
    assert "chain" not in rules(found)


def test_an_unfinished_run_is_told(run):
    run.manifest.status = "running"
    save_manifest(run)
    assert messages(check(Run(run.path)), "files") == "files: manifest: the Run is running, not complete"


def test_only_the_first_of_many_are_told(run, tamper):
    def widen(frame):
        frame["max_scope_level"] = "root"

    found = [violation for violation in check(tamper(run, "tokens", widen)) if violation.rule == "level"]
    assert len(found) == 21
    total = len(run.read("tokens"))
    assert found[-1].subject == f"{total - 20} more"


def test_each_rule_says_what_must_hold():
    assert all(rule.says.endswith(".") for rule in RULES.values())


def test_a_grace_window_allows_what_the_policy_allows(run, tamper):
    change = set_cell(
        lambda row: row["grant_id"], "previous_token_id", task_id="review", refresh_consumed_at=None
    )
    run = tamper(run, "tokens", change)
    run.manifest.policy["refresh_grace_us"] = 60_000_000
    save_manifest(run)
    assert "had been consumed" not in messages(check(Run(run.path)), "refresh_once")


#: The same of a Run in which registrations changed.
LATER_TAMPERINGS = {
    "a mark whose disabling is not told": (
        "audit",
        drop_row(event_type="agent_disabled"),
        "decisions",
        "no audit row names it",
    ),
    "a disabling that is no longer a mark": (
        "revocations",
        drop_row(kind="client"),
        "decisions",
        "it is not in the Run",
    ),
    "an agent that is active though disabled last": (
        "agents",
        set_cell(True, "is_active", agent_name="idle"),
        "disabled",
        "active, but it was disabled last",
    ),
    "a refusal of a disabled agent turned into a grant": (
        "audit",
        set_cell("granted", "status", event_type="token_issued", reason="agent_inactive"),
        "disabled",
        "(token_issued): granted while the agent was disabled",
    ),
    "an enabling that is not told": (
        "audit",
        drop_row(event_type="agent_enabled"),
        "disabled",
        "(child_token_issued): granted while the agent was disabled",
    ),
    "a confirmation that is told twice": (
        "audit",
        repeat_row(event_type="agent_confirmed"),
        "decisions",
        "1 rows in agents, 2 audit rows",
    ),
    "more than the registration has become": (
        "tokens",
        set_cell("web", "granted_tools", task_id="narrow"),
        "registration",
        "granted_tools exceeds that of the registration: web",
    ),
    "a level above what the registration has become": (
        "tokens",
        set_cell("standard", "max_scope_level", task_id="low"),
        "registration",
        "its level is above the registration's",
    ),
    "a change that is not told": (
        "audit",
        drop_row(event_type="agent_updated"),
        "registration",
        "granted_tools exceeds that of the registration: web",
    ),
}


def test_registrations_may_change_and_agents_come_and_go(lives_run):
    assert check(lives_run) == []


@pytest.mark.parametrize("story", LATER_TAMPERINGS)
def test_tampering_with_changed_registrations_is_found(story, lives_run, tmp_path, tamper, reseal):
    shutil.copytree(lives_run.path, tmp_path / "copy")
    table, change, rule, words = LATER_TAMPERINGS[story]
    run = tamper(Run(tmp_path / "copy"), table, change)
    if table == "audit":
        run = reseal(run)
    found = check(run)
    assert words in messages(found, rule)
    assert not rules(found) & {"files", "chain"}
