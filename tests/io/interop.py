"""The other end for tests/io/interop.c, by asyncio's streams.

    interop.py talk PORT|PATH         what `interop talk` does
    interop.py serve lines|blocks tcp|PATH
"""
import asyncio
import sys

MUCH = bytes(10 if i % 61 == 60 else i * 13 >> 2 & 255 for i in range(8_000_000 - 1)) + b"x"


async def open_connection(where):
    if where.isdigit():
        return await asyncio.open_connection("127.0.0.1", int(where))
    return await asyncio.open_unix_connection(where)


async def send_much(writer):
    for at in range(0, len(MUCH), 50_000):
        writer.write(MUCH[at:at + 50_000])
        await writer.drain()
    writer.write_eof()


async def talk(where):
    reader, writer = await open_connection(where)
    for i in range(100):
        line = b"this is line %d\n" % i
        writer.write(line)
        assert await reader.readline() == line
    sender = asyncio.create_task(send_much(writer))
    got = await reader.read()
    await sender
    assert got == MUCH, len(got)
    writer.close()
    await writer.wait_closed()

    # Several at once, each with bytes of its own.
    async def one(number):
        reader, writer = await open_connection(where)
        block = b"%d\n" % number * 10_000
        writer.writelines([block, b"end"])
        writer.write_eof()
        assert await reader.read() == block + b"end"
        writer.close()
        await writer.wait_closed()
    await asyncio.gather(*map(one, range(10)))

    # One that leaves in the middle does no harm to the next.
    reader, writer = await open_connection(where)
    writer.write(MUCH[:1_000_000])
    await reader.readexactly(1000)
    writer.transport.abort()
    await one(99)
    print("100 lines, 8 MB and 11 connections came back")


async def serve(how, where):
    async def client(reader, writer):
        while data := await (reader.readline() if how == "lines" else reader.read(100_000)):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
    if where == "tcp":
        server = await asyncio.start_server(client, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
    else:
        server = await asyncio.start_unix_server(client, where)
        print(where, flush=True)
    await server.serve_forever()

if sys.argv[1] == "talk":
    asyncio.run(asyncio.wait_for(talk(sys.argv[2]), 100))
else:
    asyncio.run(serve(*sys.argv[2:]))
