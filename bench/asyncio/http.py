"""An HTTP server that says hello, on httptools, as uvloop's own benchmark has it.

Part of Caesura, asyncio for C.  MIT licence, see LICENSE.

    http.py [--uvloop] http PORT

httptools is Node's former parser for Python; uvicorn stands on the two.  There is no
framework between the parser and the answer, not even a Date, and no coroutine.
"""

import sys

sys.path.pop(0)  # or this file would be the standard library's http
import asyncio
import httptools


class Protocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.parser = httptools.HttpRequestParser(self)
        self.headers = []
        self.url = None

    def data_received(self, data):
        self.parser.feed_data(data)

    def on_url(self, url):
        self.url = url

    def on_header(self, name, value):
        self.headers.append((name, value))

    def on_message_complete(self):
        body = b"Hello, world!"
        head = ("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode("latin-1")
        self.transport.write(head + body)
        if not self.parser.should_keep_alive():
            self.transport.close()
        self.headers = []


async def serve(port):
    server = await asyncio.get_running_loop().create_server(
        Protocol, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if "--uvloop" in sys.argv:
    import uvloop
    uvloop.install()
asyncio.run(serve(int(sys.argv[-1])))
