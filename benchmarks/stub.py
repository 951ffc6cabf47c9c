"""A stand-in for Lambda's Invoke whose true duration is known: it holds every request for 20 ms of its own clock.

`python -m benchmarks.stub` prints its port on loopback, and ends when its standard input does, so that it outlives nobody.
"""

import base64
import socket
import sys
import threading
import time

HELD_MS = 20.0
_SPUN_MS = 2.0  # a sleep ends late, by up to a millisecond on a busy machine; so its last stretch is spun
_LOG = base64.b64encode(
    b"START RequestId: 0 Version: $LATEST\nEND RequestId: 0\n"
    b"REPORT RequestId: 0\tDuration: 20.00 ms\tBilled Duration: 20 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB\t\n"
)
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
    b"x-amzn-RequestId: 0\r\nX-Amz-Executed-Version: $LATEST\r\nX-Amz-Log-Result: " + _LOG + b"\r\n\r\n{}"
)


def main() -> None:
    """Answer on a free port until standard input ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=_accept, args=(listener,), daemon=True).start()
        sys.stdin.read()


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    """Answer the requests of one connection, each `HELD_MS` after its last byte was read."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection, connection.makefile("rb") as stream:
        while _read_request(stream):
            due_s = time.perf_counter() + HELD_MS / 1000
            time.sleep((HELD_MS - _SPUN_MS) / 1000)
            while time.perf_counter() < due_s:
                pass
            connection.sendall(_ANSWER)


def _read_request(stream: socket.SocketIO) -> bool:
    """Read one request whole, and return whether there was one."""
    length = 0
    while (line := stream.readline()) not in (b"\r\n", b""):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    stream.read(length)
    return bool(line)


if __name__ == "__main__":
    main()
