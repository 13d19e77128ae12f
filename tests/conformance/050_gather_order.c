#include "conformance.h"

typedef const char *text;

struct w { ASYNC_RETURNS(text); text n; int d; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    AWAIT(async_sleep, self->d * U);
    printf("done %s\n", self->n);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_gathering all, inner;
    ASYNC_TASK_OF(w) t, c;
    ASYNC_FUTURE(text) f;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT_GATHER(&self->all, CO(w, "a", 3), CO(w, "b", 1), CO(w, "c", 2));
    printf("['%s', '%s', '%s']\n", GATHERED(&self->all, 0, w),
           GATHERED(&self->all, 1, w), GATHERED(&self->all, 2, w));
    async_gather_clear(&self->all);

    ASYNC_SPAWN(self->t, w, "t", 1);
    async_future_init(&self->f.future, async_loop_of(co));
    ASYNC_SET_RESULT(&self->f, "f");
    ASYNC_SPAWN(self->c, w, "c", 2); /* an object is copied: a task is not */
    AWAIT_GATHER(
        &self->all, async_task_object(self->t.task),
        async_future_object(&self->f.future), async_task_object(self->c.task),
        async_task_object(self->t.task), async_task_object(self->c.task));
    printf("['%s', '%s', '%s', '%s', '%s']\n", GATHERED(&self->all, 0, w),
           ASYNC_FUTURE_VALUE(&self->f), GATHERED(&self->all, 2, w),
           GATHERED(&self->all, 3, w), GATHERED(&self->all, 4, w));
    async_gather_clear(&self->all);
    async_task_release(self->t.task);
    async_task_release(self->c.task);

    AWAIT(async_gather, &self->all);
    puts(async_gather_count(&self->all) == 0 ? "[]" : "[...]");
    async_gather_clear(&self->all);

    async_gather_add(&self->inner, CO(w, "1", 2));
    async_gather_add(&self->inner, CO(w, "2", 1));
    AWAIT_GATHER(&self->all,
                 async_future_object(async_gather_start(&self->inner)),
                 CO(w, "3", 3));
    printf("[[%s, %s], %s]\n", GATHERED(&self->inner, 0, w),
           GATHERED(&self->inner, 1, w), GATHERED(&self->all, 1, w));
    async_gather_clear(&self->all);
    async_gather_clear(&self->inner);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
