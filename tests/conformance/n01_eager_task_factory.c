/* Eager tasks run their first step inside create_task; one that never suspends
 * is done when that returns, and never visits the loop. */
#include "conformance.h"

struct quick { ASYNC_RETURNS(int); int n; };
static ASYNC(quick)
{
    ASYNC_BEGIN(quick);
    printf("quick %d\n", self->n);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

struct slow { ASYNC_RETURNS(int); int n; };
static ASYNC(slow)
{
    ASYNC_BEGIN(slow);
    printf("slow %d start\n", self->n);
    AWAIT(async_sleep, 0);
    printf("slow %d end\n", self->n);
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

struct bad { ASYNC_FRAME; };
static ASYNC(bad)
{
    ASYNC_BEGIN(bad);
    ASYNC_RAISE(E_VALUE);
    ASYNC_END;
}

static int among_all(async_loop *loop, const async_task *task)
{
    async_task *each = NULL;
    while ((each = async_all_tasks(loop, each)) != NULL)
        if (each == task) return 1;
    return 0;
}

struct program {
    ASYNC_FRAME;
    async_loop *loop;
    ASYNC_TASK_OF(quick) t;
    ASYNC_TASK_OF(slow) s;
    async_task *b;
    async_gathering all;
    int n;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->loop = async_get_running_loop();
    async_loop_set_task_factory(self->loop, async_eager_task_factory, NULL);
    ASYNC_SPAWN(self->t, quick, 1);
    async_task_set_name(self->t.task, "Q");
    printf("done %s %d %s\n", boolean(async_task_done(self->t.task)),
           ASYNC_TASK_RESULT(self->t),
           boolean(async_current_task() != self->t.task));
    ASYNC_SPAWN(self->s, slow, 2);
    printf("done %s %s %s\n", boolean(async_task_done(self->s.task)),
           boolean(among_all(self->loop, self->s.task)),
           boolean(among_all(self->loop, self->t.task)));
    async_task_release(self->t.task);
    AWAIT_JOIN_INTO(self->n, self->s);
    printf("%d\n", self->n);
    AWAIT_GATHER(&self->all, CO(quick, 3), CO(slow, 4), CO(quick, 5));
    printf("[%d, %d, %d]\n", GATHERED(&self->all, 0, quick),
           GATHERED(&self->all, 1, slow), GATHERED(&self->all, 2, quick));
    async_gather_clear(&self->all);
    self->b = async_create_task(CO(bad));
    printf("bad done %s %s\n", boolean(async_task_done(self->b)),
           exception_name(async_task_result(self->b)));
    async_task_release(self->b);
    async_loop_set_task_factory(self->loop, NULL, NULL);
    ASYNC_SPAWN(self->t, quick, 6);
    printf("lazy %s\n", boolean(async_task_done(self->t.task)));
    AWAIT_JOIN(self->t.task);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
