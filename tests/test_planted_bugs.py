"""Bugs that the suite must find: each is planted into a copy of the package, and the tests named for it must fail there.

They must fail by what they assert, and pass without the bug. A bug is planted by replacing text of the source that must
be there exactly once: a patch that does nothing is a failure of its own.
"""

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
#: How a test fails that found something, by the beginning of what is reported of it.
FINDINGS = ("AssertionError", "assert ", "Failed: DID NOT RAISE")


@dataclass(frozen=True, kw_only=True)
class Bug:
    """A bug, where it goes, and the tests that must find it."""

    name: str
    #: Below ``agentsim/server``.
    module: str
    old: str
    new: str
    #: Below ``tests/server``.
    tests: tuple[str, ...]


BUGS = (
    Bug(
        name="subset check skipped",
        module="terms.py",
        old="""
        if parent is not None:
            within("scope", scope, parent.scope, "parent")
            within("tools", tools, parent.tools, "parent")
            within("resources", resources, parent.resources, "parent")
""",
        new="\n",
        tests=("test_grants.py::test_a_child_never_has_more_than_its_parent",),
    ),
    Bug(
        name="mark unchecked at verify",
        module="verification.py",
        old="    if batch.ended_by(claims.lineage, claims.owner, claims.principal) is not None:\n",
        new="    if claims.token_id < 0:\n",
        tests=(
            "test_revocation.py::test_the_documents_revocation",
            "test_revocation.py::test_a_deep_chain_dies_to_the_last_grant",
            "test_revocation.py::test_a_principals_mark_ends_what_was_issued_before_it",
        ),
    ),
    Bug(
        name="barrier missing",
        module="databases/postgresql.py",
        old="        connection.exec_driver_sql(_LOCK if exclusive else _LOCK_SHARED, (self._space, _BARRIER))\n",
        new="        assert connection\n",
        tests=(
            "test_concurrency.py::test_a_fill_waits_for_a_child_on_its_way[True]",
            "test_concurrency.py::test_a_mark_on_an_agent_comes_after_what_is_on_its_way[True]",
        ),
    ),
    Bug(
        name="refresh consumed without its row count checked",
        module="store.py",
        old="        if done.rowcount != len(changes):\n",
        new="        if done.rowcount > len(changes):\n",
        tests=(
            "test_store.py::test_consuming_what_is_consumed_already_is_a_conflict",
            "test_concurrency.py::test_the_same_refresh_token_at_once_is_a_replay_for_the_later",
        ),
    ),
    Bug(
        name="audit row missing",
        module="decisions.py",
        old="    result.log_id = batch.trail.append(entry)\n",
        new='    if entry.status == "granted":\n        result.log_id = batch.trail.append(entry)\n',
        tests=("test_audit.py::test_every_decision_has_exactly_one_row",),
    ),
    Bug(
        name="typ unchecked",
        module="tokens.py",
        old="        found = view.by_header.get(header)\n        if found is None and",
        new="""
        try:
            named = orjson.loads(decode_segment(header))
            same = [key for key in view.by_header.values() if key[0].kid == named["kid"]]
            found = same[0] if same and same[0][0].alg == named["alg"] else None
        except (KeyError, TypeError, ValueError):
            found = None
        if found is None and""",
        tests=("test_tokens.py::test_a_header_that_is_not_an_access_tokens_is_refused",),
    ),
    Bug(
        name="expiry not bounded by the parent",
        module="grants.py",
        old="min(whole_second(now + batch.policy.access_ttl_us), parent.expires_at)",
        new="whole_second(now + batch.policy.access_ttl_us)",
        tests=("test_grants.py::test_a_child_expires_no_later_than_its_parents_token",),
    ),
    Bug(
        name="budget not carved",
        module="budgets.py",
        old="        batch.loaded.ledger.spend(above, claims.budget, None)\n",
        new="        pass\n",
        tests=("test_budgets.py::test_siblings_together_never_have_more_than_their_parent",),
    ),
    Bug(
        name="path-segment check by string prefix",
        module="scopes.py",
        old="    while member not in granted:\n",
        new="    while not member.startswith(tuple(granted)):\n",
        tests=("test_scopes.py::test_containment",),
    ),
    Bug(
        name="chain not linked",
        module="audit.py",
        old="        head.row_hash = link(head.row_hash, values)\n",
        new="        head.row_hash = link(GENESIS, values)\n",
        tests=(
            "test_audit.py::test_the_digest_is_what_the_page_says",
            "test_audit.py::test_rows_that_are_added_together_are_those_that_are_added_one_by_one",
        ),
    ),
)


class Copy:
    """A copy of the package and its tests, and what its tests say."""

    def __init__(self, folder: Path, postgres: str | None) -> None:
        self.folder, self._postgres = folder, postgres
        for part in ("agentsim", "tests"):
            ignored = shutil.ignore_patterns("__pycache__", "node_modules")
            shutil.copytree(ROOT / part, folder / part, ignore=ignored)
        shutil.copy(ROOT / "pyproject.toml", folder)

    def plant(self, bug: Bug) -> None:
        """Put a bug in."""
        place = self.folder / "agentsim/server" / bug.module
        source = place.read_text()
        found = source.count(bug.old)
        assert found == 1, f"{bug.name}: its text is {found} times in {bug.module}; plant it anew"
        place.write_text(source.replace(bug.old, bug.new))

    def heal(self, bug: Bug) -> None:
        """Take it out again."""
        shutil.copy(ROOT / "agentsim/server" / bug.module, self.folder / "agentsim/server" / bug.module)

    def outcomes(self, tests: Iterable[str]) -> dict[str, list[str]]:
        """Of each of these tests what became of it, or of each of its cases: nothing said is a success."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        wanted = {"PYTHONPATH": str(self.folder)}
        if self._postgres is not None:
            wanted["AGENTSIM_TEST_POSTGRES"] = self._postgres
        ran = subprocess.run(
            [*command, *(f"tests/server/{test}" for test in tests)],
            cwd=self.folder,
            env=os.environ | wanted,
            capture_output=True,
            text=True,
            check=False,
        )
        # 0: all passed, 1: some failed. Anything else is no answer: it could not even begin.
        assert ran.returncode in (0, 1), ran.stdout + ran.stderr
        told: dict[str, list[str]] = {test: [] for test in tests}
        for case in ElementTree.parse(report).iter("testcase"):
            file = case.attrib["classname"].rpartition(".")[2] + ".py"
            exact = f"{file}::{case.attrib['name']}"
            test = exact if exact in told else exact.partition("[")[0]
            told[test].append(_outcome(case))
        return told


def _outcome(case: ElementTree.Element) -> str:
    for kind in ("error", "failure", "skipped"):
        if (found := case.find(kind)) is not None:
            return f"{kind}: {found.attrib.get('message', '')}"
    return ""


@pytest.fixture(scope="module")
def copy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    try:
        postgres: str | None = request.getfixturevalue("postgres")
    except pytest.skip.Exception:
        postgres = None
    return Copy(tmp_path_factory.mktemp("planted"), postgres)


@pytest.fixture(scope="module")
def sound(copy: Copy) -> dict[str, list[str]]:
    """What the tests say where nothing has been planted."""
    outside = subprocess.run(
        [sys.executable, "-c", "import agentsim; print(agentsim.__file__)"],
        cwd=copy.folder,
        env=os.environ | {"PYTHONPATH": str(copy.folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(outside.stdout.strip()).is_relative_to(copy.folder), "the copy is not what would be tested"
    return copy.outcomes(dict.fromkeys(test for bug in BUGS for test in bug.tests))


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_a_planted_bug_is_found(bug: Bug, copy: Copy, sound: dict[str, list[str]]) -> None:
    before = {test: sound[test] for test in bug.tests}
    tests = [test for test, outcomes in before.items() if not any(o.startswith("skipped") for o in outcomes)]
    if not tests:
        pytest.skip(f"its tests are skipped here: {before}")
    assert all(before[test] and not any(before[test]) for test in tests), f"fails without the bug: {before}"
    copy.plant(bug)
    try:
        after = copy.outcomes(tests)
    finally:
        copy.heal(bug)
    for test, outcomes in after.items():
        failures = [told.removeprefix("failure: ") for told in outcomes if told.startswith("failure: ")]
        assert failures, f"{test} does not find it: {outcomes}"
        assert all(told.startswith(FINDINGS) for told in failures), f"{test} fails otherwise: {failures}"


def test_all_ten_are_planted() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS) == 10
