"""An echo server on trio, which has no readline.

Part of Caesura, asyncio for C.  MIT licence, see LICENSE.

    server.py echo PORT
"""

import functools
import sys

import trio


async def echo(stream):
    try:
        while data := await stream.receive_some(65536):
            await stream.send_all(data)
    except trio.BrokenResourceError:
        pass


trio.run(functools.partial(trio.serve_tcp, echo, int(sys.argv[-1]),
                           host="127.0.0.1", backlog=1024))
