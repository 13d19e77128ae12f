#include "conformance.h"

struct leaf { ASYNC_FRAME; async_future future; };
static ASYNC(leaf)
{
    ASYNC_BEGIN(leaf);
    async_future_init(&self->future, async_loop_of(co));
    AWAIT_FUTURE(&self->future);
    ASYNC_END;
}

struct mid { ASYNC_FRAME; };
static ASYNC(mid)
{
    ASYNC_BEGIN(mid);
    AWAIT(leaf);
    ASYNC_END;
}

struct top { ASYNC_FRAME; };
static ASYNC(top)
{
    ASYNC_BEGIN(top);
    AWAIT(mid);
    ASYNC_END;
}

struct waiter { ASYNC_FRAME; async_task *t; };
static ASYNC(waiter)
{
    ASYNC_BEGIN(waiter);
    AWAIT_TASK(self->t);
    ASYNC_END;
}

/* The chain begins with the innermost; Python's with the outermost. */
static void print_chain(const async_frame *frame)
{
    const async_frame *caller = async_frame_caller(frame);
    if (caller != NULL) {
        print_chain(caller);
        printf(", ");
    }
    printf("'%s'", async_frame_name(frame));
}

static void print_task(const async_task *task)
{
    printf("%s [", async_task_get_name(task));
    print_chain(async_frame_innermost(async_task_get_coro(task)));
    puts("]");
}

struct program { ASYNC_FRAME; async_task *t, *w; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t = async_create_task(CO(top));
    async_task_set_name(self->t, "T");
    self->w = async_create_task(CO(waiter, self->t));
    async_task_set_name(self->w, "W");
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    print_task(self->t);
    print_task(self->w);
    async_task_cancel(self->t);
    AWAIT(until_ended, self->t);
    AWAIT(until_ended, self->w);
    printf("%s %s\n", boolean(async_task_cancelled(self->t)),
           boolean(async_task_cancelled(self->w)));
    async_task_release(self->t);
    async_task_release(self->w);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
