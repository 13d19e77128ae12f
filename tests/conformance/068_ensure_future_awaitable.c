/* What takes a coroutine takes a task or a future as well, and leaves that what
 * it is; an awaitable may suspend several times.  (In C an awaitable of one's
 * own is a coroutine.) */
#include "conformance.h"

typedef const char *text;

struct twice { ASYNC_RETURNS(text); ASYNC_FUTURE(text) f; async_handle soon; };
static int set_b(void *future)
{
    struct twice *self = future;
    return ASYNC_SET_RESULT(&self->f, "ab");
}
static ASYNC(twice)
{
    ASYNC_BEGIN(twice);
    AWAIT(async_sleep, 0);
    puts("mid a");
    async_future_init(&self->f.future, async_get_running_loop());
    async_loop_call_soon(async_get_running_loop(), &self->soon, set_b, self);
    AWAIT_FUTURE_INTO(self->frame.result, &self->f);
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

struct c { ASYNC_RETURNS(text); };
static ASYNC(c)
{
    ASYNC_BEGIN(c);
    ASYNC_RETURN("c");
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_future f;
    ASYNC_TASK_OF(c) t;
    ASYNC_TASK_OF(twice) two;
    async_gathering both;
    text result;
    async_object none; /* zeroed, it is no coroutine */
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_future_init(&self->f, async_get_running_loop());
    puts(boolean(async_future_object(&self->f).future == &self->f));
    ASYNC_SPAWN(self->t, c);
    AWAIT_JOIN_INTO(self->result, self->t);
    printf("True %s\n", self->result);
    AWAIT_INTO(self->result, twice);
    puts(self->result);
    ASYNC_SPAWN(self->two, twice);
    AWAIT_JOIN_INTO(self->result, self->two);
    printf("True %s\n", self->result);
    if (async_create_task(self->none) == NULL &&
        async_last_error() == ASYNC_EINVAL)
        puts("TypeError");
    AWAIT_GATHER(&self->both, CO(twice), CO(c));
    printf("['%s', '%s']\n", GATHERED(&self->both, 0, twice),
           GATHERED(&self->both, 1, c));
    async_gather_clear(&self->both);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
