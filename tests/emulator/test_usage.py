"""What a process and its descendants use is counted, by whichever of them, and kept when one has ended."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from waits import wait_until

from workbook.emulator.usage import CpuClock, family, peak_memory_bytes

# Uses CPU time, says that it has, and waits to be told what next
BUSY = """
import sys, time
def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
    print("done", flush=True)
    sys.stdin.readline()
"""
PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BUSY + "work(0.3)"!r}], stdin=subprocess.PIPE)
sys.stdin.readline()
child.communicate(b"end")
print("ended", flush=True)
sys.stdin.readline()
"""
HOLDER = "import sys\nheld = bytearray({mb} << 20)\ndel held\nprint('done', flush=True)\nsys.stdin.readline()"
TWO = """
import subprocess, sys
held = b"x" * (60 << 20)
child = subprocess.Popen([sys.executable, "-c", "held = b'x' * (60 << 20); print('done', flush=True); input()"], stdin=subprocess.PIPE)
sys.stdin.readline()
child.communicate(b"end")
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's list of children")


@contextmanager
def running(source: str) -> Iterator[subprocess.Popen[str]]:
    """Run a program that has said its first line."""
    command = [sys.executable, "-c", source]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def test_the_clock_is_the_process_s_own() -> None:
    """What a process says of its CPU time, another one can read."""
    with running(BUSY + "work(0.2)") as process:
        assert 0.2 <= CpuClock(process.pid).read() < 2


@linux
def test_a_child_is_counted_and_stays_counted() -> None:
    """The CPU time of a child counts while it lives, and after its end, and the clock never goes back."""
    with running(PARENT) as process:
        clock = CpuClock(process.pid)
        assert 2 == len(family(process.pid))
        alive_s = clock.read()
        process.stdin.write("go on\n")
        process.stdin.flush()
        process.stdout.readline()
        assert [process.pid] == family(process.pid)
        ended_s = clock.read()
    assert 0.3 <= alive_s <= ended_s
    assert ended_s <= clock.read()


def test_a_process_that_has_ended() -> None:
    """Nothing is left of one that ended, and asking is no error."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert ([], None, 0.0) == (family(ended.pid), peak_memory_bytes(ended.pid), CpuClock(ended.pid).read())


@linux
def test_a_peak_is_kept() -> None:
    """Memory that was held and let go before anybody looked stands in the peak."""
    with running(HOLDER.format(mb=150)) as process:
        assert peak_memory_bytes(process.pid) > 150 << 20


@linux
def test_descendants_hold_memory_too() -> None:
    """What parent and child hold at the same time is added up."""
    with running(TWO) as process:
        wait_until(lambda: peak_memory_bytes(process.pid) > 120 << 20)
