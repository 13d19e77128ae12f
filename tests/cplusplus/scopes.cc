// Scopes, nurseries, channels, limiters and select from C++.
#define ASYNC_IMPLEMENTATION
#include "../../async/channel.h"
#include "../../async/limiter.h"
#include "../../async/nursery.h"
#include "../../async/select.h"
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

// --- scopes ---

struct limits { ASYNC_RETURNS(int); async_scope outer, inner; int i; };
static ASYNC(limits)
{
    ASYNC_BEGIN(limits);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_MOVE_ON_AFTER(&self->outer, ASYNC_SECONDS(2)) {
            if (self->i == 0) continue;
            if (self->i == 2) break;
            ASYNC_SHIELD_SCOPE(&self->inner) {
                AWAIT(async_sleep, ASYNC_SECONDS(3));
            }
            ASYNC_END_SCOPE
            AWAIT(async_checkpoint);
            std::printf("never\n");
        }
        ASYNC_END_SCOPE
        std::printf("moved on at %g: %d\n", now(co),
                    async_scope_cancelled_caught(&self->outer));
    }
    ASYNC_TRY {
        ASYNC_FAIL_AFTER(&self->outer, ASYNC_SECONDS(1)) {
            AWAIT(async_sleep, ASYNC_SECONDS(4));
        }
        ASYNC_END_SCOPE
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        std::printf("failed at %g\n", now(co));
    } ASYNC_END_TRY
    ASYNC_SCOPE(&self->outer) {
        ASYNC_RETURN(42);
    }
    ASYNC_END_SCOPE
    ASYNC_RETURN(0);
    ASYNC_END;
}

// --- nurseries ---

typedef ASYNC_STARTING(int) int_starting;

struct service { ASYNC_FRAME; int_starting *start; };
static ASYNC(service)
{
    ASYNC_BEGIN(service);
    AWAIT(async_sleep, ASYNC_SECONDS(1));
    ASYNC_STARTED(self->start, 80);
    AWAIT(async_sleep, ASYNC_SECONDS(100));
    ASYNC_END;
}

struct nurses {
    ASYNC_FRAME;
    async_nursery nursery;
    int_starting start;
    ASYNC_TASK_OF(twice) one;
};
static ASYNC(nurses)
{
    ASYNC_BEGIN(nurses);
    ASYNC_NURSERY(&self->nursery) {
        AWAIT_NURSERY_START(&self->nursery, &self->start, service,
                            &self->start);
        std::printf("started: %d\n", self->start.value);
        ASYNC_NURSERY_SPAWN(self->one, &self->nursery, twice, 2);
        AWAIT_TASK(self->one.task);
        async_nursery_cancel(&self->nursery);
    }
    ASYNC_END_NURSERY
    std::printf("ended at %g: %d\n", now(co), ASYNC_TASK_RESULT(self->one));
    async_task_release(self->one.task);
    async_nursery_clear(&self->nursery);
    ASYNC_TRY {
        ASYNC_NURSERY(&self->nursery) {
            async_nursery_spawn(&self->nursery, CO(twice, 7));
            async_nursery_spawn(&self->nursery, CO(twice, 9));
        }
        ASYNC_END_NURSERY
    } ASYNC_EXCEPT(ASYNC_EGROUP) {
        std::printf("%s\n", async_strerror(
                                async_group_error(&self->nursery.group, 0)));
    } ASYNC_END_TRY
    ASYNC_END;
}

// --- channels ---

struct point { int x, y; };
typedef ASYNC_CHANNEL(point, 2) points;
typedef ASYNC_SENDER(point) point_sender;
typedef ASYNC_RECEIVER(point) point_receiver;

struct sends { ASYNC_FRAME; point_sender *to; int i; };
static ASYNC(sends)
{
    point p;
    ASYNC_BEGIN(sends);
    for (; self->i < 4; self->i++) {
        p.x = p.y = self->i;
        AWAIT_CHANNEL_SEND(self->to, p);
    }
    async_sender_close(&self->to->sender);
    ASYNC_END;
}

struct receives {
    ASYNC_FRAME;
    points channel;
    point_sender in, other;
    point_receiver out;
    async_task *task;
    point p;
};
static ASYNC(receives)
{
    ASYNC_BEGIN(receives);
    ASYNC_CHANNEL_OPEN(&self->channel, &self->in, &self->out);
    ASYNC_SENDER_CLONE(&self->other, &self->in);
    self->task = async_create_task(CO(sends, &self->in));
    self->p.x = self->p.y = 9;
    ASYNC_CHANNEL_SEND_NOWAIT(&self->other, self->p);
    async_sender_close(&self->other.sender);
    AWAIT(ASYNC_CHANNEL_RECEIVE(&self->out, &self->p));
    std::printf("first %d\n", self->p.x);
    ASYNC_TRY {
        for (;;) {
            AWAIT_CHANNEL_RECEIVE_INTO(self->p, &self->out);
            std::printf("%d,%d\n", self->p.x, self->p.y);
        }
    } ASYNC_EXCEPT(ASYNC_EENDOFCHANNEL) {
        std::printf("end: %d\n",
                    ASYNC_CHANNEL_RECEIVE_NOWAIT(&self->out, &self->p) ==
                        ASYNC_EENDOFCHANNEL);
    } ASYNC_END_TRY
    AWAIT_JOIN(self->task);
    ASYNC_END;
}

// --- limiters and select ---

struct selects {
    ASYNC_FRAME;
    ASYNC_LIMITER(2) tokens;
    async_selection race;
    size_t who;
};
static ASYNC(selects)
{
    ASYNC_BEGIN(selects);
    ASYNC_LIMITER_INIT(&self->tokens, 1);
    ASYNC_WITH(async_limiter, &self->tokens.limiter) {
        std::printf("borrowed twice: %d\n",
                    async_limiter_acquire_nowait(&self->tokens.limiter) ==
                        ASYNC_EBORROWED);
    } ASYNC_END_WITH
    AWAIT_SELECT_INTO(self->who, &self->race, CO(twice, 3), CO(twice, 1));
    std::printf("%d won: %d\n", (int)self->who,
                ASYNC_SELECTED(&self->race, self->who, twice));
    async_select_clear(&self->race);
    ASYNC_END;
}

struct all { ASYNC_FRAME; int n; };
static ASYNC(all)
{
    ASYNC_BEGIN(all);
    AWAIT_INTO(self->n, limits);
    std::printf("%d\n", self->n);
    AWAIT(nurses);
    AWAIT(receives);
    AWAIT(selects);
    ASYNC_END;
}

int main()
{
    return async_virtual_run(CO(all)) != 0;
}
