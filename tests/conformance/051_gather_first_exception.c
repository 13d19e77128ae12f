#include "conformance.h"

enum { VALUE_ERROR = -10100 }; /* ValueError(n) is this less n */

struct ok { ASYNC_RETURNS(int); int n, d; };
static ASYNC(ok)
{
    ASYNC_BEGIN(ok);
    AWAIT(async_sleep, self->d * U);
    printf("ok %d\n", self->n);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

struct bad { ASYNC_FRAME; int n, d; };
static ASYNC(bad)
{
    ASYNC_BEGIN(bad);
    AWAIT(async_sleep, self->d * U);
    printf("bad %d\n", self->n);
    ASYNC_RAISE(VALUE_ERROR - self->n);
    ASYNC_END;
}

static int handler(async_loop *loop, const async_exception_context *context,
                   void *argument)
{
    (void)loop, (void)argument;
    printf("handler %s\n", context->message);
    return 0;
}

struct program {
    ASYNC_FRAME;
    async_gathering all;
    async_future *g;
    int error;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_loop_set_exception_handler(async_loop_of(co), handler, NULL);
    async_gather_add(&self->all, CO(ok, 1, 1));
    async_gather_add(&self->all, CO(bad, 2, 2));
    async_gather_add(&self->all, CO(ok, 3, 4));
    async_gather_add(&self->all, CO(bad, 4, 3));
    self->g = async_gather_start(&self->all);
    ASYNC_TRY {
        AWAIT_FUTURE(self->g);
    } ASYNC_EXCEPT_ANY(self->error) {
        printf("caught %d\n", VALUE_ERROR - self->error);
    } ASYNC_END_TRY
    printf("gather.cancel() %s\n", boolean(async_future_cancel(self->g)));
    AWAIT(async_sleep, 5 * U);
    puts("end");
    async_gather_clear(&self->all);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
