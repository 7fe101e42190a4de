"""A Run's tables as sorted arrays, read once and shared by the rules that compare row with row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from agentsim.lineage.forest import Indices, find, ranges
from agentsim.run import Run
from agentsim.tables import SCHEMAS

_TRIPLE = 24
#: Texts of tokens that no rule looks at and that are all different.
_UNUSED = ("task_id", "parent_task_id", "task_description")


class Columns:
    """One table, rows by ascending id. Nullable integers have 0 for null: ids and times are positive."""

    def __init__(self, table: pa.Table, key: str) -> None:
        ids = table[key].to_numpy()
        if (ids[1:] < ids[:-1]).any():
            # The rows of one tenant are in order as they are written; only tenants lie between each other.
            table = table.take(np.argsort(ids, kind="stable"))
        self._table = table.unify_dictionaries().combine_chunks()
        self._cache: dict[str, Any] = {}
        self.ids = self.ints(key)

    def __len__(self) -> int:
        return len(self.ids)

    def ints(self, name: str) -> Indices:
        """An integer column."""
        if name not in self._cache:
            self._cache[name] = self._table[name].cast(pa.int64()).fill_null(0).to_numpy()
        return cast(Indices, self._cache[name])

    def flags(self, name: str) -> npt.NDArray[np.bool_]:
        """A boolean column; null is false."""
        return cast(npt.NDArray[np.bool_], self._table[name].fill_null(False).to_numpy())

    def words(self, name: str) -> Words:
        """A text column as codes and the distinct texts; null is the empty text."""
        if name not in self._cache:
            column = self._table[name].cast(pa.string()).fill_null("").dictionary_encode().combine_chunks()
            if isinstance(column, pa.ChunkedArray):
                column = (
                    column.chunk(0)
                    if column.num_chunks
                    else pa.array([""], pa.string()).dictionary_encode()[:0]
                )
            codes = column.indices.to_numpy().astype(np.int64)
            self._cache[name] = Words(codes, column.dictionary.to_pylist())
        return cast(Words, self._cache[name])

    def triples(self, name: str) -> Triples:
        """A column of packed lineages."""
        column = self._table[name].cast(pa.large_binary()).fill_null(b"").combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.large_binary())
        lengths = pc.binary_length(column).to_numpy(zero_copy_only=False).astype(np.int64)
        whole = lengths % _TRIPLE == 0
        if not whole.all():
            column = pc.if_else(pa.array(whole), column, pa.scalar(b"", pa.large_binary()))
            lengths = np.where(whole, lengths, 0)
        offsets = np.frombuffer(column.buffers()[1], dtype=np.int64)[column.offset :]
        start = int(offsets[0])
        data = column.buffers()[2]
        flat = (
            np.frombuffer(data, dtype="<i8", count=int(lengths.sum()) // 8, offset=start)
            if data
            else np.zeros(0)
        )
        counts = lengths // _TRIPLE
        return Triples(flat.astype(np.int64, copy=False).reshape(-1, 3), np.cumsum(counts) - counts, counts)


@dataclass(frozen=True)
class Words:
    """A text column: ``texts[codes[i]]`` is row ``i``'s text."""

    codes: Indices
    texts: list[str]

    def __getitem__(self, row: int) -> str:
        return self.texts[int(self.codes[row])]

    def each(self, values: list[Any], dtype: Any) -> npt.NDArray[Any]:
        """Spread one value per distinct text over the rows."""
        return np.array(values, dtype=dtype)[self.codes] if len(self.codes) else np.zeros(0, dtype)


@dataclass(frozen=True)
class Triples:
    """Packed lineages: row ``i`` has ``count[i]`` triples (grant, client, task key) from ``flat[start[i]]`` on."""

    flat: Indices
    start: Indices
    count: Indices

    def last(self) -> Indices:
        """(rows, 3) array of every row's own triple; zeros where it has none."""
        own = np.zeros((len(self.count), 3), dtype=np.int64)
        some = self.count > 0
        own[some] = self.flat[(self.start + self.count - 1)[some]]
        return own

    def differ(self, rows: Indices, others: Indices, count: Indices) -> npt.NDArray[np.bool_]:
        """Whether the first ``count`` triples of rows and others differ, pair by pair, or there are fewer."""
        short = (self.count[rows] < count) | (self.count[others] < count)
        length = np.where(short, 0, count)
        pair = np.repeat(np.arange(len(rows)), length)
        mine = self.flat[ranges(self.start[rows], length)]
        theirs = self.flat[ranges(self.start[others], length)]
        unequal = np.bincount(pair[(mine != theirs).any(axis=1)], minlength=len(rows)) > 0
        return short | unequal

    def owners(self) -> Indices:
        """Which row each triple of ``flat`` belongs to."""
        return np.repeat(np.arange(len(self.count)), self.count)


class Evidence:
    """What the rules look at."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def parts(self, table: str, columns: list[str], which: pc.Expression) -> Iterator[pa.Table]:
        """The rows of a table that are in question, a file at a time: audit rows are too many for memory."""
        for file in self.run.files(table):
            yield pq.read_table(file, columns=columns, filters=which, schema=SCHEMAS[table])

    @cached_property
    def tokens(self) -> Columns:
        """All issues of all grants by token_id."""
        columns = [name for name in SCHEMAS["tokens"].names if name not in _UNUSED]
        return Columns(self.run.read("tokens", columns), "token_id")

    @cached_property
    def agents(self) -> Columns:
        """All agents by client_id."""
        return Columns(self.run.read("agents"), "client_id")

    @cached_property
    def lineage(self) -> Triples:
        """The lineage keys of each token."""
        return self.tokens.triples("lineage")

    @cached_property
    def first(self) -> Indices:
        """The row of each token's grant's first issue, -1 where it is missing."""
        return find(self.tokens.ids, self.tokens.ints("grant_id"))

    @cached_property
    def grants(self) -> Indices:
        """The rows that are first issues."""
        return np.flatnonzero(self.tokens.ids == self.tokens.ints("grant_id"))

    @cached_property
    def parent(self) -> Indices:
        """The row of the token that bounded each token's grant, -1 for none."""
        return find(self.tokens.ids, self.tokens.ints("parent_token_id"))

    @cached_property
    def parent_grant(self) -> Indices:
        """The row of the first issue of each token's parent grant, -1 for none."""
        return find(self.tokens.ids, self.tokens.ints("parent_grant_id"))

    @cached_property
    def agent(self) -> Indices:
        """The row of each token's agent, -1 where it is missing."""
        return find(self.agents.ids, self.tokens.ints("client_id"))

    @cached_property
    def marks(self) -> pd.DataFrame:
        """The revocations."""
        return self.run.frame("revocations")

    def grant(self, row: int) -> tuple[int, str]:
        """Tenant and name of a token row's grant."""
        return int(self.tokens.ints("tenant")[row]), f"grant {self.tokens.ints('grant_id')[row]}"

    def token(self, row: int) -> tuple[int, str]:
        """Tenant and name of a token row."""
        return int(self.tokens.ints("tenant")[row]), f"token {self.tokens.ids[row]}"
