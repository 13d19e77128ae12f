/* server.cc - echo servers of Boost.Asio's coroutines
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     server echo|lines PORT
 */
#include <utility> // Boost 1.74 with g++ 12 forgets it

#include <boost/asio.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdlib>
#include <string>
#include <vector>

namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

static asio::io_context context(1);

static awaitable<void> echo(tcp::socket peer)
{
    std::vector<char> buffer(65536);
    try {
        for (;;) {
            std::size_t n = co_await peer.async_read_some(asio::buffer(buffer),
                                                          use_awaitable);
            co_await asio::async_write(peer, asio::buffer(buffer, n),
                                       use_awaitable);
        }
    } catch (const std::exception &) {
    }
}

static awaitable<void> echo_lines(tcp::socket peer)
{
    std::string buffer;
    try {
        for (;;) {
            std::size_t n = co_await asio::async_read_until(
                peer, asio::dynamic_buffer(buffer, 65536), '\n',
                use_awaitable);
            co_await asio::async_write(peer, asio::buffer(buffer.data(), n),
                                       use_awaitable);
            buffer.erase(0, n);
        }
    } catch (const std::exception &) {
    }
}

static awaitable<void> serve(bool lines, unsigned short port)
{
    tcp::acceptor listener(
        context, tcp::endpoint(asio::ip::make_address("127.0.0.1"), port));
    for (;;) {
        tcp::socket peer = co_await listener.async_accept(use_awaitable);
        peer.set_option(tcp::no_delay(true));
        asio::co_spawn(context,
                       lines ? echo_lines(std::move(peer))
                             : echo(std::move(peer)),
                       asio::detached);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    asio::co_spawn(context,
                   serve(std::string(argv[1]) == "lines",
                         static_cast<unsigned short>(std::atoi(argv[2]))),
                   asio::detached);
    context.run();
}
