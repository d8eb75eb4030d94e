"""The connection to a Ray cluster."""

import logging
import os
import socket
from signal import getsignal, signal
from typing import Any

from audiomask.errors import AudiomaskError, ClusterError, why
from audiomask.runtime.dependencies import optional
from audiomask.runtime.termination import termination_signals

#: seconds in which a cluster must answer
_ANSWER = 5.0


def connect(address: str) -> Any:
    """The module ray, connected to a cluster.

    Raises:
        DependencyError: it is not installed.
        ClusterError: there is no cluster.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    ray = optional("ray", "ray", "--ray")
    host, _, port = address.rpartition(":")
    if port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), _ANSWER).close()
        except OSError as error:
            raise ClusterError(f"--ray {address}: nothing answers there: {why(error)}") from error
    handled = {number: getsignal(number) for number in termination_signals()}
    alone = {"include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.CRITICAL, **alone)
    except Exception as error:
        remedy = ""
        if isinstance(error, ConnectionError) and address == "auto":
            remedy = "; ray start --head begins one here, --ray HOST:PORT names one"
        raise ClusterError(
            f"--ray {address}: no cluster can be joined: {reason_of(error)}{remedy}"
        ) from error
    finally:
        for number, handler in handled.items():  # Ray has set its own
            signal(number, handler)
    return ray


def reason_of(error: Exception) -> str:
    """Why something failed, in one line."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, AudiomaskError):
        return str(cause)
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if len(lines) > 1 and any("Traceback" in line for line in lines):
        return lines[-1]
    return lines[0] if lines else type(error).__name__
