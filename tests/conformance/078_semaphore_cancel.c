#include "conformance.h"

#include "../../async/sync.h"

struct w { ASYNC_FRAME; async_semaphore *s; char n; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_TRY {
        AWAIT(async_semaphore_acquire, self->s);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        printf("%c cancelled\n", self->n);
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    printf("%c got\n", self->n);
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_semaphore s;
    async_task *a, *b, *c;
    int i;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_semaphore_init(&self->s, 0);
    self->a = async_create_task(CO(w, &self->s, 'A'));
    self->b = async_create_task(CO(w, &self->s, 'B'));
    self->c = async_create_task(CO(w, &self->s, 'C'));
    AWAIT(async_sleep, 0);
    async_semaphore_release(&self->s);
    async_task_cancel(self->a);
    for (self->i = 0; self->i < 4; self->i++) AWAIT(async_sleep, 0);
    printf("{'A': %s, 'B': %s, 'C': %s}\n", boolean(async_task_done(self->a)),
           boolean(async_task_done(self->b)),
           boolean(async_task_done(self->c)));
    async_task_cancel(self->c);
    AWAIT(until_ended, self->c);
    async_task_release(self->a);
    async_task_release(self->b);
    async_task_release(self->c);
    async_semaphore_release(&self->s);
    printf("locked %s\n", boolean(async_semaphore_locked(&self->s)));
    AWAIT(async_semaphore_acquire, &self->s);
    puts("ok");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
