"""The server: ordered batches of operations in, answers and refusals out.

``execute`` loads what the batch needs, lets the decisions work on it in order, and writes once. Inside one process
a lock lets one batch at a time through; several processes on one PostgreSQL, each a writer of its own, work side by
side and are kept apart by the store.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from time import perf_counter_ns
from typing import TypeVar

from sqlalchemy import Connection

from agentsim.server.acquaintances import Acquaintances
from agentsim.server.admission import find_fault
from agentsim.server.answers import Answer, Noted
from agentsim.server.audit import Head, Trail
from agentsim.server.batch import Batch
from agentsim.server.claims import Claims
from agentsim.server.cleaning import Cleaned, Cleaner
from agentsim.server.clock import SECOND, Clock, SystemClock
from agentsim.server.closure import Closed, Closure, Filler, read_closure
from agentsim.server.credentials import Secrets, SystemSecrets
from agentsim.server.decisions import decide, is_exclusive
from agentsim.server.errors import InvalidToken, OAuthError, TooManyRequests
from agentsim.server.ids import IdGenerator
from agentsim.server.keyring import KeyRing
from agentsim.server.keys import Algorithm, SigningKey
from agentsim.server.limits import NOBODY, Buckets, Key
from agentsim.server.marks import MarkIndex
from agentsim.server.needs import Needs, collect
from agentsim.server.operations import Operation
from agentsim.server.operations.notes import NotePolicy
from agentsim.server.parties import Admin
from agentsim.server.policy import Policy
from agentsim.server.rules import lists_agents
from agentsim.server.store import ConflictError, Store
from agentsim.server.throttling import too_many
from agentsim.server.tokens import TokenCodec
from agentsim.server.watch import Action, PatternMatcher

#: How often a batch is decided anew when another writer was faster.
_ATTEMPTS = 5

#: How long other workers may go on with the old key before they notice a rotation.
NOTICE_US = 60 * SECOND

_Value = TypeVar("_Value")


class Server:
    """A token server for AI agents.

    Parameters
    ----------
    store : its database; by default one in memory.
    policy : what the organisation allows.
    clock, secrets, keyring : time, randomness and the signing keys; by default the system's and a new key.
    matcher : judges execution patterns as they are verified; without one ``historical_pattern_match`` is null.
    writer : number of this writer: of its ids and of its audit chain.
    sharers : how many servers share the policy's rate limits, this one included: each takes its part.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        policy: Policy | None = None,
        clock: Clock | None = None,
        secrets: Secrets | None = None,
        keyring: KeyRing | None = None,
        matcher: PatternMatcher | None = None,
        writer: int = 0,
        sharers: int = 1,
    ) -> None:
        self.store = store or Store()
        self.policy = policy or Policy()
        self._clock = clock or SystemClock()
        self._secrets = secrets or SystemSecrets()
        self.keyring = keyring or KeyRing(SigningKey.generate())
        self._codec = TokenCodec(self.policy.issuer, self.policy.audiences, self.keyring)
        self.matcher = matcher
        self._due: list[Action] = []
        self._writer = writer
        self._head: Head | None = self.store.head(writer)
        self._ids = IdGenerator(writer, last=self._head.log_id)
        self._marks = MarkIndex()
        self._marks_read = 0
        self._filler = Filler(self.store, self._ids)
        self._cleaner = Cleaner(self.store, self._ids)
        self._buckets = Buckets(sharers)
        #: The clients that it has met lately.
        self.acquaintances = Acquaintances()
        self._lock = Lock()
        #: Nanoseconds spent so far, by stage: ``load``, ``write``, ``fill``, ``clean`` and each operation's decision.
        self.spent: Counter[str] = Counter()

    def execute(
        self, operations: Sequence[Operation], at: Sequence[int] | None = None
    ) -> list[Answer | OAuthError]:
        """Answer each operation in order; a refused one is answered by its error.

        Parameters
        ----------
        operations : any mixture; however it is cut into calls, answers and rows are the same.
        at : the moment of each operation in microseconds; by default the clock's present for all.

        Returns
        -------
        One answer or :class:`OAuthError` per operation.
        """
        times = [self._clock.now()] * len(operations) if at is None else at
        faults = [find_fault(operation) for operation in operations]
        with self._lock:
            return self._undisturbed(lambda: self._execute(operations, times, faults))

    def ask(self, operation: Operation, answer: type[_Value]) -> _Value:
        """Execute one operation and return its answer.

        Raises
        ------
        OAuthError
            If it is refused.
        """
        (result,) = self.execute([operation])
        if isinstance(result, OAuthError):
            raise result
        assert isinstance(result, answer)
        return result

    def fill(self, limit: int = 10_000, at: int | None = None) -> list[Closed]:
        """Fill in rows below marks, and let budgets flow back: one transaction of at most ``limit`` tokens.

        Returns
        -------
        The marks whose closure this call completed; call again until :meth:`pending` is false.
        """
        with self._lock:
            began = perf_counter_ns()
            now = self._clock.now() if at is None else at
            closed, self._head = self._undisturbed(lambda: self._filler.step(self._take_head(), limit, now))
            self._marks.closed.update((mark.revocation_id, mark.affected_grants) for mark in closed)
            self._spend("fill", began)
        return closed

    def pending(self, at: int | None = None) -> bool:
        """Whether rows wait to be filled in by this server; not while another one is found doing so."""
        with self._lock:
            return self._filler.pending(self._clock.now() if at is None else at)

    def clean(
        self, keep_us: int, limit: int = 1_000, at: int | None = None, by: Admin | None = None
    ) -> Cleaned:
        """Remove what is long over: one bounded transaction; call again while it says that there may be more.

        Where anything goes, an audit row says by whose wish and how much.

        Parameters
        ----------
        keep_us : how long a tree is kept after the absolute expiry of its root, an hour at least.
        limit : how many rows go at most, about.
        by : whose wish it is; None: the server's own.
        """
        with self._lock:
            began = perf_counter_ns()
            now = self._clock.now() if at is None else at
            with self.store.reading() as connection:
                self._read_marks(connection, exclusive=False)
            wish = "server" if by is None else by.owner[:80]
            cleaned, self._head = self._undisturbed(
                lambda: self._cleaner.step(self._take_head(), self._marks, keep_us, limit, now, wish)
            )
            self._spend("clean", began)
        return cleaned

    @property
    def chain(self) -> int:
        """The audit chain that it writes."""
        return self._writer

    def head(self) -> Head:
        """The end of its audit chain, as it knows it itself: the last row that it has committed."""
        with self._lock:
            head = self._head = self._take_head()
            return Head(head.chain, head.log_id, head.row_hash, head.length)

    def due(self) -> list[Action]:
        """What the matcher wants done since the last call, in the order of the uses; their grants are held already."""
        with self._lock:
            due, self._due = self._due, []
        return due

    def rest(self) -> float | None:
        """Seconds until a budget ends whose rest will flow back; None where none is known."""
        next_end = self._filler.returns.next_end
        return None if next_end is None else max(0.0, (next_end - self._clock.now()) / SECOND)

    def rotate_key(
        self, alg: Algorithm, before: Callable[[SigningKey], None] = lambda _key: None
    ) -> SigningKey:
        """Let a new key sign; the old one is served until the last token that it may have signed has expired.

        Parameters
        ----------
        before : is given the new key before it signs; where that fails, nothing has changed.

        Raises
        ------
        KeyFileError
            If these keys cannot be rotated here.
        """
        now = self._clock.now()
        # Lifetimes may have been longer before: those tokens are good still.
        last = max(now + self.policy.access_ttl_us, self.store.last_expiry())
        return self.keyring.rotate(alg, now, last + NOTICE_US, before)

    def change_policy(self, policy: Policy, by: Admin, at: int | None = None) -> Policy:
        """Let other rules stand from now on; the issuer stays, since it is in every token.

        Parameters
        ----------
        at : the present in microseconds; by default the clock's.

        Returns
        -------
        The rules that stand. Where they are those that stood before, nothing is written.
        """
        changed = policy.model_copy(update={"issuer": self.policy.issuer})
        if changed.digest != self.policy.digest:
            # Between two batches: what is decided in one is decided by the same rules.
            with self._lock:
                self.policy = changed
                self._codec = TokenCodec(changed.issuer, changed.audiences, self.keyring)
            noted = self.execute([NotePolicy(by=by, digest=changed.digest)], None if at is None else [at])
            assert isinstance(noted[0], Noted)
        return self.policy

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys (RFC 7517 section 5)."""
        return self.keyring.jwks(self._clock.now())

    def closure(self, revocation_id: int, most: int = 1_000) -> Closure | None:
        """How far the fill of a revocation has come, whichever worker does it; None where there is no such one.

        Parameters
        ----------
        most : how many of the tasks that it ended are told.
        """
        with self.store.reading() as connection:
            return read_closure(connection, revocation_id, most)

    def peek(
        self, client_id: int, tree: int | None = None, ahead: Mapping[Key, int] = NOBODY
    ) -> TooManyRequests | None:
        """The refusal that a client would meet at once, for an empty bucket of its own, its class or a tree.

        Nothing is charged, no database is asked, and any thread may call this.

        Parameters
        ----------
        ahead : how many requests go before this one and have not been charged yet, by bucket.
        """
        actor_class = self.acquaintances.actor_class(client_id)
        buckets = self._buckets.draft(self.policy.limits)
        short = buckets.shortage(self._clock.now(), client_id, actor_class, tree, ahead)
        return None if short is None else too_many(short, actor_class)

    def claims_of(self, token: str) -> Claims | None:
        """What a token says that is signed here, whether it still holds or not; None for any other."""
        try:
            return self._codec.decode(token)
        except InvalidToken:
            return None

    def close(self) -> None:
        """Close the database. Nothing that was answered is lost."""
        self.store.close()

    def _undisturbed(self, work: Callable[[], _Value]) -> _Value:
        """Do what is one transaction until no other writer comes between."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.store.pause(attempt)
            try:
                return work()
            except ConflictError as conflict:
                last = conflict
        raise ConflictError(f"other writers were faster {_ATTEMPTS} times in a row") from last

    def _execute(
        self, operations: Sequence[Operation], times: Sequence[int], faults: Sequence[str | None]
    ) -> list[Answer | OAuthError]:
        head = self._take_head()
        with self.store.transaction() as connection:
            began = perf_counter_ns()
            exclusive = any(map(is_exclusive, operations))
            self.store.pass_barrier(connection, exclusive=exclusive)
            self._read_marks(connection, exclusive=exclusive)
            batch = self._load(connection, operations, faults, head)
            self._spend("load", began)
            answers = [
                self._decide(batch, operation, now, fault)
                for operation, now, fault in zip(operations, times, faults, strict=True)
            ]
            began = perf_counter_ns()
            self.store.write(connection, batch)
        self._spend("write", began)
        self._head = batch.trail.head
        self._buckets.take(batch.buckets)
        self.acquaintances.learn(batch.met)
        self._due += batch.actions
        for row in batch.inserts["revocations"]:
            self._marks.add(row)
            self._filler.wake()
        self._filler.returns.note(batch.loaded.ledger.moved())
        return answers

    def _take_head(self) -> Head:
        """The end of the chain; from here to the commit it is the database's to tell, whatever goes wrong."""
        head, self._head = self._head, None
        if head is None:
            head = self.store.head(self._writer)
            self._ids.pass_by(head.log_id)
        return head

    def _read_marks(self, connection: Connection, *, exclusive: bool) -> None:
        """Take in marks committed since the last batch, and keep ids in the order of commits.

        Marks on agents and principals end what has a smaller id, so what is issued after one must have a larger
        id, and the mark a larger one than what was issued or consented to before, whichever writer made them.
        """
        marks, self._marks_read = self.store.marks_after(connection, self._marks_read)
        for row in marks:
            # Our own come back here, too; those have woken the filler when they were made.
            if not self._marks.knows(row):
                self._filler.wake()
            self._marks.add(row)
            self._ids.pass_by(row["revocation_id"])
        if exclusive:
            self._ids.pass_by(self.store.newest_given(connection))

    def _load(
        self,
        connection: Connection,
        operations: Sequence[Operation],
        faults: Sequence[str | None],
        head: Head,
    ) -> Batch:
        needs = Needs(with_lineage=lists_agents(self.policy))
        for operation, fault in zip(operations, faults, strict=True):
            if fault is None:
                collect(self._codec, operation, needs, with_agent=self._wants_agent)
        return Batch(
            policy=self.policy,
            codec=self._codec,
            secrets=self._secrets,
            ids=self._ids,
            matcher=self.matcher,
            remembered_role=self.acquaintances.role,
            old_marks=self._marks,
            loaded=self.store.load(connection, needs),
            trail=Trail(head, self._ids),
            buckets=self._buckets.draft(self.policy.limits),
        )

    def _wants_agent(self, client_id: int) -> bool:
        """Whether the agent of a token is to be loaded: for its class, or for its role where that is not remembered."""
        if self.policy.limits.classes:
            return True
        return self.matcher is not None and self.acquaintances.role(client_id) is None

    def _decide(self, batch: Batch, operation: Operation, now: int, fault: str | None) -> Answer | OAuthError:
        began = perf_counter_ns()
        answer = decide(batch, operation, now, fault)
        self._spend(type(operation).__name__, began)
        return answer

    def _spend(self, stage: str, began: int) -> None:
        self.spent[stage] += perf_counter_ns() - began
