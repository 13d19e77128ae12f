/* micro.cc - the workloads as coroutines of Boost.Asio
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * One thread runs an io_context that is told so.  Asio has no queue that
 * coroutines wait in before Boost 1.78.
 */
#include "../bench.h"

#include <utility> // Boost 1.74 with g++ 12 forgets it

#include <boost/asio.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <thread>
#include <vector>

namespace asio = boost::asio;
using asio::awaitable;
using asio::co_spawn;
using asio::detached;
using asio::use_awaitable;

static asio::io_context context(1);
static long counted, sum;

// --- switch, depth ----------------------------------------------------------

static awaitable<void> looper(long n)
{
    for (long i = 0; i < n; i++) {
        co_await asio::post(context, use_awaitable);
        counted++;
    }
}

static void bench_switch()
{
    long each = bench_job.n / bench_job.many;
    for (long i = 0; i < bench_job.many; i++)
        co_spawn(context, looper(each), detached);
    bench_begin();
    context.run();
    bench_end(each * bench_job.many, counted, each * bench_job.many);
}

static awaitable<void> level(int depth, long n)
{
    if (depth > 0)
        co_await level(depth - 1, n);
    else
        co_await looper(n);
}

static void bench_depth()
{
    // looper() is a level, too.
    co_spawn(context, level(bench_job.depth - 1, bench_job.n), detached);
    bench_begin();
    context.run();
    bench_end(bench_job.n, counted, bench_job.n);
}

// --- spawn, call, gather ----------------------------------------------------

BENCH_NOINLINE static awaitable<int> child(long argument)
{
    co_return bench_value(argument);
}

static awaitable<void> bench_spawn()
{
    bench_begin();
    for (long i = 0; i < bench_job.n; i++)
        sum += co_await co_spawn(context, child(i), use_awaitable);
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
}

static awaitable<void> bench_call()
{
    bench_begin();
    for (long i = 0; i < bench_job.n; i++) sum += co_await child(i);
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
}

// Each child counts down; the last one wakes who gathers.
static awaitable<void> bench_gather()
{
    long rounds = bench_job.n / BENCH_MANY;
    bench_begin();
    for (long round = 0; round < rounds; round++) {
        long left = BENCH_MANY;
        asio::steady_timer all(context, asio::steady_timer::time_point::max());
        for (long i = 0; i < BENCH_MANY; i++)
            co_spawn(context, child(i), [&](std::exception_ptr, int result) {
                sum += result;
                if (--left == 0) all.cancel();
            });
        boost::system::error_code error;
        co_await all.async_wait(asio::redirect_error(use_awaitable, error));
    }
    bench_end(rounds * BENCH_MANY, sum, rounds * bench_sum(BENCH_MANY));
}

// --- timers -----------------------------------------------------------------

static awaitable<void> sleeper(long milliseconds)
{
    asio::steady_timer timer(context, std::chrono::milliseconds(milliseconds));
    co_await timer.async_wait(use_awaitable);
    counted++;
}

static void bench_sleep()
{
    bench_sleep_begin(0);
    for (long i = 0; i < bench_job.n; i++)
        co_spawn(context, sleeper(3600000), detached);
    context.poll();
    bench_sleep_end(bench_job.n, bench_job.n - counted, -1);
    fflush(stdout);
    _exit(0);
}

static void bench_timers()
{
    bench_begin();
    for (long i = 0; i < bench_job.n; i++)
        co_spawn(context, sleeper(bench_milliseconds()), detached);
    context.run();
    bench_end(bench_job.n, counted, bench_job.n);
}

// A timer that is cancelled still has a handler to run.
static awaitable<void> bench_timeout()
{
    asio::steady_timer timer(context);
    bench_begin();
    for (long i = 0; i < bench_job.n; i++) {
        timer.expires_after(std::chrono::seconds(10));
        timer.async_wait([](boost::system::error_code) {});
        sum += co_await child(i);
        timer.cancel();
        if (i % 1000 == 999) co_await asio::post(context, use_awaitable);
    }
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
}

static void bench_bulk()
{
    std::vector<asio::steady_timer> timers;
    timers.reserve(static_cast<std::size_t>(bench_job.n));
    bench_begin();
    for (long i = 0; i < bench_job.n; i++) {
        timers.emplace_back(
            context, std::chrono::milliseconds(10000 + bench_milliseconds()));
        timers.back().async_wait([](boost::system::error_code error) {
            if (!error) counted++;
        });
    }
    for (auto &timer : timers) timer.cancel();
    context.poll();
    bench_end(bench_job.n, counted, 0);
    fflush(stdout);
    _exit(0);
}

// --- another thread ---------------------------------------------------------

static void bench_threads()
{
    bench_job.n -= bench_job.n % BENCH_BATCH;
    bench_begin();
    auto work = asio::make_work_guard(context);
    std::thread thread([&] {
        for (long i = 0; i < bench_job.n; i += BENCH_BATCH) {
            std::vector<std::future<int>> batch;
            batch.reserve(BENCH_BATCH);
            for (long j = 0; j < BENCH_BATCH; j++)
                batch.push_back(
                    co_spawn(context, child(i + j), asio::use_future));
            for (auto &result : batch) sum += result.get();
        }
        work.reset();
    });
    context.run();
    thread.join();
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
}

int main(int argc, char **argv)
{
    bench_arguments(argc, argv);
    auto go = [](awaitable<void> made) {
        co_spawn(context, std::move(made), detached);
        context.run();
    };
    if (bench_is("switch"))
        bench_switch();
    else if (bench_is("depth"))
        bench_depth();
    else if (bench_is("spawn"))
        go(bench_spawn());
    else if (bench_is("call"))
        go(bench_call());
    else if (bench_is("gather"))
        go(bench_gather());
    else if (bench_is("sleep"))
        bench_sleep();
    else if (bench_is("timers"))
        bench_timers();
    else if (bench_is("timeout"))
        go(bench_timeout());
    else if (bench_is("bulk"))
        bench_bulk();
    else if (bench_is("threads"))
        bench_threads();
    else
        bench_missing();
    return 0;
}
