"""One worker of several on one PostgreSQL: its threads issue, delegate, refresh, verify and revoke in shared trees.

Run as a program, ``hammer.py BOARD URL NUMBER TURNS``. BOARD is a folder in which the workers tell each other of
tokens, a file each. It prints ``done`` after its turns; a line on its standard input then lets it ask about every
token that any worker has told of, and write down what it saw.
"""

import json
import random
import sys
import threading
import time
from pathlib import Path
from typing import Any

from agentsim.server import (
    Admin,
    Client,
    Issue,
    IssueChild,
    KeyRing,
    OAuthError,
    Operation,
    Policy,
    Refresh,
    Revocation,
    Revoke,
    Server,
    SigningKey,
    Store,
    SystemClock,
    TokenGrant,
    Verification,
    Verify,
)

SEED = b"hammer"
POLICY = Policy(max_depth=8, max_fanout=10_000)
TASKS = [f"task {number}" for number in range(60)]
PEOPLE = [f"user {number}" for number in range(6)]
THREADS = 3


class SkewedClock:
    """Clocks of different machines are not the same."""

    def __init__(self, skew: int) -> None:
        self.skew = skew

    def now(self) -> int:
        return SystemClock().now() + self.skew


class SlowStore(Store):
    """Leaves others the time to come between what a batch has read and what it writes."""

    def write(self, connection: Any, batch: Any) -> None:
        super().write(connection, batch)
        if batch.inserts["revocations"] or random.random() < 0.3:
            time.sleep(random.uniform(0, 0.05))


class Board:
    """Tokens that any worker has told of."""

    def __init__(self, folder: Path, own: int) -> None:
        self.folder = folder
        self.tokens: list[dict[str, Any]] = []
        self._own = (folder / f"tokens-{own}").open("a")
        self._read: dict[Path, int] = {}
        self._lock = threading.Lock()

    def tell(self, token: dict[str, Any]) -> None:
        with self._lock:
            self._own.write(json.dumps(token) + "\n")
            self._own.flush()

    def look(self) -> None:
        """Take in what was told since the last look."""
        with self._lock:
            for path in self.folder.glob("tokens-*"):
                told = path.read_text()[self._read.get(path, 0) :]
                told = told[: told.rfind("\n") + 1]
                self._read[path] = self._read.get(path, 0) + len(told)
                self.tokens += map(json.loads, told.splitlines())


class Worker:
    """A server of its own on the shared database, and what it was answered."""

    def __init__(self, folder: Path, url: str, number: int) -> None:
        store = SlowStore(url, synchronous="OFF")
        self.server = Server(
            store,
            policy=POLICY,
            clock=SkewedClock((number - 1) * 3_000_000),
            keyring=KeyRing(SigningKey.from_seed(SEED)),
            writer=store.claim_writer(),
        )
        self.number = number
        self.board = Board(folder, number)
        self.agents = [Client(*words) for words in json.loads((folder / "agents").read_text())]
        self.report: dict[str, list[Any]] = {"answers": [], "issues": [], "revocations": [], "faults": []}

    def run(self, turns: int) -> None:
        threads = [
            threading.Thread(target=self._turns, args=(turns, random.Random(self.number * 100 + n)))
            for n in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _turns(self, turns: int, draw: random.Random) -> None:
        try:
            for _ in range(turns):
                self.board.look()
                self._ask([self._operation(draw) for _ in range(draw.choice((1, 1, 2, 5)))])
                for _ in range(3):
                    if self.server.pending():
                        self.server.fill(draw.choice((10, 1_000)))
        except BaseException as fault:
            self.report["faults"].append(repr(fault))

    def _operation(self, draw: random.Random) -> Operation:
        by, scope = draw.choice(self.agents), "file_read:github"
        kind = draw.choices(
            ("issue", "child", "refresh", "verify", "token", "task", "client", "principal"),
            (15, 40, 20, 15, 8, 1, 0.5, 0.5),
        )[0]
        if kind == "issue" or not self.board.tokens:
            return Issue(by=by, task_id=draw.choice(TASKS), scope=scope, principal=draw.choice(PEOPLE))
        # Mostly what all the others see as the newest, too, so that they meet.
        token = self.board.tokens[-1 - min(int(draw.expovariate(0.1)), len(self.board.tokens) - 1)]
        admin = Admin("acme")
        match kind:
            case "child":
                return IssueChild(
                    by=by, parent_token=token["access"], task_id=draw.choice(TASKS) + " b", scope=scope
                )
            case "refresh":
                owner = next(agent for agent in self.agents if agent.client_id == token["client"])
                return Refresh(by=owner, refresh_token=token["refresh"])
            case "verify":
                return Verify(token=token["access"], required_tools=["file_read"])
            case "token":
                return Revoke(by=admin, token=token["access"], cascade=draw.random() < 0.8)
            case "task":
                return Revoke(by=admin, task_id=draw.choice(TASKS) + draw.choice(("", " b")))
            case "client":
                return Revoke(by=admin, client_id=by.client_id)
            case _:
                return Revoke(by=admin, principal=draw.choice(PEOPLE))

    def _ask(self, operations: list[Operation]) -> None:
        began = time.monotonic()
        answers = self.server.execute(operations)
        ended = time.monotonic()
        for operation, answer in zip(operations, answers, strict=True):
            self.report["answers"].append(answer.log_id)
            if isinstance(answer, TokenGrant):
                assert isinstance(operation, Issue | IssueChild | Refresh)
                client = operation.by.client_id
                told = {"access": answer.access_token, "refresh": answer.refresh_token, "client": client}
                self.board.tell(told)
                self.report["issues"].append([answer.access_token, began, ended])
            elif isinstance(answer, Revocation) and answer.revocation_id:
                self.report["revocations"].append([answer.revocation_id, began, ended])
            elif not isinstance(answer, OAuthError | Verification | Revocation):
                self.report["faults"].append(repr(answer))

    def finish(self) -> None:
        """Ask about every token, as this server sees it now."""
        self.board.look()
        asked = [token["access"] for token in self.board.tokens]
        answers = self.server.execute([Verify(token=token, required_tools=["file_read"]) for token in asked])
        self.report["answers"] += [answer.log_id for answer in answers]
        active = [
            token
            for token, answer in zip(asked, answers, strict=True)
            if isinstance(answer, Verification) and answer.is_valid
        ]
        written = json.dumps(self.report | {"active": active})
        (self.board.folder / f"report-{self.number}").write_text(written)
        self.server.close()


if __name__ == "__main__":
    worker = Worker(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
    worker.run(int(sys.argv[4]))
    sys.stdout.write("done\n")
    sys.stdout.flush()
    sys.stdin.readline()
    worker.finish()
