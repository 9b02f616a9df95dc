"""Writes frames to each client as fast as it can: shows how much the load generator can take."""

import socket
import sys

from bench.load import ONE_READ


def main() -> None:
    """Serve one connection after another on the port given on the command line."""
    frame = b"\x81\x7e" + (900).to_bytes(2, "big") + b'<hx-seq after="1" value="2">' + b"x" * 872
    many = frame * (ONE_READ // len(frame))
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    listener.listen()
    while True:
        connection, _ = listener.accept()
        try:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            while True:
                connection.sendall(many)
        except OSError:
            connection.close()


if __name__ == "__main__":
    main()
