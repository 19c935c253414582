"""Claims on units of work: byte-range locks, so that two processes on one folder do not compute the same thing.

Each name has a byte of its own in one file; a claim is an exclusive POSIX lock on that byte, which the kernel releases
when the process ends, however it ends. No clock is asked, so that none can jump. Locks only save work: what is written
is whole and right without them. Where a system or a file system has no such locks (Windows, some network disks) every
claim succeeds, and leftovers of killed processes are left where they are.
"""

import contextlib
import errno
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None

_BUSY = (errno.EACCES, errno.EAGAIN)
# of the names' bytes
_RANGE = 1 << 62
_ALL = ""
_guard = threading.RLock()
# by the file's identity: a process that closes any handle of a file loses all its locks on it, so it has but one
_handles: dict[tuple[int, int], "_Handle"] = {}


def _in_a_forked_child() -> None:
    """It has none of its parent's locks."""
    global _guard
    _guard = threading.RLock()
    _handles.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_a_forked_child)


class _Handle:
    def __init__(self, descriptor: int):
        self.descriptor = descriptor
        self.held: set[str] = set()


class Claims:
    """The claims of one folder.

    path: of the file of locks; it is made when it is first needed, and holds nothing.
    """

    def __init__(self, path: Path):
        self.path = path
        self._last: tuple[int, int] | None = None

    def take(self, name: str) -> bool:
        """Claim `name` without waiting; False where another process, or another thread, has it."""
        return self._take(name) is not False

    def take_surely(self, name: str) -> bool:
        """As `take`, and False also where this system cannot tell whether another process has it."""
        found = self._take(name)
        if found is None:
            self.release(name)
        return bool(found)

    def holds(self, name: str) -> bool:
        """Whether this process has claimed `name`."""
        with _guard:
            return any(name in handle.held for handle in self._mine())

    def release(self, name: str) -> None:
        """Give `name` back, if this process has it."""
        with _guard:
            for handle in self._mine():
                if name in handle.held:
                    _unlock(handle.descriptor, _byte(name), 1)
                    handle.held.discard(name)
            self._close_idle()

    def taken(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that any process has claimed; none where the file cannot be locked.

        Each of the others is locked for an instant, for which nobody else can claim it.
        """
        found = set()
        with _guard, contextlib.suppress(OSError):
            handle = self._handle()
            for name in names:
                if name in handle.held or _lock(handle.descriptor, _byte(name), 1) is False:
                    found.add(name)
                else:
                    _unlock(handle.descriptor, _byte(name), 1)
            self._close_idle()
        return found

    @contextlib.contextmanager
    def everything(self) -> Iterator[bool]:
        """Within the context no other claim succeeds; yields False, and nothing is claimed, where there is one."""
        with _guard:
            handle = self._handle()
            free = not handle.held and _lock(handle.descriptor, 0, _RANGE) is not False
            if free:
                handle.held.add(_ALL)
            try:
                yield free
            finally:
                if free:
                    handle.held.discard(_ALL)
                    _unlock(handle.descriptor, 0, _RANGE)
                self._close_idle()

    def _take(self, name: str) -> bool | None:
        with _guard:
            handle = self._handle()
            if name in handle.held or _ALL in handle.held:
                return False
            found = _lock(handle.descriptor, _byte(name), 1)
            if found is not False:
                handle.held.add(name)
            self._close_idle()
            return found

    def _handle(self) -> _Handle:
        for handle in self._mine():
            return handle
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        found = os.fstat(descriptor)
        self._last = (found.st_dev, found.st_ino)
        return _handles.setdefault(self._last, _Handle(descriptor))

    def _mine(self) -> list[_Handle]:
        try:
            found = os.stat(self.path)
        except OSError:
            # renamed or removed since it was opened: the locks are the file's, whatever its name
            key = self._last
        else:
            key = (found.st_dev, found.st_ino)
        return [_handles[key]] if key in _handles else []

    def _close_idle(self) -> None:
        for key, handle in [item for item in _handles.items() if not item[1].held]:
            del _handles[key]
            os.close(handle.descriptor)


def _byte(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) % _RANGE


def _lock(descriptor: int, first: int, length: int) -> bool | None:
    """True: locked. False: another process has it. None: there are no locks here."""
    if fcntl is None:
        return None
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, length, first)
    except OSError as error:
        return False if error.errno in _BUSY else None
    return True


def _unlock(descriptor: int, first: int, length: int) -> None:
    if fcntl is not None:
        with contextlib.suppress(OSError):
            fcntl.lockf(descriptor, fcntl.LOCK_UN, length, first)
