"""A Ray cluster of several nodes on this machine, for tests."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

#: ports that a node's agents listen on. Ray looks for them itself, but gives up where that takes
#: more than 15 s, as on a machine that trains meanwhile
PORTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)


def free_ports() -> dict[str, int]:
    """Ports for a node that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in PORTS]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return {name: one.getsockname()[1] for name, one in zip(PORTS, sockets, strict=True)}


@pytest.fixture
def ray_nodes() -> Iterator[Callable[[int], object]]:
    """``ray_nodes(2)``: a cluster of two nodes of one processor, and a head without any."""
    utils = pytest.importorskip("ray.cluster_utils", reason="ray is not installed")
    begun = []
    small = {
        "object_store_memory": 80 * 2**20,
        "include_dashboard": False,
        "include_log_monitor": False,
    }
    # a node that does not answer twice in a row is dead
    checks = {"health_check_period_ms": 1000, "health_check_failure_threshold": 2}

    def begin(count: int) -> object:
        head = small | {"num_cpus": 0, "_system_config": checks} | free_ports()
        cluster = utils.Cluster(initialize_head=True, head_node_args=head)
        begun.append(cluster)
        for _ in range(count):
            cluster.add_node(wait=False, num_cpus=1, **small, **free_ports())
        cluster.wait_for_nodes(timeout=120)
        return cluster

    yield begin
    for cluster in begun:
        cluster.shutdown()
