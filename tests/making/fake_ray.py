"""Ray without processes: actors are objects of this process, whose methods run in threads.

A method that raises SystemError stands for a process that crashes.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import SimpleNamespace
from typing import Any, ClassVar


class RayError(Exception):
    """Base of Ray's errors."""


class RayTaskError(RayError):
    """A method raised ``cause``."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class ActorUnschedulableError(RayError):
    """An actor's node is gone."""


class RayActorError(RayError):
    """An actor has died."""


class _Handle:
    """An actor; ``die`` may raise in place of each call."""

    def __init__(self, made: object, node: str, die: Callable[[str, str], None]) -> None:
        self._made, self._node, self._die = made, node, die
        self._pool = ThreadPoolExecutor(4)

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: object) -> object:
            self._die(self._node, name)
            try:
                return getattr(self._made, name)(*arguments)
            except SystemError as error:
                raise RayActorError from error
            except Exception as error:
                raise RayTaskError(error) from error

        return SimpleNamespace(remote=lambda *arguments: self._pool.submit(call, *arguments))


class ActorUnavailableError(RayActorError):
    """An actor is being started again."""


class FakeRay:
    """The module ray, connected to a cluster of nodes of one processor.

    Args:
        nodes: their names.
        die: called with the node and the method before each call of an actor; may raise RayError.
    """

    exceptions = SimpleNamespace(
        RayError=RayError,
        RayTaskError=RayTaskError,
        RayActorError=RayActorError,
        ActorUnschedulableError=ActorUnschedulableError,
        ActorUnavailableError=ActorUnavailableError,
    )
    options: ClassVar[list[dict[str, object]]] = []

    def __init__(
        self,
        nodes: dict[str, dict[str, float]],
        die: Callable[[str, str], None] = lambda node, method: None,
    ) -> None:
        self._nodes, self._die = nodes, die
        self.asked: list[dict[str, Any]] = []
        self.left = False

    def nodes(self) -> list[dict[str, object]]:
        return [
            {"Alive": True, "NodeID": name, "NodeManagerHostname": "here", "Resources": has}
            for name, has in self._nodes.items()
        ]

    def remote(self, kind: type) -> object:
        def options(**given: Any) -> object:
            def begin() -> _Handle:
                self.asked.append(given)
                return _Handle(kind(), given["scheduling_strategy"], self._die)

            return SimpleNamespace(remote=begin)

        return SimpleNamespace(options=options)

    def put(self, value: object) -> object:
        return value

    def get(self, ref: Future[object]) -> object:
        return ref.result()

    def wait(
        self, refs: list[Future[object]], num_returns: int = 1, timeout: float | None = None
    ) -> tuple[list[Future[object]], list[Future[object]]]:
        done = wait(refs, timeout).done
        return [ref for ref in refs if ref in done], [ref for ref in refs if ref not in done]

    def shutdown(self) -> None:
        self.left = True
