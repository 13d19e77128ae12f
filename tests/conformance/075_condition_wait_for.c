#include "conformance.h"

#include "../../async/sync.h"

struct box { int items[3]; int count; };

/* Python's predicate gives "ok", and that is the result. */
enum { OK = 1 };
static int is_full(void *argument)
{
    return ((struct box *)argument)->count >= 3 ? OK : 0;
}

static int seven(void *argument)
{
    (void)argument;
    return 7;
}

struct consumer { ASYNC_FRAME; async_condition *c; struct box *box; int r; };
static ASYNC(consumer)
{
    ASYNC_BEGIN(consumer);
    ASYNC_WITH(async_condition, self->c) {
        AWAIT_INTO(self->r, async_condition_wait_for, self->c, is_full,
                   self->box);
        printf("consumer %s [%d, %d, %d]\n", self->r == OK ? "ok" : "?",
               self->box->items[0], self->box->items[1], self->box->items[2]);
    } ASYNC_END_WITH
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_condition c;
    struct box box;
    async_task *t;
    int i, k;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_condition_init(&self->c, NULL);
    self->t = async_create_task(CO(consumer, &self->c, &self->box));
    AWAIT(async_sleep, 0);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_WITH(async_condition, &self->c) {
            self->box.items[self->box.count++] = self->i;
            async_condition_notify(&self->c, 1);
        } ASYNC_END_WITH
        for (self->k = 0; self->k < 3; self->k++) AWAIT(async_sleep, 0);
        printf("put %d %s\n", self->i, boolean(async_task_done(self->t)));
    }
    AWAIT_JOIN(self->t);
    ASYNC_WITH(async_condition, &self->c) {
        AWAIT_INTO(self->k, async_condition_wait_for, &self->c, seven);
        printf("%d\n", self->k);
    } ASYNC_END_WITH
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
