#include "conformance.h"

#include "../../async/group.h"

struct c { ASYNC_FRAME; };
static ASYNC(c)
{
    ASYNC_BEGIN(c);
    ASYNC_END;
}

static int handler(async_loop *loop, const async_exception_context *context,
                   void *argument)
{
    (void)loop, (void)context, (void)argument;
    return 0; /* x.close(): it is known that it was never awaited */
}

static const char *says(int error, const char *words)
{
    return boolean(strstr(async_strerror(error), words) != NULL);
}

struct program { ASYNC_FRAME; async_task_group tg; int error; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    async_loop_set_exception_handler(async_loop_of(co), handler, NULL);
    if (async_group_spawn(&self->tg, CO(c)) == NULL)
        printf("not entered %s\n",
               says(async_last_error(), "has not been entered"));
    ASYNC_TASK_GROUP(&self->tg) {
        ASYNC_TRY {
            ASYNC_TASK_GROUP(&self->tg) {
                puts("never");
            } ASYNC_END_TASK_GROUP
        } ASYNC_EXCEPT_ANY(self->error) {
            printf("twice %s\n", says(self->error, "already been entered"));
        } ASYNC_END_TRY
    } ASYNC_END_TASK_GROUP
    ASYNC_TRY {
        ASYNC_TASK_GROUP(&self->tg) {
            puts("never");
        } ASYNC_END_TASK_GROUP
    } ASYNC_EXCEPT_ANY(self->error) {
        printf("again %s\n", says(self->error, "already been entered"));
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
