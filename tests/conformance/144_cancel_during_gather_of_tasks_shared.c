#include "conformance.h"

typedef const char *text;

struct shared { ASYNC_RETURNS(text); };
static ASYNC(shared)
{
    ASYNC_BEGIN(shared);
    AWAIT(async_sleep, 5 * U);
    ASYNC_RETURN("shared");
    ASYNC_END;
}

typedef ASYNC_TASK_OF(shared) shared_task;

struct w { ASYNC_FRAME; char n; shared_task aw; int shielded; text result; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_TRY {
        if (self->shielded) {
            AWAIT(async_shield, async_task_object(self->aw.task));
            self->result = ASYNC_TASK_RESULT(self->aw);
        } else {
            AWAIT_TASK_INTO(self->result, self->aw);
        }
        printf("%c %s\n", self->n, self->result);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("%c CancelledError %d\n", self->n,
               async_task_cancelling(async_current_task()));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    shared_task t;
    async_task *a, *b;
    int shielded;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    for (self->shielded = 0; self->shielded < 2; self->shielded++) {
        ASYNC_SPAWN(self->t, shared);
        self->a = async_create_task(CO(w, 'a', self->t, self->shielded));
        self->b = async_create_task(CO(w, 'b', self->t, self->shielded));
        AWAIT(async_sleep, U);
        async_task_cancel(self->a);
        AWAIT_JOIN(self->a);
        AWAIT_JOIN(self->b);
        puts(boolean(async_task_cancelled(self->t.task)));
        async_task_release(self->t.task);
    }
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
