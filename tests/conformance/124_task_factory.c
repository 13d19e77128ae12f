/* A task factory is called with every task that is made. */
#include "conformance.h"

#include "../../async/group.h"

struct w { ASYNC_FRAME; int n; };
static ASYNC(w)
{
    ASYNC_BEGIN(w);
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

static const char *made[8];
static int count;

static int factory(async_loop *loop, async_task *task, void *nothing)
{
    (void)loop, (void)nothing;
    made[count++] = async_coro_name(async_task_get_coro(task));
    return ASYNC_START_LATER;
}

struct program {
    ASYNC_FRAME;
    async_gathering both;
    async_task_group group;
    async_task *t;
};
static ASYNC(program)
{
    int i;
    ASYNC_BEGIN(program);
    printf("%s\n", async_loop_get_task_factory(async_loop_of(co)) == NULL
                       ? "None"
                       : "a factory");
    async_loop_set_task_factory(async_loop_of(co), factory, NULL);
    AWAIT_GATHER(&self->both, CO(w, 1), CO(w, 2));
    async_gather_clear(&self->both);
    self->t = async_create_task(CO(w, 3));
    async_task_set_name(self->t, "n3");
    AWAIT_JOIN(self->t);
    ASYNC_TASK_GROUP(&self->group) {
        async_group_spawn(&self->group, CO(w, 4));
    } ASYNC_END_TASK_GROUP
    for (i = 0; i < count; i++) printf("%s'%s'", i == 0 ? "[" : ", ", made[i]);
    puts("]");
    async_loop_set_task_factory(async_loop_of(co), NULL, NULL);
    self->t = async_create_task(CO(w, 5));
    AWAIT_JOIN(self->t);
    printf("%d\n", count);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
