"""The emulator's process: MiniStack, unmodified and of one exact version, with our execution environments and corrections.

Started by `server`, as `python -m workbook.emulator.launch FOLDER SOCKET OWNER`: its own folder, the number of the
listening socket that it inherits, and the process with which it ends. MiniStack takes its settings from the environment.
"""

import asyncio
import importlib.metadata
import os
import resource
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import psutil

from workbook.emulator import governor
from workbook.emulator.guard import Guard
from workbook.errors import SetupError

MINISTACK_VERSION = "1.5.33"  # the corrections replace private functions: they fit exactly this one
_OWNER_CHECK_S = 0.2
_PENDING_S = 0.05
_OPEN_FILES = 10_240  # macOS takes no more (OPEN_MAX)


def main(folder: Path, listener: socket.socket, owner_pid: int) -> None:
    """Serve until a signal or the owner's end. There is nothing to save then, and the guard ends what is left."""
    guard = Guard(folder)
    guard.watch(os.getpgrp())
    threading.Thread(target=_end_with, args=(psutil.Process(owner_pid),), daemon=True).start()
    _assert_version()
    _allow_many_connections()
    chosen = governor.choose(folder.name, guard.watch_control_groups)
    # An optional grammar that jsonschema loads if it is there, for 1.4 s. SAM's translator needs jsonschema, but not that.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

    # MiniStack comes last: it takes most of the time, during which the guard and the watch are in place.
    from ministack import app
    from ministack.services import lambda_svc

    from workbook.emulator import corrections, limits, workers

    # A new or changed function is Pending for a moment, as on AWS. How long is made up here, so it needn't be long.
    lambda_svc._LAMBDA_STATE_TRANSITION_DELAY = _PENDING_S
    workers.install(guard, folder, chosen)
    corrections.apply()
    if "WORKBOOK_TRAIL" in os.environ:  # IAM is enforced
        from workbook.emulator import stack_rights, trail

        trail.install(Path(os.environ["WORKBOOK_TRAIL"]))
        stack_rights.install()
    asyncio.run(_serve(limits.told(app.app, chosen), listener))


async def _serve(app: object, listener: socket.socket) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.keep_alive_timeout = 75  # s, as in MiniStack's own start
    config.loglevel = os.environ["LOG_LEVEL"]
    await serve(app, config, shutdown_trigger=asyncio.Event().wait)  # never; without one it would catch signals


def _end_with(owner: psutil.Process) -> None:
    """Wait for the owner's end, then end this process, whatever it is doing."""
    while _alive(owner):
        time.sleep(_OWNER_CHECK_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # it went between the two questions
        return False


def _assert_version() -> None:
    found = importlib.metadata.version("ministack")
    if found != MINISTACK_VERSION:
        sys.exit(
            str(
                SetupError(
                    f"MiniStack {found} is installed, not {MINISTACK_VERSION}.",
                    why="The corrections towards AWS fit exactly that version.",
                    fix="Install the pinned requirements again: pip install -r requirements.txt",
                )
            )
        )


def _allow_many_connections() -> None:
    """Raise the soft limit of open files, which is 256 on macOS: every environment needs a socket and a pipe or two."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


if __name__ == "__main__":
    main(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]))
