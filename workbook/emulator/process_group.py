"""One process and all its children: started in a group of their own, frozen, thawed and killed together."""

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

OUTPUT_LIMIT_BYTES = 4 * 1024 * 1024  # what is kept of one invocation's log: the newest

# No pipe holds more, so one read empties it: https://man7.org/linux/man-pages/man7/pipe.7.html
_PIPE_BYTES = 1024 * 1024


class _Log:
    """What was written; of too much, the newest."""

    def __init__(self) -> None:
        self._chunks: deque[bytes] = deque()
        self._kept_bytes = self._left_out_bytes = 0

    def add(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._kept_bytes += len(chunk)
        while self._kept_bytes > OUTPUT_LIMIT_BYTES:
            oldest = self._chunks.popleft()
            self._kept_bytes -= len(oldest)
            self._left_out_bytes += len(oldest)

    def take(self) -> str:
        """Return it as text, and forget it."""
        text = b"".join(self._chunks).decode(errors="replace").replace("\r\n", "\n")
        if self._left_out_bytes:
            text = f"[{self._left_out_bytes} bytes of log left out here]\n{text}"
        self._chunks.clear()
        self._kept_bytes = self._left_out_bytes = 0
        return text


class ProcessGroup:
    """A process in a session of its own, with its children.

    A child that leaves the session is beyond reach: it isn't frozen, and goes on until its environment's control group is
    removed, or, without one, until the emulator ends, when on Linux the guard kills it.

    Two descriptors are for a selector: `output` is readable when something was written to stdout or stderr, `ended`
    once the process has ended, by whatever cause, and its children are dead too.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        folder: Path,
        variables: Mapping[str, str],
        on_end: Callable[[int], None],
    ) -> None:
        """Start `command` in `folder`, with `variables` and no others; `on_end(id)` is called once all are dead."""
        self.output, stdout = os.pipe()
        self.ended, self._end = os.pipe()
        try:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError:
            for descriptor in (self.output, self.ended, self._end):
                os.close(descriptor)
            raise
        finally:
            os.close(stdout)
        self.id = self._process.pid  # the leader of a new session leads a group of the same number
        self._log = _Log()
        os.set_blocking(self.output, False)
        self._watch = threading.Thread(target=self._wait, args=(on_end,), name=f"watch-{self.id}", daemon=True)
        self._watch.start()

    def _wait(self, on_end: Callable[[int], None]) -> None:
        self._process.wait()
        self._signal(signal.SIGKILL)  # what the process left behind ends with it
        on_end(self.id)
        os.close(self._end)

    def _signal(self, number: signal.Signals) -> None:
        # The group is gone if its last member ended a moment ago; macOS says EPERM when only a zombie is left of it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.id, number)

    @property
    def alive(self) -> bool:
        """Return whether the process is there."""
        return self._process.returncode is None

    def freeze(self) -> None:
        """Stop every process of the group where it stands; on a busy machine that may be some milliseconds later."""
        if self.alive:
            self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let every process of the group go on."""
        if self.alive:
            self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill every process of the group, frozen ones too, and return when they are dead."""
        if self.alive:
            self._signal(signal.SIGKILL)
        self._watch.join()

    def close(self) -> None:
        """Kill the group and give back the descriptors."""
        self.kill()
        os.close(self.output)
        os.close(self.ended)

    def read_output(self) -> bool:
        """Read what lies in the pipe at this moment, without waiting; return False once nothing can follow."""
        try:
            chunk = os.read(self.output, _PIPE_BYTES)
        except BlockingIOError:
            return True
        self._log.add(chunk)
        return bool(chunk)

    def take_output(self) -> str:
        """Return what was written since the last call, up to this moment.

        One record of a runtime client is one line: inside it, carriage returns stand for new lines.
        """
        self.read_output()
        return self._log.take()

    def how_it_ended(self) -> str:
        """Return how the process ended, in the words of AWS's runtime errors: "exit status 3", "signal: killed"."""
        status = self._process.returncode
        if status >= 0:
            return f"exit status {status}"
        return f"signal: {(signal.strsignal(-status) or str(-status)).partition(':')[0].lower()}"
