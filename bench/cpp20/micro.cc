/* micro.cc - the workloads as C++20 coroutines
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * The task type that one writes, after those of cppcoro and libunifex: lazy,
 * with symmetric transfer into a child and back out of it, and exceptions that
 * go to who awaits.  The scheduler is the queue of floor/micro.c.
 *
 * Frames come from lists of free ones, kept by size, and a task that ends goes
 * straight on in the one that joins it.  Two variants tell what that is worth:
 *
 * -DBENCH_MALLOC_FRAMES   frames come from operator new, which is what a
 *                         compiler gives to a type that says nothing
 * -DBENCH_QUEUED_JOIN     who joins goes through the queue, as in asyncio and
 *                         in Caesura: ending a task runs nobody inside it
 */
#include "../bench.h"

#include <coroutine>
#include <exception>
#include <new>
#include <utility>
#include <vector>

static long asked; // bytes, by frames

// --- memory for frames ------------------------------------------------------

struct frames {
    // Not thread-local: nor is the rest of this program.
    union block {
        block *next;
        char bytes[1];
    };
    static constexpr std::size_t step = 16, limit = 1024;
    static inline block *free_blocks[limit / step + 1];

    static std::size_t list_of(std::size_t size)
    {
        return (size + step - 1) / step;
    }
    static void *allocate(std::size_t size)
    {
        if (size <= limit) {
            block *&first = free_blocks[list_of(size)];
            if (first != nullptr) {
                block *found = first;
                first = found->next;
                return found;
            }
            size = list_of(size) * step;
        }
        asked += static_cast<long>(size);
        return ::operator new(size);
    }
    static void release(void *memory, std::size_t size) noexcept
    {
        if (size > limit) {
            ::operator delete(memory);
            return;
        }
        block *&first = free_blocks[list_of(size)];
        block *freed = static_cast<block *>(memory);
        freed->next = first;
        first = freed;
    }
};

// --- tasks ------------------------------------------------------------------

// What the queue holds: each promise begins with one, which knows its
// coroutine from the start.  So a switch writes nothing but the queue's links.
struct ready : bench_node {
    std::coroutine_handle<> handle;
};

static void run()
{
    while (bench_node *next = bench_pop())
        static_cast<ready *>(next)->handle.resume();
}

struct promise_base : ready {
    std::coroutine_handle<> continuation = std::noop_coroutine();
    std::exception_ptr exception;
#ifdef BENCH_QUEUED_JOIN
    ready *joiner = nullptr;
#endif

#ifndef BENCH_MALLOC_FRAMES
    static void *operator new(std::size_t size)
    {
        return frames::allocate(size);
    }
    static void operator delete(void *memory, std::size_t size)
    {
        frames::release(memory, size);
    }
#endif

    struct final_awaiter {
        bool await_ready() const noexcept
        {
            return false;
        }
        template <class Promise>
        std::coroutine_handle<>
        await_suspend(std::coroutine_handle<Promise> ended) const noexcept
        {
#ifdef BENCH_QUEUED_JOIN
            if (ended.promise().joiner) bench_push(ended.promise().joiner);
#endif
            return ended.promise().continuation;
        }
        void await_resume() const noexcept
        {
        }
    };
    std::suspend_always initial_suspend() const noexcept
    {
        return {};
    }
    final_awaiter final_suspend() const noexcept
    {
        return {};
    }
    void unhandled_exception() noexcept
    {
        exception = std::current_exception();
    }
};

template <class T> struct promise_of : promise_base {
    T value;
    void return_value(T given) noexcept
    {
        value = given;
    }
    T result()
    {
        if (exception) std::rethrow_exception(exception);
        return value;
    }
};
template <> struct promise_of<void> : promise_base {
    void return_void() const noexcept
    {
    }
    void result()
    {
        if (exception) std::rethrow_exception(exception);
    }
};

// A coroutine that has not begun: `co_await task` runs it inside the caller.
template <class T> class task {
  public:
    struct promise_type : promise_of<T> {
        task get_return_object() noexcept
        {
            auto made = handle_type::from_promise(*this);
            this->handle = made;
            return task(made);
        }
    };
    using handle_type = std::coroutine_handle<promise_type>;

    task(task &&other) noexcept : handle(std::exchange(other.handle, nullptr))
    {
    }
    ~task()
    {
        if (handle) handle.destroy();
    }
    handle_type release() noexcept
    {
        return std::exchange(handle, nullptr);
    }

    bool await_ready() const noexcept
    {
        return false;
    }
    std::coroutine_handle<>
    await_suspend(std::coroutine_handle<> caller) const noexcept
    {
        handle.promise().continuation = caller;
        return handle;
    }
    T await_resume() const
    {
        return handle.promise().result();
    }

  private:
    explicit task(handle_type made) noexcept : handle(made)
    {
    }
    handle_type handle;
};

// A task that runs beside its maker, from its turn in the queue on.  As with
// std::thread, whoever makes one must await it before it goes.
template <class T> class spawned {
  public:
    explicit spawned(task<T> &&made) noexcept : handle(made.release())
    {
        bench_push(&handle.promise());
    }
    spawned(spawned &&other) noexcept
        : handle(std::exchange(other.handle, nullptr))
    {
    }
    ~spawned()
    {
        if (!handle) return;
        if (!handle.done()) std::terminate();
        handle.destroy();
    }

    bool await_ready() const noexcept
    {
        return handle.done();
    }
#ifdef BENCH_QUEUED_JOIN
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> joiner) const noexcept
    {
        handle.promise().joiner = &joiner.promise();
    }
#else
    void await_suspend(std::coroutine_handle<> joiner) const noexcept
    {
        handle.promise().continuation = joiner;
    }
#endif
    T await_resume() const
    {
        return handle.promise().result();
    }

  private:
    typename task<T>::handle_type handle;
};

// To the end of the queue.
struct yield {
    bool await_ready() const noexcept
    {
        return false;
    }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> caller) const noexcept
    {
        bench_push(&caller.promise());
    }
    void await_resume() const noexcept
    {
    }
};

// --- switch -----------------------------------------------------------------

BENCH_NOINLINE static task<long> looper(long n)
{
    long i = 0;
    for (; i < n; i++) co_await yield{};
    co_return i;
}

static task<void> bench_switch()
{
    long each = bench_job.n / bench_job.many, sum = 0;
    std::vector<spawned<long>> tasks;
    tasks.reserve(static_cast<std::size_t>(bench_job.many));
    for (long i = 0; i < bench_job.many; i++) tasks.emplace_back(looper(each));
    bench_begin();
    for (auto &looping : tasks) sum += co_await looping;
    bench_end(each * bench_job.many, sum, each * bench_job.many);
}

// --- depth ------------------------------------------------------------------

BENCH_NOINLINE static task<long> level(int depth, long n)
{
    if (depth > 0) co_return co_await level(depth - 1, n);
    long i = 0;
    for (; i < n; i++) co_await yield{};
    co_return i;
}

static task<void> bench_depth()
{
    spawned<long> outermost(level(bench_job.depth, bench_job.n));
    bench_begin();
    long looped = co_await outermost;
    bench_end(bench_job.n, looped, bench_job.n);
}

// --- spawn and join, call ---------------------------------------------------

BENCH_NOINLINE static task<int> child(long argument)
{
    co_return bench_value(argument);
}

static task<void> bench_spawn()
{
    long sum = 0;
    bench_begin();
    for (long i = 0; i < bench_job.n; i++)
        sum += co_await spawned<int>(child(i));
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
}

static task<void> bench_call()
{
    long sum = 0;
    bench_begin();
    for (long i = 0; i < bench_job.n; i++) sum += co_await child(i);
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
}

// --- sleep ------------------------------------------------------------------

// Timers in a list that is sorted by deadline, and searched from its end, as
// in floor/micro.c.  The entry lies in the frame.
static struct sleep_for *first_timer, *last_timer;
struct sleep_for {
    std::coroutine_handle<> handle;
    sleep_for *before = nullptr, *after = nullptr;
    double deadline;

    explicit sleep_for(double delay) : deadline(bench_clock() + delay)
    {
    }
    bool await_ready() const noexcept
    {
        return false;
    }
    void await_suspend(std::coroutine_handle<> caller) noexcept
    {
        handle = caller;
        before = last_timer;
        while (before != nullptr && before->deadline > deadline)
            before = before->before;
        after = before != nullptr ? before->after : first_timer;
        (before != nullptr ? before->after : first_timer) = this;
        (after != nullptr ? after->before : last_timer) = this;
    }
    void await_resume() const noexcept
    {
    }
};

static long asleep;
static task<void> sleeper()
{
    asleep++;
    co_await sleep_for(3600e9);
    asleep--; // not within an hour
}

static task<void> bench_sleep()
{
    std::vector<task<void>::handle_type> handles;
    handles.reserve(static_cast<std::size_t>(bench_job.n));
    handles.resize(static_cast<std::size_t>(bench_job.n));
    bench_sleep_begin(asked);
    for (auto &handle : handles) {
        handle = sleeper().release();
        bench_push(&handle.promise());
    }
    co_await yield{}; // they begin to sleep
#ifdef BENCH_MALLOC_FRAMES
    asked = -1;
#endif
    bench_sleep_end(bench_job.n, asleep, asked);
    for (auto &handle : handles) handle.destroy();
}

// --- queues -----------------------------------------------------------------

// A ring in which one may wait to put, and one to get.
struct ring {
    long items[64], in = 0, out = 0, capacity;
    ready *putter = nullptr, *getter = nullptr;

    explicit ring(long most) : capacity(most)
    {
    }
    static void wake(ready *&waiting)
    {
        if (waiting) bench_push(std::exchange(waiting, nullptr));
    }
    struct put_awaiter {
        ring &self;
        long item;
        bool await_ready() const noexcept
        {
            return self.in - self.out < self.capacity;
        }
        template <class Promise>
        void
        await_suspend(std::coroutine_handle<Promise> caller) const noexcept
        {
            self.putter = &caller.promise();
        }
        void await_resume() const noexcept
        {
            self.items[self.in++ % 64] = item;
            wake(self.getter);
        }
    };
    struct get_awaiter {
        ring &self;
        bool await_ready() const noexcept
        {
            return self.in != self.out;
        }
        template <class Promise>
        void
        await_suspend(std::coroutine_handle<Promise> caller) const noexcept
        {
            self.getter = &caller.promise();
        }
        long await_resume() const noexcept
        {
            long item = self.items[self.out++ % 64];
            wake(self.putter);
            return item;
        }
    };
    put_awaiter put(long item)
    {
        return { *this, item };
    }
    get_awaiter get()
    {
        return { *this };
    }
};

BENCH_NOINLINE static task<void> producer(ring &items)
{
    for (long i = 0; i < bench_job.n; i++) co_await items.put(i);
}
BENCH_NOINLINE static task<long> consumer(ring &items)
{
    long sum = 0;
    for (long i = 0; i < bench_job.n; i++) sum += co_await items.get();
    co_return sum;
}
static task<void> bench_queue()
{
    ring items(bench_job.capacity);
    bench_begin();
    spawned<void> producing(producer(items));
    spawned<long> consuming(consumer(items));
    long sum = co_await consuming;
    co_await producing;
    bench_end(bench_job.n, sum, bench_sum_to(bench_job.n));
}

BENCH_NOINLINE static task<void> ponger(ring &there, ring &back, long n)
{
    for (long i = 0; i < n; i++) co_await back.put(co_await there.get());
}
static task<void> bench_pingpong()
{
    ring there(1), back(1);
    long n = bench_job.n / 2, sum = 0;
    spawned<void> ponging(ponger(there, back, n));
    bench_begin();
    for (long i = 0; i < n; i++) {
        co_await there.put(i);
        sum += co_await back.get();
    }
    bench_end(2 * n, sum, bench_sum_to(n));
    co_await ponging;
}

// --- gather -----------------------------------------------------------------

static task<void> bench_gather()
{
    long rounds = bench_job.n / BENCH_MANY, sum = 0;
    bench_begin();
    for (long round = 0; round < rounds; round++) {
        std::vector<spawned<int>> all;
        all.reserve(BENCH_MANY);
        for (long i = 0; i < BENCH_MANY; i++) all.emplace_back(child(i));
        for (auto &one : all) sum += co_await one;
    }
    bench_end(rounds * BENCH_MANY, sum, rounds * bench_sum(BENCH_MANY));
}

int main(int argc, char **argv)
{
    bench_arguments(argc, argv);
    auto go = [](task<void> made) {
        spawned<void> job(std::move(made));
        run();
    };
    if (bench_is("switch")) go(bench_switch());
    if (bench_is("depth")) go(bench_depth());
    if (bench_is("spawn")) go(bench_spawn());
    if (bench_is("call")) go(bench_call());
    if (bench_is("sleep")) go(bench_sleep());
    if (bench_is("queue")) go(bench_queue());
    if (bench_is("pingpong")) go(bench_pingpong());
    if (bench_is("gather")) go(bench_gather());
    // There are no timers and no threads in the language.
    for (auto name : { "timers", "timeout", "bulk", "threads", "cores" })
        if (bench_is(name)) bench_missing();
    return 0;
}
