"""Echo servers on asyncio, with its own loop or with uvloop's.

Part of Caesura, asyncio for C.  MIT licence, see LICENSE.

    server.py [--uvloop] echo PORT        streams: read(), write(), drain()
    server.py [--uvloop] protocol PORT    callbacks, without coroutines
    server.py [--uvloop] lines PORT       streams: readline(), write(), drain()
"""

import asyncio
import sys


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def lines(reader, writer):
    try:
        while line := await reader.readline():
            writer.write(line)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


class Protocol(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)


async def serve(kind, port):
    if kind == "protocol":
        server = await asyncio.get_running_loop().create_server(
            Protocol, "127.0.0.1", port, backlog=1024)
    else:
        server = await asyncio.start_server(
            lines if kind == "lines" else echo, "127.0.0.1", port,
            backlog=1024)
    await server.serve_forever()


if "--uvloop" in sys.argv:
    import uvloop
    uvloop.install()
asyncio.run(serve(sys.argv[-2], int(sys.argv[-1])))
