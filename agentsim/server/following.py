"""Following: a watcher is told of what was committed, and what it and the matcher ask for is carried out.

Beside the writer, between batches: whatever is decided here takes effect from the next batch on. Of several workers one
follows at a time; each carries out what its own matcher has asked for. Carried out twice, an action is what it was once.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import bindparam, select

from agentsim.server.answers import Answer
from agentsim.server.audit import COLUMNS
from agentsim.server.core import Server
from agentsim.server.errors import OAuthError
from agentsim.server.ids import first_id
from agentsim.server.operations import Operation
from agentsim.server.schema import AuditRow
from agentsim.server.statements import CHAINS
from agentsim.server.store import Store, table
from agentsim.server.watch import Action, Watcher

_AUDIT = table(AuditRow)
_HEADS = select(CHAINS.c.chain, CHAINS.c.log_id).order_by(CHAINS.c.chain)
#: By the primary key: a chain's rows lie between those of others, which are passed over.
_NEWS = (
    select(*(_AUDIT.c[name] for name in COLUMNS))
    .where(_AUDIT.c.chain == bindparam("of"), _AUDIT.c.log_id > bindparam("after"))
    .where(_AUDIT.c.log_id <= bindparam("head"))
    .order_by(_AUDIT.c.log_id)
    .limit(bindparam("most"))
)
#: Rows that are handed over together.
_TOGETHER = 10_000


class AuditReader:
    """Reads each audit chain from where it stopped, up to what has been committed.

    Parameters
    ----------
    since : microseconds; rows that are older are not read.
    """

    def __init__(self, store: Store, since: int = 0) -> None:
        self._store = store
        self._from = first_id(since) - 1
        self._cursors: dict[int, int] = {}

    def news(self) -> Iterator[list[tuple[Any, ...]]]:
        """What has come since the last call: :data:`agentsim.server.audit.COLUMNS`, each chain in its order."""
        with self._store.reading() as connection:
            heads = [(row.chain, row.log_id) for row in connection.execute(_HEADS)]
        for chain, head in heads:
            # Each part in a transaction of its own: whoever takes the rows in may take its time.
            while (after := self._cursors.get(chain, self._from)) < head:
                asked = {"of": chain, "after": after, "head": head, "most": _TOGETHER}
                with self._store.reading() as connection:
                    rows = [tuple(row) for row in connection.execute(_NEWS, asked)]
                self._cursors[chain] = rows[-1][0] if len(rows) == _TOGETHER else head
                if rows:
                    yield rows


class Follower:
    """Lets one server be watched.

    Parameters
    ----------
    watcher : None where only the server's own matcher is at work.
    leads : whether this is the one worker that follows; it may become so later.
    since : microseconds; None where nothing has happened yet. Else the watcher is told what has happened from then on,
        when it begins to follow, and nothing is done about that: people may have decided otherwise meanwhile.
    """

    def __init__(
        self,
        server: Server,
        watcher: Watcher | None,
        *,
        leads: Callable[[], bool] = lambda: True,
        since: int | None = None,
    ) -> None:
        self._server = server
        self._watcher = watcher
        self._leads = leads
        self._reader = AuditReader(server.store, since or 0)
        self._remembers = since is None
        self._waiting: list[Action] = []

    def step(self, now: int) -> list[tuple[Operation, Answer | OAuthError]]:
        """Tell what is new, and carry out what is asked for.

        Parameters
        ----------
        now : microseconds; the moment of what is carried out.

        Returns
        -------
        What was done, and how the server answered.

        Raises
        ------
        ConflictError, SQLAlchemyError
            If the database is away: nothing is lost, the next step does it.
        """
        self._waiting += self._server.due()
        if self._watcher is not None and self._leads():
            self._waiting += self._asked(self._watcher, now)
        wanted: dict[tuple[str, int], Action] = {}
        for action in self._waiting:
            wanted.setdefault((action.kind, action.subject), action)
        operations = [action.operation() for action in wanted.values()]
        answers = self._server.execute(operations, at=[now] * len(operations)) if operations else []
        self._waiting.clear()
        return list(zip(operations, answers, strict=True))

    def _asked(self, watcher: Watcher, now: int) -> Sequence[Action]:
        for rows in self._reader.news():
            watcher.take(rows)
        due = watcher.due(now)
        remembered, self._remembers = self._remembers, True
        return due if remembered else ()
