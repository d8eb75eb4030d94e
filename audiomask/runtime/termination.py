"""Termination signals: those that ask a process to end and leave it time to clean up."""

from __future__ import annotations

import signal

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGXCPU", "SIGUSR1", "SIGUSR2", "SIGBREAK")


def termination_signals() -> tuple[signal.Signals, ...]:
    """The signals of this system that ask a process to end, without those that are ignored.

    - SIGINT: Ctrl-C. SIGTERM: ``kill``, a batch system, a shutdown.
    - SIGHUP: the terminal was closed, or its connection was lost.
    - SIGXCPU: the processor time of ``ulimit -t`` or of a batch system is used up. It comes again
      every second until the hard limit kills.
    - SIGUSR1, SIGUSR2: what Slurm's ``--signal`` and other batch systems send before the time is
      up. A process that does not handle them ends by them.
    - SIGBREAK: Ctrl-Break, a closed console, a logoff; on Windows, which has no SIGHUP.

    SIGQUIT (Ctrl-\\) is not among them: by convention it ends a process immediately and leaves its
    files for inspection; the next run removes them. The other signals that end a process report
    defects (SIGSEGV), or are the process's own timers (SIGALRM).

    A signal that this process was started to ignore is left out, so that it stays ignored:
    ``nohup`` ignores SIGHUP, a shell script ignores SIGINT for what it starts with ``&``.
    """
    numbers = [signal.Signals(getattr(signal, name)) for name in _NAMES if hasattr(signal, name)]
    return tuple(number for number in numbers if signal.getsignal(number) != signal.SIG_IGN)
