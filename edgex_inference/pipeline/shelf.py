"""Messages on disk, in the order in which they came: SQLite, bounded in bytes and in age."""

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgex_inference.contracts.messages import Message

_TABLE = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, stored REAL NOT NULL, topic TEXT NOT NULL, headers TEXT NOT NULL,
    payload BLOB NOT NULL
)
"""
_SIZE = "length(payload) + length(topic) + length(headers)"
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Kept:
    """A message with its place in the order."""

    id: int
    message: Message


class Shelf:
    """Every call blocks and raises sqlite3.Error; all come from one thread after the other.

    `most` is in bytes of messages, `max_age` in seconds. The file belongs to one process at a time.
    """

    def __init__(self, file: Path, *, most: int, max_age: float) -> None:
        self._file = file
        self._most = most
        self._max_age = max_age
        self._connection: sqlite3.Connection | None = None
        self._bytes = 0

    def open(self) -> int:
        """How many messages are there from last time; raises OSError too."""
        self._file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(self._file, os.O_CREAT | os.O_RDWR, 0o600))  # SQLite's other files get its mode
        connection = sqlite3.connect(self._file, timeout=0.0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(
                "PRAGMA synchronous=NORMAL"
            )  # survives a killed process; a power cut costs the last
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute(_TABLE)
            count, size = connection.execute(
                f"SELECT count(*), coalesce(sum({_SIZE}), 0) FROM messages"
            ).fetchone()
        except BaseException:
            connection.close()
            raise
        self._file.chmod(0o600)
        self._connection, self._bytes = connection, int(size)
        return int(count)

    def close(self) -> None:
        """Idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def add(self, messages: Sequence[Message]) -> int:
        """Appends them; returns how many of the oldest had to go for want of room."""
        db = self._db()
        now = time.time()
        rows = [(now, one.topic, json.dumps(dict(one.headers)), one.payload) for one in messages]
        gone = 0
        with _Transaction(db):
            db.executemany("INSERT INTO messages (stored, topic, headers, payload) VALUES (?, ?, ?, ?)", rows)
            size = self._bytes + sum(
                len(topic) + len(headers) + len(payload) for _, topic, headers, payload in rows
            )
            while size > self._most:
                oldest = db.execute(
                    f"SELECT id, {_SIZE} FROM messages ORDER BY id LIMIT {_AT_ONCE}"
                ).fetchall()
                for id, length in oldest:
                    if size <= self._most:
                        break
                    db.execute("DELETE FROM messages WHERE id = ?", (id,))
                    size, gone = size - length, gone + 1
                if not oldest:
                    break
        self._bytes = size
        return gone

    def drop_old(self) -> int:
        """How many were older than they may become."""
        db = self._db()
        limit = time.time() - self._max_age
        gone, size = db.execute(
            f"SELECT count(*), coalesce(sum({_SIZE}), 0) FROM messages WHERE stored < ?", (limit,)
        ).fetchone()
        if gone:
            with _Transaction(db):
                db.execute("DELETE FROM messages WHERE stored < ?", (limit,))
            self._bytes -= size
        return int(gone)

    def first(self, count: int) -> Sequence[Kept]:
        """The oldest ones."""
        found = self._db().execute(
            "SELECT id, topic, headers, payload FROM messages ORDER BY id LIMIT ?", (count,)
        )
        return [
            Kept(id, Message(topic, payload, json.loads(headers))) for id, topic, headers, payload in found
        ]

    def remove(self, ids: Iterable[int]) -> Sequence[int]:
        """Takes out what has left; returns the ids of those that were still there."""
        db = self._db()
        there = []
        with _Transaction(db):
            for id in ids:
                row = db.execute(f"DELETE FROM messages WHERE id = ? RETURNING {_SIZE}", (id,)).fetchone()
                if row is not None:
                    there.append(id)
                    self._bytes -= row[0]
        db.execute("PRAGMA incremental_vacuum(64)")
        return there

    def _db(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the file is not open")
        return self._connection


class _Transaction:
    """All or nothing: the standard library's own context manager does not begin one without its isolation levels."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: object, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
