"""Keys in a file: private, replaced whole, and shared by the workers of one server.

Only the owner may read the file. It is written under another name and renamed, so that a reader finds the old keys
or the new ones and never half of them; writers take turns at a lock file beside it, so that no worker's key is
lost. Of old keys only the public halves are in it.
"""

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from agentsim.server.clock import Clock
from agentsim.server.keyring import KeyFileError, KeyRing, Keys, check_not_simulated
from agentsim.server.keys import Algorithm, SigningKey

#: A key file is smaller, whatever the keys.
_LARGEST = 1 << 20
# Non-blocking: a pipe in the file's place must not hold the server up.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
#: What tells one state of the file from another.
_Version = tuple[int, int, int, int]


class KeyFile(KeyRing):
    """A key ring that is kept in a file.

    Parameters
    ----------
    path : the file.

    Raises
    ------
    KeyFileError
        If the file is missing, may be read by others, is another user's, holds no sound keys, or simulated ones.
    """

    def __init__(self, path: Path) -> None:
        # Where the path is a link, the file behind it is replaced and the link stays.
        self.path = Path(path).resolve()
        keys, self._version = _read(self.path)
        super().__init__(keys)

    @classmethod
    def ensure(cls, path: Path, clock: Clock, alg: Algorithm = "EdDSA") -> "KeyFile":
        """The file's keys; where there is no file yet, it is made with a new key.

        Raises
        ------
        KeyFileError
            As the class does, or if the file cannot be written.
        """
        target = Path(path).resolve()
        if not target.exists():
            with _locked(target):
                if not target.exists():
                    _write(target, Keys(SigningKey.generate(alg), clock.now()))
        return cls(target)

    def _replace(self, change: Callable[[Keys], Keys], before: Callable[[SigningKey], None]) -> SigningKey:
        """Here and in every worker once it looks."""
        # The file's lock is enough for whoever replaces. Readers go on meanwhile: the writer of the database is one
        # of them, and what comes before may wait for it.
        with _locked(self.path):
            # Another worker may have rotated: its key, too, has signed and must be kept.
            keys, _ = _read(self.path)
            changed = change(keys)
            _write(self.path, changed, lambda: before(changed.signing))
            with self._lock:
                self.keys, self._version = _read(self.path)
                return self.keys.signing

    def reload(self) -> bool:
        """Take in the file's keys where it is another file than was read last; whether it was.

        Tokens of a key that is not known here ask for this each time: another worker's key signs at once, and a look
        at the file costs less than any refusal. A file that has become unreadable changes nothing: what is held goes
        on.
        """
        try:
            with self._lock:
                if _look(self.path) == self._version:
                    return False
                self.keys, self._version = _read(self.path)
                return True
        except KeyFileError:
            return False


def _read(path: Path) -> tuple[Keys, _Version]:
    with _in_words(path), os.fdopen(os.open(path, _READ), "rb") as file:
        # Of the open file, so that what is checked is what is read.
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise KeyFileError(f"{path} is not a file")
        if status.st_uid != os.geteuid():
            raise KeyFileError(f"{path} belongs to another user: who owns the keys can sign as this server")
        if status.st_mode & 0o077:
            raise KeyFileError(f"{path} may be read or written by others: chmod 600 it, and rotate its keys")
        text = file.read(_LARGEST)
    try:
        keys = Keys.from_json(text)
    except KeyFileError as exc:
        raise KeyFileError(f"{path}: {exc}") from None
    check_not_simulated(keys)
    return keys, _version(status)


def _write(path: Path, keys: Keys, before: Callable[[], None] = lambda: None) -> None:
    """Replace the file, whole; only under the lock. ``before`` comes when nothing but the name is missing."""
    check_not_simulated(keys)
    fresh = path.with_name(f"{path.name}.new")
    with _in_words(path):
        # What a crash has left behind holds a key that has never signed.
        fresh.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(fresh, _CREATE, 0o600), "wb") as file:
                file.write(keys.as_json())
                file.flush()
                os.fsync(file.fileno())
            before()
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        _sync_folder(path.parent)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time, in whichever thread or process; the lock ends with whoever holds it."""
    with _in_words(path):
        lock = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise KeyFileError(f"{path}: no such file or folder") from None
    except OSError as exc:
        raise KeyFileError(f"{path}: {exc.strerror}") from None


def _look(path: Path) -> _Version:
    with _in_words(path):
        return _version(path.stat())


def _version(status: os.stat_result) -> _Version:
    return status.st_dev, status.st_ino, status.st_ctime_ns, status.st_size


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
