#include "conformance.h"

#include "../../async/sync.h"

struct w { ASYNC_FRAME; async_lock *lock; char n; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_WITH(async_lock, self->lock) {
        printf("%c in\n", self->n);
        AWAIT(async_sleep, 0);
        printf("%c out\n", self->n);
    } ASYNC_END_WITH
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_lock lock;
    async_task *a, *n;
    async_gathering both;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_lock_init(&self->lock);
    AWAIT(async_lock_acquire, &self->lock);
    self->a = async_create_task(CO(w, &self->lock, 'A'));
    AWAIT(async_sleep, 0);
    async_lock_release(&self->lock);
    self->n = async_create_task(CO(w, &self->lock, 'N'));
    printf("free? %s\n", boolean(!async_lock_locked(&self->lock)));
    AWAIT_GATHER(&self->both, async_task_object(self->a),
                 async_task_object(self->n));
    async_gather_clear(&self->both);
    async_task_release(self->a);
    async_task_release(self->n);
    /* only cancelled ones wait: a newcomer may take the free lock at once */
    AWAIT(async_lock_acquire, &self->lock);
    self->a = async_create_task(CO(w, &self->lock, 'X'));
    AWAIT(async_sleep, 0);
    async_task_cancel(self->a);
    async_lock_release(&self->lock);
    async_loop_call_soon(async_loop_of(co), NULL, print_line, "cb");
    AWAIT(async_lock_acquire, &self->lock);
    puts("taken at once");
    async_lock_release(&self->lock);
    AWAIT(until_ended, self->a);
    async_task_release(self->a);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
