/* Gather of coroutines that all finish eagerly does not suspend at all. */
#include "conformance.h"

#include "../../async/group.h"

struct quick { ASYNC_RETURNS(int); int n; };
static ASYNC(quick)
{
    ASYNC_BEGIN(quick);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_gathering both;
    async_task_group group;
    ASYNC_TASK_OF(quick) t;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_loop_set_task_factory(async_get_running_loop(),
                                async_eager_task_factory, NULL);
    async_loop_call_soon(async_get_running_loop(), NULL, print_line, "cb");
    AWAIT_GATHER(&self->both, CO(quick, 1), CO(quick, 2));
    printf("[%d, %d]\n", GATHERED(&self->both, 0, quick),
           GATHERED(&self->both, 1, quick));
    async_gather_clear(&self->both);
    ASYNC_TASK_GROUP(&self->group) {
        ASYNC_GROUP_SPAWN(self->t, &self->group, quick, 3);
    } ASYNC_END_TASK_GROUP
    printf("%d still before cb\n", ASYNC_TASK_RESULT(self->t));
    async_task_release(self->t.task);
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
