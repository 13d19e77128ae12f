// The blocks and the queues from C++: timeouts, groups, what stands in ASYNC_WITH,
// wait, as_completed; left by their end, return, break, continue and an error.
#define ASYNC_IMPLEMENTATION
#include "../../async/group.h"
#include "../../async/queue.h"
#include "../../async/sync.h"
#include "../../async/test/virtual.h"

#include <cstdio>

// A coroutine's struct and its function have one name, which g++ takes for
// shadowing.
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wshadow"
#endif

static double now(const async *co)
{
    return (double)async_loop_time(async_loop_of(co)) / 1e9;
}

struct twice { ASYNC_RETURNS(int); int n; };
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    AWAIT(async_sleep, ASYNC_SECONDS(self->n));
    if (self->n == 7) ASYNC_RAISE(ASYNC_EINVAL);
    ASYNC_RETURN(self->n * 2);
    ASYNC_END;
}

// --- timeout ---

struct limits { ASYNC_RETURNS(int); async_timeout outer, inner; int i, n; };
static ASYNC(limits)
{
    ASYNC_BEGIN(limits);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_TIMEOUT(&self->outer, ASYNC_SECONDS(5)) {
            if (self->i == 0) continue;
            if (self->i == 2) break;
            AWAIT_INTO(self->n, twice, 1);
            std::printf("in time %d\n", self->n);
        } ASYNC_END_TIMEOUT
    }
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->outer, ASYNC_SECONDS(9)) {
            ASYNC_TIMEOUT_AT(&self->inner, async_loop_time(async_loop_of(co)) +
                                               ASYNC_SECONDS(2)) {
                AWAIT(async_sleep, ASYNC_SECONDS(4));
            } ASYNC_END_TIMEOUT
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        std::printf("too late at %g: %d %d\n", now(co),
                    async_timeout_expired(&self->outer),
                    async_timeout_expired(&self->inner));
    } ASYNC_END_TRY
    ASYNC_TIMEOUT(&self->inner, ASYNC_SECONDS(1)) {
        async_timeout_reschedule(&self->inner, ASYNC_FOREVER);
        AWAIT(async_sleep, ASYNC_SECONDS(2));
        ASYNC_RETURN(42);
    } ASYNC_END_TIMEOUT
    ASYNC_RETURN(0);
    ASYNC_END;
}

// --- group ---

struct groups {
    ASYNC_FRAME;
    async_task_group group;
    ASYNC_TASK_OF(twice) one;
    int i;
};
static ASYNC(groups)
{
    ASYNC_BEGIN(groups);
    ASYNC_TASK_GROUP(&self->group) {
        ASYNC_GROUP_SPAWN(self->one, &self->group, twice, 1);
        for (self->i = 2; self->i < 4; self->i++)
            async_group_spawn(&self->group, CO(twice, self->i));
    } ASYNC_END_TASK_GROUP
    std::printf("all at %g: %d\n", now(co), ASYNC_TASK_RESULT(self->one));
    async_task_release(self->one.task);
    async_group_clear(&self->group);
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->group) {
            async_group_spawn(&self->group, CO(twice, 7));
            async_group_spawn(&self->group, CO(twice, 9));
            AWAIT(async_sleep, ASYNC_SECONDS(10));
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        for (size_t i = 0; i < async_group_error_count(&self->group); i++)
            std::printf("%s: %s\n", async_group_error_name(&self->group, i),
                        async_strerror(async_group_error(&self->group, i)));
    } ASYNC_END_TRY
    async_group_clear(&self->group);
    ASYNC_TASK_GROUP(&self->group) {
        async_group_spawn(&self->group, CO(twice, 9));
        async_group_cancel(&self->group);
    } ASYNC_END_TASK_GROUP
    std::printf("ended early at %g\n", now(co));
    ASYNC_END;
}

// --- with ---

static async_lock lock;
static async_condition condition;
static async_event event;
static async_barrier barrier;
static async_bounded_semaphore bounded;
static int stock;

static int in_stock(void *least)
{
    return stock >= *static_cast<int *>(least);
}

struct buys { ASYNC_RETURNS(int); int least; };
static ASYNC(buys)
{
    ASYNC_BEGIN(buys);
    AWAIT(async_event_wait, &event);
    ASYNC_WITH(async_condition, &condition) {
        AWAIT(async_condition_wait_for, &condition, in_stock, &self->least);
        ASYNC_RETURN(stock);
    } ASYNC_END_WITH
    ASYNC_RETURN(-1);
    ASYNC_END;
}

struct meets { ASYNC_RETURNS(int); int n; };
static ASYNC(meets)
{
    ASYNC_BEGIN(meets);
    ASYNC_WITH(async_lock, &lock) {
        AWAIT(async_sleep, ASYNC_SECONDS(1));
    } ASYNC_END_WITH
    ASYNC_WITH(async_bounded_semaphore, &bounded) {
        AWAIT_INTO(self->n, async_barrier_wait, &barrier);
    } ASYNC_END_WITH
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

struct holds {
    ASYNC_FRAME;
    async_gathering all;
    ASYNC_TASK_OF(buys) buyer;
    int n;
};
static ASYNC(holds)
{
    ASYNC_BEGIN(holds);
    ASYNC_SPAWN(self->buyer, buys, 10);
    async_event_set(&event);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_WITH(async_condition, &condition) {
        stock = 11;
        async_condition_notify_all(&condition);
    } ASYNC_END_WITH
    AWAIT_JOIN_INTO(self->n, self->buyer);
    std::printf("stock %d, locked %d\n", self->n,
                async_condition_locked(&condition));
    async_barrier_init(&barrier, 2);
    async_bounded_semaphore_init(&bounded, 2);
    AWAIT_GATHER(&self->all, CO(meets), CO(meets));
    std::printf("met %d %d\n", GATHERED(&self->all, 0, meets),
                GATHERED(&self->all, 1, meets));
    async_gather_clear(&self->all);
    std::printf("%s\n", async_strerror(async_lock_release(&lock)));
    std::printf("%s\n",
                async_strerror(async_bounded_semaphore_release(&bounded)));
    ASYNC_END;
}

// --- queues ---

struct point { int x, y; };
static int nearer(const void *a, const void *b)
{
    return static_cast<const point *>(a)->x - static_cast<const point *>(b)->x;
}
typedef ASYNC_QUEUE(point, 2) point_queue;

struct produces { ASYNC_FRAME; point_queue *to; point p; int i; };
static ASYNC(produces)
{
    ASYNC_BEGIN(produces);
    for (self->i = 0; self->i < 4; self->i++) {
        self->p.x = self->i;
        AWAIT_QUEUE_PUT(self->to, self->p);
    }
    AWAIT(async_queue_join, &self->to->queue);
    async_queue_shutdown(&self->to->queue, 0);
    ASYNC_END;
}
struct consumes { ASYNC_FRAME; point_queue *from; point p; };
static ASYNC(consumes)
{
    ASYNC_BEGIN(consumes);
    ASYNC_TRY {
        for (;;) {
            AWAIT_QUEUE_GET_INTO(self->p, self->from);
            std::printf("(%d, %d)\n", self->p.x, self->p.y);
            async_queue_task_done(&self->from->queue);
        }
    } ASYNC_EXCEPT(ASYNC_EQUEUESHUTDOWN) {
        std::puts("no more");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct queues {
    ASYNC_FRAME;
    point_queue queue;
    ASYNC_HEAP_QUEUE(point) nearest;
    async_gathering both;
    point p;
    int error;
};
static ASYNC(queues)
{
    ASYNC_BEGIN(queues);
    ASYNC_QUEUE_INIT(&self->queue);
    AWAIT_GATHER(&self->both, CO(produces, &self->queue),
                 CO(consumes, &self->queue));
    async_gather_clear(&self->both);
    ASYNC_HEAP_PRIORITY_QUEUE_INIT(&self->nearest, async_loop_of(co), 0,
                                   nearer);
    self->p.x = 3;
    ASYNC_QUEUE_PUT_NOWAIT(&self->nearest, self->p);
    self->p.x = 1;
    AWAIT(ASYNC_QUEUE_PUT(&self->nearest, &self->p));
    ASYNC_QUEUE_GET_NOWAIT(&self->nearest, &self->p);
    std::printf("nearest %d of %d\n", self->p.x,
                1 + (int)async_queue_qsize(&self->nearest.queue));
    AWAIT(ASYNC_QUEUE_GET(&self->nearest, &self->p));
    AWAIT_CATCH(self->error, async_wait_for,
                CO(ASYNC_QUEUE_GET(&self->nearest, &self->p)),
                ASYNC_SECONDS(1));
    std::printf("%s\n", async_strerror(self->error));
    async_queue_destroy(&self->nearest.queue);
    ASYNC_END;
}

// --- wait ---

struct awaits {
    ASYNC_FRAME;
    ASYNC_TASK_OF(twice) tasks[3];
    async_waited items[3];
    struct async_as_completed ends;
    async_future *next;
    std::size_t n;
    int i;
};
static ASYNC(awaits)
{
    ASYNC_BEGIN(awaits);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_SPAWN(self->tasks[self->i], twice, 3 - self->i);
        self->items[self->i].future = &self->tasks[self->i].task->future;
    }
    AWAIT_INTO(self->n, async_wait, self->items, 3, ASYNC_FOREVER,
               ASYNC_FIRST_COMPLETED);
    std::printf("%d done: %d%d%d\n", (int)self->n, self->items[0].done,
                self->items[1].done, self->items[2].done);
    self->ends =
        ASYNC_GENERATOR(async_as_completed, self->items, 3, ASYNC_SECONDS(9));
    ASYNC_FOR(self->next, &self->ends) {
        for (int i = 0; i < 3; i++)
            if (self->next == self->items[i].future)
                std::printf("ended %d\n", i);
    } ASYNC_END_FOR
    for (self->i = 0; self->i < 3; self->i++)
        async_task_release(self->tasks[self->i].task);
    ASYNC_END;
}

struct program { ASYNC_FRAME; int n; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT_INTO(self->n, limits);
    std::printf("limits %d\n", self->n);
    AWAIT(groups);
    AWAIT(holds);
    AWAIT(queues);
    AWAIT(awaits);
    ASYNC_END;
}

int main()
{
    std::printf("end %d\n", async_virtual_run(CO(program)));
    return 0;
}
