#include "conformance.h"

#include "../../async/sync.h"

struct w { ASYNC_FRAME; async_condition *c; int n; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    ASYNC_WITH(async_condition, self->c) {
        AWAIT(async_condition_wait, self->c);
        printf("%d woke %s\n", self->n,
               boolean(async_condition_locked(self->c)));
    } ASYNC_END_WITH
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_condition c;
    async_gathering ts;
    int i, call, error;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_condition_init(&self->c, NULL);
    for (self->i = 0; self->i < 5; self->i++)
        async_gather_add(&self->ts, CO(w, &self->c, self->i));
    AWAIT(async_sleep, 0);
    for (self->call = 1; self->call <= 2; self->call++) {
        ASYNC_WITH(async_condition, &self->c) {
            async_condition_notify(&self->c, (size_t)self->call);
            printf("notified %d\n", self->call);
            AWAIT(async_sleep, 0);
            puts("still holding");
        } ASYNC_END_WITH
        for (self->i = 0; self->i < 6; self->i++) AWAIT(async_sleep, 0);
    }
    ASYNC_WITH(async_condition, &self->c) {
        async_condition_notify_all(&self->c);
    } ASYNC_END_WITH
    AWAIT(async_gather, &self->ts);
    async_gather_clear(&self->ts);
    puts(async_strerror(async_condition_notify(&self->c, 1)));
    puts(async_strerror(async_condition_notify_all(&self->c)));
    AWAIT_CATCH(self->error, async_condition_wait, &self->c);
    puts(async_strerror(self->error));
    ASYNC_WITH(async_condition, &self->c) {
        async_condition_notify(&self->c, 3); /* nobody waits: not remembered */
    } ASYNC_END_WITH
    puts("end");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
