"""Echo servers on gevent.

Part of Caesura, asyncio for C.  MIT licence, see LICENSE.

    server.py echo|lines PORT
"""

import sys

from gevent.server import StreamServer


def echo(peer, address):
    try:
        while data := peer.recv(65536):
            peer.sendall(data)
    except OSError:
        pass


def lines(peer, address):
    try:
        with peer.makefile("rb") as reader:
            while line := reader.readline():
                peer.sendall(line)
    except OSError:
        pass


kind, port = sys.argv[-2:]
StreamServer(("127.0.0.1", int(port)), lines if kind == "lines" else echo,
             backlog=1024).serve_forever()
