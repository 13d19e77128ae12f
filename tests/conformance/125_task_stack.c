/* The stack of a suspended, a finished and a failed task.  (Python's get_stack
 * has only a suspended coroutine's outermost frame, and the frames that an
 * error passed.) */
#include "conformance.h"

struct inner { ASYNC_FRAME; };
static ASYNC(inner)
{
    ASYNC_BEGIN(inner);
    AWAIT(async_sleep, 100 * U);
    ASYNC_END;
}

struct w { ASYNC_FRAME; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    AWAIT(inner);
    ASYNC_END;
}

struct bad { ASYNC_FRAME; };
static ASYNC(bad)
{
    ASYNC_BEGIN(bad);
    ASYNC_RAISE(E_VALUE);
    ASYNC_END;
}

/* inspect.getcoroutinestate() */
static const char *state_of(async_task *task)
{
    if (async_task_done(task)) return "CORO_CLOSED";
    if (async_current_task() == task) return "CORO_RUNNING";
    return async_frame_innermost(async_task_get_coro(task)) == NULL
               ? "CORO_CREATED"
               : "CORO_SUSPENDED";
}

/* The frame of the task's own coroutine, and the one that it awaits. */
static const async_frame *outermost(async_task *task,
                                    const async_frame **awaited)
{
    const async_frame *frame =
        async_frame_innermost(async_task_get_coro(task));
    *awaited = NULL;
    while (frame != NULL && async_frame_caller(frame) != NULL) {
        *awaited = frame;
        frame = async_frame_caller(frame);
    }
    return frame;
}

static int stack_size(async_task *task)
{
    const async_frame *awaited;
    return outermost(task, &awaited) != NULL;
}

struct program { ASYNC_FRAME; async_task *t, *b; async_waited one[1]; };
static ASYNC(program)
{
    const async_frame *frame, *awaited;
    async_traceback traceback;
    ASYNC_BEGIN(program);
    self->t = async_create_task(CO(w));
    puts(state_of(self->t));
    AWAIT(async_sleep, 0);
    frame = outermost(self->t, &awaited);
    printf("%s %d %s\n", state_of(self->t), stack_size(self->t),
           async_frame_name(frame));
    printf("%s %s\n", async_frame_name(awaited),
           state_of(async_current_task()));
    async_task_cancel(self->t);
    self->one[0].future = &self->t->future;
    AWAIT(async_wait, self->one, 1, ASYNC_FOREVER);
    printf("%s %d\n", state_of(self->t), stack_size(self->t));
    self->b = async_create_task(CO(bad));
    self->one[0].future = &self->b->future;
    AWAIT(async_wait, self->one, 1, ASYNC_FOREVER);
    async_traceback_of(async_task_get_coro(self->b), &traceback);
    printf("%s %s\n", boolean(traceback.count > 0),
           exception_name(async_task_result(self->b)));
    async_task_release(self->t);
    async_task_release(self->b);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
