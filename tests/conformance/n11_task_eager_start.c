/* Mixing eager and lazy tasks: the eager one's first step runs at creation,
 * the rest is first come, first served, as usual. */
#include "conformance.h"

struct w { ASYNC_FRAME; const char *name; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    printf("%s start\n", self->name);
    AWAIT(async_sleep, 0);
    printf("%s end\n", self->name);
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_task *a, *b, *c; async_gathering all; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->a = async_create_task(CO(w, "lazy1"));
    self->b = async_create_eager_task(CO(w, "eager"));
    self->c = async_create_task(CO(w, "lazy2"));
    puts("created");
    AWAIT_GATHER(&self->all, async_task_object(self->a),
                 async_task_object(self->b), async_task_object(self->c));
    async_gather_clear(&self->all);
    async_task_release(self->a);
    async_task_release(self->b);
    async_task_release(self->c);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
