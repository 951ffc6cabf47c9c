"""The network between a learner and AWS, as a process that can be killed: `python -m faults.wire PORT WHERE_TO PORT`.

It passes on what comes in on a port of the loopback interface, byte by byte. Killed, it breaks every connection, and refuses
new ones until another takes the port. It ends with its input, and so with whoever started it.
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from workbook.emulator.server import HOST, listen

_CHUNK = 65_536


class Wire:
    """A wire to an address, which can be cut and mended. Use it as a context manager."""

    def __init__(self, endpoint: str) -> None:
        self._end = urlsplit(endpoint)
        with listen() as free:
            self._port = free.getsockname()[1]

    @property
    def endpoint(self) -> str:
        """Where this end of the wire is."""
        return f"http://{HOST}:{self._port}"

    def __enter__(self) -> "Wire":
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def mend(self) -> None:
        """Have a process pass on what comes, and return when it does."""
        command = [sys.executable, "-m", "faults.wire", f"{self._port}", self._end.hostname, f"{self._end.port}"]
        self.process = subprocess.Popen(
            command,
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.process.stdout.readline(), "the wire could not be laid"

    def cut(self) -> None:
        """Kill that process. Twice is fine."""
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


async def _serve(port: int, host: str, host_port: int) -> None:
    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(host, host_port)
        await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))

    await asyncio.start_server(connect, HOST, port)
    print("laid", flush=True)
    await asyncio.to_thread(sys.stdin.read)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write what is read until either side ends, and end the other."""
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    except ConnectionError:  # whoever is still there sees its connection end
        pass
    finally:
        writer.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
