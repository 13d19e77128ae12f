#include "conformance.h"

typedef ASYNC_FUTURE(const char *) text_future;

struct w { ASYNC_FRAME; text_future *f; const char *value; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_TRY {
        AWAIT_FUTURE_INTO(self->value, self->f);
        printf("got %s\n", self->value);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        if (async_future_result(&self->f->future) == 0)
            printf("cancelled, but future has %s\n",
                   ASYNC_FUTURE_VALUE(self->f));
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct w2 { ASYNC_FRAME; async_future *f; };
static ASYNC(w2)
{
    ASYNC_BEGIN(w2);
    AWAIT_FUTURE(self->f);
    ASYNC_END;
}

struct program { ASYNC_FRAME; text_future f; async_task *t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_future_init(&self->f.future, async_loop_of(co));
    self->t = async_create_task(CO(w, &self->f));
    AWAIT(async_sleep, 0);
    ASYNC_SET_RESULT(&self->f, "value");
    puts(boolean(async_task_cancel(self->t)));
    AWAIT(until_ended, self->t);
    printf("%s %s\n", boolean(async_task_cancelled(self->t)),
           boolean(async_future_cancelled(&self->f.future)));
    async_task_release(self->t);
    /* other order: cancel first cancels the future itself */
    async_future_init(&self->f.future, async_loop_of(co));
    self->t = async_create_task(CO(w2, &self->f.future));
    AWAIT(async_sleep, 0);
    async_task_cancel(self->t);
    puts(boolean(async_future_cancelled(&self->f.future)));
    {
        int e = ASYNC_SET_RESULT(&self->f, "1");
        if (e) puts(exception_name(e));
    }
    AWAIT(until_ended, self->t);
    puts(boolean(async_task_cancelled(self->t)));
    async_task_release(self->t);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
