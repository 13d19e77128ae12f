#include "conformance.h"

#include "../../async/group.h"

struct child { ASYNC_RETURNS(int); int n, d; async_task_group *tg; };
static ASYNC(child)
{
    ASYNC_BEGIN(child);
    printf("start %d\n", self->n);
    AWAIT(async_sleep, self->d * U);
    if (self->tg) async_group_spawn(self->tg, CO(child, self->n + 10, 1));
    printf("end %d\n", self->n);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

static int handler(async_loop *loop, const async_exception_context *context,
                   void *argument)
{
    (void)loop, (void)context, (void)argument;
    return 0; /* c.close(): it is known that it was never awaited */
}

struct program {
    ASYNC_FRAME;
    async_task_group tg, empty;
    ASYNC_TASK_OF(child) a, b;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TASK_GROUP(&self->tg) {
        ASYNC_GROUP_SPAWN(self->a, &self->tg, child, 1, 2, &self->tg);
        ASYNC_GROUP_SPAWN(self->b, &self->tg, child, 2, 1);
        async_task_set_name(self->b.task, "bee");
        puts("body end");
    } ASYNC_END_TASK_GROUP
    printf("after %d %d %s\n", ASYNC_TASK_RESULT(self->a),
           ASYNC_TASK_RESULT(self->b), async_task_get_name(self->b.task));
    async_task_release(self->a.task);
    async_task_release(self->b.task);
    ASYNC_TASK_GROUP(&self->empty) {
        puts("empty group");
    } ASYNC_END_TASK_GROUP
    async_loop_set_exception_handler(async_loop_of(co), handler, NULL);
    if (async_group_spawn(&self->tg, CO(child, 3, 0)) == NULL)
        printf("RuntimeError %s\n",
               boolean(strstr(async_strerror(async_last_error()),
                              "finished") != NULL));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
