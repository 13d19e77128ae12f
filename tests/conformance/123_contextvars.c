/* A task has a copy of the context of where it was made, and its changes are
 * not seen outside; callbacks have that of where they were scheduled. */
#include "conformance.h"

#include "../../async/context.h"

static ASYNC_CONTEXTVAR(const char *) v = ASYNC_CONTEXTVAR_INIT("v", "d");

struct child { ASYNC_FRAME; const char *name; };
static ASYNC(child)
{
    ASYNC_BEGIN(child);
    printf("%s sees %s\n", self->name, ASYNC_CONTEXTVAR_GET(&v));
    ASYNC_CONTEXTVAR_SET(&v, self->name);
    AWAIT(async_sleep, 0);
    printf("%s still %s\n", self->name, ASYNC_CONTEXTVAR_GET(&v));
    ASYNC_END;
}

struct in_line { ASYNC_FRAME; };
static ASYNC(in_line)
{
    ASYNC_BEGIN(in_line);
    ASYNC_CONTEXTVAR_SET(&v, "inline");
    ASYNC_END;
}

static int callback(void *nothing)
{
    (void)nothing;
    printf("cb sees %s\n", ASYNC_CONTEXTVAR_GET(&v));
    return 0;
}

static int done_callback(async_future *future, void *nothing)
{
    (void)future, (void)nothing;
    printf("done cb sees %s\n", ASYNC_CONTEXTVAR_GET(&v));
    return 0;
}

struct program {
    ASYNC_FRAME;
    async_task *t1, *t2, *own;
    async_future f;
    async_done_callback node;
    async_gathering both;
    async_context ctx;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_CONTEXTVAR_SET(&v, "m");
    self->t1 = async_create_task(CO(child, "t1"));
    ASYNC_CONTEXTVAR_SET(&v, "m2");
    self->t2 = async_create_task(CO(child, "t2"));
    async_loop_call_soon(async_get_running_loop(), NULL, callback, NULL);
    async_future_init(&self->f, async_get_running_loop());
    async_future_add_done_callback(&self->f, &self->node, done_callback, NULL);
    ASYNC_CONTEXTVAR_SET(&v, "m3");
    async_future_set_result(&self->f);
    AWAIT_GATHER(&self->both, async_task_object(self->t1),
                 async_task_object(self->t2));
    async_gather_clear(&self->both);
    async_task_release(self->t1);
    async_task_release(self->t2);
    printf("main %s\n", ASYNC_CONTEXTVAR_GET(&v));
    AWAIT(in_line); /* same task, same context: the change is seen */
    printf("main %s\n", ASYNC_CONTEXTVAR_GET(&v));
    async_context_copy(&self->ctx);
    self->own = async_create_task_in(CO(child, "own"), &self->ctx);
    AWAIT_JOIN(self->own);
    printf("main %s ctx %s\n", ASYNC_CONTEXTVAR_GET(&v),
           ASYNC_CONTEXT_GET(&self->ctx, &v));
    async_context_clear(&self->ctx);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
