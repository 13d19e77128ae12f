#include "conformance.h"

#include "../../async/sync.h"

struct other { ASYNC_FRAME; async_lock *lock; };
static ASYNC(other)
{
    ASYNC_BEGIN(other);
    async_lock_release(self->lock);
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_lock lock; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_lock_init(&self->lock);
    {
        int e = async_lock_release(&self->lock);
        if (e) printf("%s %s\n", exception_name(e), async_strerror(e));
    }
    ASYNC_TRY {
        ASYNC_WITH(async_lock, &self->lock) {
            printf("in %s\n", boolean(async_lock_locked(&self->lock)));
            ASYNC_RAISE(E_KEY);
        } ASYNC_END_WITH
    } ASYNC_EXCEPT(E_KEY) {
        printf("out %s\n", boolean(async_lock_locked(&self->lock)));
    } ASYNC_END_TRY
    AWAIT(async_lock_acquire, &self->lock);
    AWAIT_JOIN(async_create_task(CO(other, &self->lock)));
    printf("released by other %s\n", boolean(async_lock_locked(&self->lock)));
    AWAIT(async_lock_acquire, &self->lock);
    ASYNC_TRY {
        AWAIT_WAIT_FOR(U, async_lock_acquire, &self->lock);
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        puts("not reentrant");
    } ASYNC_END_TRY
    puts(boolean(async_lock_locked(&self->lock)));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
