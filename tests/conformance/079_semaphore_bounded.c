#include "conformance.h"

#include "../../async/sync.h"

struct program { ASYNC_FRAME; async_bounded_semaphore b; async_semaphore s; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_bounded_semaphore_init(&self->b, 1);
    AWAIT(async_bounded_semaphore_acquire, &self->b);
    async_bounded_semaphore_release(&self->b);
    {
        int e = async_bounded_semaphore_release(&self->b);
        if (e) printf("%s %s\n", exception_name(e), async_strerror(e));
    }
    ASYNC_WITH(async_bounded_semaphore, &self->b) {
        printf("in %s\n", boolean(async_bounded_semaphore_locked(&self->b)));
    } ASYNC_END_WITH
    async_semaphore_init(&self->s, 1);
    async_semaphore_release(&self->s);
    AWAIT(async_semaphore_acquire, &self->s);
    AWAIT(async_semaphore_acquire, &self->s);
    printf("plain ok %s\n", boolean(async_semaphore_locked(&self->s)));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
