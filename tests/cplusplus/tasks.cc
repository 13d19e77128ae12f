// Tasks from C++: spawn and join, gather, limits, shield, futures, semaphore; and
// what they do, as text.
#define ASYNC_IMPLEMENTATION
#include "../../async/dump.h"
#include "../../async/sync.h"
#include "../../async/test/virtual.h"

#include <cstdio>

// A coroutine's struct and its function have one name, which g++ takes for
// shadowing.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wshadow"
#endif

struct twice { ASYNC_RETURNS(int); int n; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    if (self->n < 0) ASYNC_RAISE(ASYNC_EINVAL);
    ASYNC_RETURN(self->n * 2);
    ASYNC_END;
}

struct name { ASYNC_RETURNS(const char *); };
static ASYNC(name)
{
    ASYNC_BEGIN(name);
    ASYNC_RETURN("a name");
    ASYNC_END;
}

typedef ASYNC_FUTURE(int) number;
struct waiter { ASYNC_FRAME; number *future; int n; };
static ASYNC(waiter)
{
    ASYNC_BEGIN(waiter);
    AWAIT_FUTURE_INTO(self->n, self->future);
    std::printf("future %d\n", self->n);
    AWAIT_FUTURE(&self->future->future);
    ASYNC_END;
}

struct worker { ASYNC_FRAME; async_semaphore *two; int id; };
static ASYNC(worker)
{
    ASYNC_BEGIN(worker);
    ASYNC_WITH(async_semaphore, self->two) {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
        std::printf("worker %d at %g\n", self->id,
                    (double)async_loop_time(async_loop_of(co)) / 1e9);
    } ASYNC_END_WITH
    ASYNC_END;
}

static void put(const char *text, void *file)
{
    std::fputs(text, static_cast<std::FILE *>(file));
}

static int call(void *what)
{
    std::puts(static_cast<const char *>(what));
    return 0;
}

struct program {
    ASYNC_FRAME;
    int n, error;
    ASYNC_TASK_OF(twice) task;
    ASYNC_TASK_OF(waiter) waits;
    async_gathering all;
    async_semaphore two;
    number future;
    async_handle handle;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_SPAWN(self->task, twice, 5);
    async_task_set_name(self->task.task, "five");
    std::printf("%s\n", async_task_get_name(self->task.task));
    AWAIT_TASK(self->task.task);
    std::printf("%d\n", ASYNC_TASK_RESULT(self->task));
    AWAIT_TASK_INTO(self->n, self->task);
    AWAIT_JOIN_INTO(self->n, self->task);
    std::printf("%d\n", self->n);
    ASYNC_SPAWN(self->task, twice, 6);
    ASYNC_SUSPEND;
    async_task_cancel(self->task.task);
    ASYNC_TRY {
        AWAIT_JOIN(self->task.task);
    } ASYNC_EXCEPT_ALL(self->error) {
        std::printf("%s\n", async_error_name(self->error));
    } ASYNC_END_TRY

    AWAIT_GATHER(&self->all, CO(twice, 1), CO(name), CO(twice, 2));
    std::printf("%d %s %d\n", GATHERED(&self->all, 0, twice),
                GATHERED(&self->all, 1, name), GATHERED(&self->all, 2, twice));
    async_gather_clear(&self->all);

    // An object is an argument that dies with its expression.
    AWAIT_WAIT_FOR(ASYNC_SECONDS(2), twice, 1);
    AWAIT_WAIT_FOR_INTO(self->n, ASYNC_SECONDS(2), twice, 3);
    std::printf("%d\n", self->n);
    AWAIT_CATCH(self->error, async_wait_for, CO(twice, 1), ASYNC_MS(1));
    std::printf("%s\n", async_strerror(self->error));
    AWAIT(async_shield, CO(twice, 1));

    async_future_init(&self->future.future, async_loop_of(co));
    ASYNC_SPAWN(self->waits, waiter, &self->future);
    ASYNC_SUSPEND;
    ASYNC_SET_RESULT(&self->future, 99);
    AWAIT_JOIN(self->waits.task);

    async_semaphore_init(&self->two, 2);
    for (self->n = 0; self->n < 4; self->n++)
        async_gather_add(&self->all, CO(worker, &self->two, self->n));
    AWAIT(async_sleep, 0);
    async_dump_tasks(async_loop_of(co), ASYNC_DUMP_FRAMES, put, stdout);
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);

    async_loop_call_soon(async_loop_of(co), &self->handle, call,
                         const_cast<char *>("called"));
    ASYNC_SUSPEND;
    ASYNC_END;
}

ASYNC_STATIC_TASK(fixed, ASYNC_LARGER(ASYNC_FRAMES(twice, async_sleep),
                                      ASYNC_FRAMES(worker)));

int main()
{
    async_virtual_loop loop;
    int n = 0;
    std::printf("end %d\n", async_virtual_run(CO(program)));

    async_virtual_loop_init(&loop, nullptr);
    async_task_start(&fixed, &loop.base, CO(twice, 4));
    std::printf("static %d\n",
                async_loop_run_until_complete(&loop.base,
                                              async_task_object(&fixed.task)));
    std::printf("into %d",
                ASYNC_RUN_UNTIL_COMPLETE_INTO(n, &loop.base, twice, 8));
    std::printf(" %d\n", n);
    std::printf("close %d\n", async_loop_close(&loop.base));
    return 0;
}
