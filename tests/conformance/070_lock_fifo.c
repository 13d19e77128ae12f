#include "conformance.h"

#include "../../async/sync.h"

struct w { ASYNC_FRAME; async_lock *lock; char n; int i; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    for (self->i = 0; self->i < 2; self->i++) {
        ASYNC_WITH(async_lock, self->lock) {
            printf("%c %d\n", self->n, self->i);
        } ASYNC_END_WITH
    }
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_lock lock;
    async_gathering all;
    async_task *t;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_lock_init(&self->lock);
    AWAIT_GATHER(&self->all, CO(w, &self->lock, 'A'), CO(w, &self->lock, 'B'),
                 CO(w, &self->lock, 'C'));
    async_gather_clear(&self->all);
    puts(boolean(async_lock_locked(&self->lock)));
    /* again right after the release, with somebody waiting */
    AWAIT(async_lock_acquire, &self->lock);
    self->t = async_create_task(CO(w, &self->lock, 'T'));
    AWAIT(async_sleep, 0);
    async_lock_release(&self->lock);
    printf("released %s\n", boolean(async_lock_locked(&self->lock)));
    AWAIT(async_lock_acquire, &self->lock);
    puts("main again");
    async_lock_release(&self->lock);
    AWAIT_JOIN(self->t);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
