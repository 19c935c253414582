"""The units of a folder that are still to be computed, as several runs on it share them by claims."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from .._units import Unit
from ..store._store import Store


class Queue:
    """Units to be computed, in their order; each is claimed when it is taken.

    store: of the folder. units: of the study that this run is to compute. finished: those of them that were finished
    before, which are left out; accounts: what was told of these, as `Store.account` has it.
    """

    def __init__(self, store: Store, units: Iterable[Unit]):
        self._store = store
        listed, done = list(units), store.account()
        self.finished = [unit for unit in listed if unit.key in done]
        self.accounts = [done[unit.key] for unit in self.finished]
        self._waiting = deque(unit for unit in listed if unit.key not in done)
        self._held: list[Unit] = []
        self._mine: dict[str, Unit] = {}

    @property
    def missing(self) -> list[Unit]:
        """All that is not finished, as far as this run knows: waiting, computed here, or claimed by others."""
        return [*self._mine.values(), *self._waiting, *self._held]

    @property
    def is_open(self) -> bool:
        """Whether anything may be left to take, now or when others give it back."""
        return bool(self._waiting or self._held)

    @property
    def held_by_others(self) -> int:
        """How many units others were computing when this run last asked for them."""
        return len(self._held)

    def take(self) -> Unit | None:
        """A unit, claimed for this run; None where nothing is left, or where others compute all that is left."""
        while self._waiting:
            unit = self._waiting.popleft()
            if self._store.claim(unit.key):
                self._mine[unit.key] = unit
                return unit
            # another run is at it, or has finished it since this one began
            self._held.append(unit)
        return None

    def finish(self, key: str) -> None:
        """The unit `key` that this run has taken is done, or given up."""
        del self._mine[key]
        self._store.release(key)

    def look_again(self) -> list[tuple[Unit, dict[str, Any]]]:
        """Ask anew for what others had claimed, some of which may be free by now; returns what is finished, with what
        they told of it."""
        held, self._held = self._held, []
        told = [(unit, self._store.account_of(unit.key)) for unit in held]
        done = [(unit, account) for unit, account in told if account is not None]
        known = {unit.key for unit, _ in done}
        self._waiting.extend(unit for unit in held if unit.key not in known)
        return done

    def close(self) -> None:
        """Give back what is claimed."""
        for key in list(self._mine):
            self.finish(key)
