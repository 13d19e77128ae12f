#include "conformance.h"

/* An error is a number; these stand for ValueError with those arguments. */
enum { FUT = -11001, TASK = -11002, SEEN = -11003, LATE = -11004 };
static const char *argument(int error)
{
    return error == FUT ? "fut" : error == TASK ? "task" : "seen";
}

static int handler(async_loop *loop, const async_exception_context *context,
                   void *arg)
{
    (void)loop, (void)arg;
    printf("handler: %s %s\n", context->message, argument(context->error));
    return 0;
}

struct bad { ASYNC_FRAME; int error; };
static ASYNC(bad)
{
    ASYNC_BEGIN(bad);
    ASYNC_RAISE(self->error);
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_future f; async_task *t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_loop_set_exception_handler(async_loop_of(co), handler, NULL);
    async_future_init(&self->f, async_loop_of(co));
    async_future_set_exception(&self->f, FUT);
    async_future_destroy(&self->f);
    self->t = async_create_task(CO(bad, TASK));
    AWAIT(async_sleep, 0);
    printf("done %s\n", boolean(async_task_done(self->t)));
    async_task_release(self->t);
    self->t = async_create_task(CO(bad, SEEN));
    AWAIT(async_sleep, 0);
    printf("exc %s\n", argument(async_task_result(self->t)));
    async_task_release(self->t);
    self->t = async_create_task(CO(bad, LATE));
    AWAIT(async_sleep, 0);
    printf("cancel %s\n", boolean(async_task_cancel(self->t)));
    async_task_release(self->t);
    puts("end");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
