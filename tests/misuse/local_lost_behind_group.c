/* gcc: may be used uninitialized */
/* clang: variable 'n' may be uninitialized when used here */

/* The end of a group waits: a local that is set in its body is lost behind it. */
#include <async/group.h>

void use(int n);
struct work { ASYNC_FRAME; int n; };
ASYNC(work);

struct wrong { ASYNC_FRAME; async_task_group group; int n; };
ASYNC(wrong)
{
    int n;
    ASYNC_BEGIN(wrong);
    ASYNC_TASK_GROUP(&self->group) {
        n = self->n + 1;
        async_group_spawn(&self->group, CO(work, n));
    } ASYNC_END_TASK_GROUP
    use(n);
    ASYNC_END;
}
