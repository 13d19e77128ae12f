/* A program in which tasks wait in ten ways, for those who look into it from
 * outside: `waits N` has N tasks of each.  It prints "waiting" when all of them
 * do, and waits until its standard input ends.  Each way has a coroutine of its
 * own, whose await has its name in a comment on its line. */
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/loop.h"

#ifdef INSPECTED
#include "../../async/debug/inspector.h"
#endif
#include "../../async/queue.h"
#include "../../async/sync.h"
#include "../../async/uv/poll.h"
#include "../../async/uv/tcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static async_future never;
static async_lock lock;
static async_event event;
static async_semaphore semaphore;
static async_condition condition;
static ASYNC_QUEUE(int, 1) empty;
static async_task *forever;
static async_loop *loop;

struct wait_sleep { ASYNC_FRAME; };
static ASYNC(wait_sleep)
{
    ASYNC_BEGIN(wait_sleep);
    AWAIT(async_sleep, ASYNC_SECONDS(1000)); /* at wait_sleep */
    ASYNC_END;
}
struct wait_future { ASYNC_FRAME; };
static ASYNC(wait_future)
{
    ASYNC_BEGIN(wait_future);
    AWAIT_FUTURE(&never); /* at wait_future */
    ASYNC_END;
}
struct wait_task { ASYNC_FRAME; };
static ASYNC(wait_task)
{
    ASYNC_BEGIN(wait_task);
    AWAIT_TASK(forever); /* at wait_task */
    ASYNC_END;
}
struct wait_lock { ASYNC_FRAME; };
static ASYNC(wait_lock)
{
    ASYNC_BEGIN(wait_lock);
    AWAIT(async_lock_acquire, &lock); /* at wait_lock */
    ASYNC_END;
}
struct wait_event { ASYNC_FRAME; };
static ASYNC(wait_event)
{
    ASYNC_BEGIN(wait_event);
    AWAIT(async_event_wait, &event); /* at wait_event */
    ASYNC_END;
}
struct wait_semaphore { ASYNC_FRAME; };
static ASYNC(wait_semaphore)
{
    ASYNC_BEGIN(wait_semaphore);
    AWAIT(async_semaphore_acquire, &semaphore); /* at wait_semaphore */
    ASYNC_END;
}
struct wait_condition { ASYNC_FRAME; };
static ASYNC(wait_condition)
{
    ASYNC_BEGIN(wait_condition);
    AWAIT(async_condition_acquire, &condition);
    AWAIT(async_condition_wait, &condition); /* at wait_condition */
    ASYNC_END;
}
struct wait_queue { ASYNC_FRAME; int item; };
static ASYNC(wait_queue)
{
    ASYNC_BEGIN(wait_queue);
    AWAIT(ASYNC_QUEUE_GET(&empty, &self->item)); /* at wait_queue */
    ASYNC_END;
}
struct naps { ASYNC_FRAME; };
static ASYNC(naps)
{
    ASYNC_BEGIN(naps);
    AWAIT(async_sleep, ASYNC_SECONDS(1000)); /* at naps */
    ASYNC_END;
}
struct wait_gather { ASYNC_FRAME; async_gathering all; };
static ASYNC(wait_gather)
{
    ASYNC_BEGIN(wait_gather);
    async_gather_add(&self->all, CO(naps));
    AWAIT(async_gather, &self->all); /* at wait_gather */
    ASYNC_END;
}
/* Three frames of its own, so that its stack has grown. */
struct deepest { ASYNC_FRAME; char room[300]; };
static ASYNC(deepest)
{
    ASYNC_BEGIN(deepest);
    AWAIT(async_sleep, ASYNC_SECONDS(1000)); /* at deepest */
    ASYNC_END;
}
struct deeper { ASYNC_FRAME; };
static ASYNC(deeper)
{
    ASYNC_BEGIN(deeper);
    AWAIT(deepest); /* at deeper */
    ASYNC_END;
}
struct wait_deep { ASYNC_FRAME; };
static ASYNC(wait_deep)
{
    ASYNC_BEGIN(wait_deep);
    AWAIT(deeper); /* at wait_deep */
    ASYNC_END;
}

struct program { ASYNC_FRAME; int each, i; async_uv_loop *uv; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    loop = async_loop_of(co);
    async_future_init(&never, loop);
    async_lock_init(&lock);
    async_event_init(&event);
    async_semaphore_init(&semaphore, 0);
    async_condition_init(&condition, NULL);
    ASYNC_QUEUE_INIT(&empty);
    AWAIT(async_lock_acquire, &lock);
    forever = async_create_task(CO(naps));
    async_task_set_name(forever, "forever");
    for (self->i = 0; self->i < self->each; self->i++) {
        async_task_release(async_create_task(CO(wait_sleep)));
        async_task_release(async_create_task(CO(wait_future)));
        async_task_release(async_create_task(CO(wait_task)));
        async_task_release(async_create_task(CO(wait_lock)));
        async_task_release(async_create_task(CO(wait_event)));
        async_task_release(async_create_task(CO(wait_semaphore)));
        async_task_release(async_create_task(CO(wait_queue)));
        async_task_release(async_create_task(CO(wait_gather)));
        async_task_release(async_create_task(CO(wait_deep)));
        async_task_release(async_create_task(CO(wait_condition)));
    }
    for (self->i = 0; self->i < 5; self->i++) AWAIT(async_sleep, 0);
    puts("waiting");
    fflush(stdout);
    AWAIT(async_poll_readable, 0); /* at program */
    async_task_release(forever);
    ASYNC_END;
}

int main(int argc, char **argv)
{
    int each = argc > 1 ? atoi(argv[1]) : 1;
    return async_run(CO(program, each));
}
