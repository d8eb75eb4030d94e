"""What the work on files adds to, such as a report, where the work is done by other processes."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar
from weakref import WeakValueDictionary

#: the objects of this process that have copies elsewhere, by their numbers
_originals: WeakValueDictionary[int, "Gatherer"] = WeakValueDictionary()
#: how a worker's process sends what a copy gathers: the original's number, and the arguments
_senders: list[Callable[[int, tuple[Any, ...]], None]] = []


class Gatherer(ABC):
    """An object that the work on every file adds to, by ``gather`` alone.

    A worker in another process gets a copy whose ``gather`` sends its arguments to the original,
    and returns when they have been added.
    """

    #: attributes that copies have, too
    carried: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def gather(self, *found: Any) -> None:
        """Add what was found; the arguments of a copy's must be picklable."""

    def __reduce__(self) -> tuple[Callable[..., "Gatherer"], tuple[Any, ...]]:
        _originals[id(self)] = self
        return _copy, (type(self), id(self), {name: getattr(self, name) for name in self.carried})


def send_by(sender: Callable[[int, tuple[Any, ...]], None]) -> None:
    """Have the copies in this process send what they gather by a function."""
    _senders[:] = [sender]


def receive(number: int, found: tuple[Any, ...]) -> None:
    """Add what a copy has sent to its original in this process."""
    _originals[number].gather(*found)


def _copy(kind: type[Gatherer], number: int, attributes: dict[str, Any]) -> Gatherer:
    made = kind.__new__(kind)
    vars(made).update(attributes, gather=partial(_send, number))
    return made


def _send(number: int, *found: Any) -> None:
    (sender,) = _senders
    sender(number, found)
