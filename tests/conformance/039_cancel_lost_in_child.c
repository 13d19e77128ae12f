#include "conformance.h"

typedef const char *text;

struct child { ASYNC_RETURNS(text); };
static ASYNC(child)
{
    ASYNC_BEGIN(child);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        ASYNC_RETURN("swallowed");
    } ASYNC_END_TRY
    ASYNC_RETURN("None");
    ASYNC_END;
}

typedef ASYNC_TASK_OF(child) child_task;

struct parent { ASYNC_RETURNS(text); child_task c; text r; };
static ASYNC(parent)
{
    ASYNC_BEGIN(parent);
    AWAIT_TASK_INTO(self->r, self->c);
    printf("parent goes on: %s %d\n", self->r,
           async_task_cancelling(async_current_task()));
    AWAIT(async_sleep, 0);
    ASYNC_RETURN("p");
    ASYNC_END;
}

struct program { ASYNC_FRAME; child_task c; ASYNC_TASK_OF(parent) p; text r; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_SPAWN(self->c, child);
    ASYNC_SPAWN(self->p, parent, self->c);
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    async_task_cancel(self->p.task);
    AWAIT_TASK_INTO(self->r, self->p);
    printf("%s %s\n", self->r, boolean(async_task_cancelled(self->p.task)));
    async_task_release(self->c.task);
    async_task_release(self->p.task);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
