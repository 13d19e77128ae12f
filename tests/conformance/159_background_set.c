#include "conformance.h"

enum { JOBS = 3 };

/* The set holds a share of each task. */
static struct background {
    async_task *task[JOBS];
    async_done_callback done[JOBS];
} bg;

static int background_count(void)
{
    int i, n = 0;
    for (i = 0; i < JOBS; i++) n += bg.task[i] != NULL;
    return n;
}
static async_task *background_any(void)
{
    int i;
    for (i = 0; i < JOBS; i++)
        if (bg.task[i] != NULL) return bg.task[i];
    return NULL;
}
static int background_discard(async_future *future, void *entry)
{
    async_task **task = (async_task **)entry;
    (void)future;
    async_task_release(*task);
    *task = NULL;
    return 0;
}

struct job { ASYNC_FRAME; int n; };
static ASYNC(job)
{
    ASYNC_BEGIN(job);
    AWAIT(async_sleep, self->n * U);
    printf("job %d\n", self->n);
    ASYNC_END;
}

struct program { ASYNC_FRAME; int i; };
static ASYNC(program)
{
    static const int n[JOBS] = { 2, 1, 3 };
    ASYNC_BEGIN(program);
    for (self->i = 0; self->i < JOBS; self->i++) {
        bg.task[self->i] = async_create_task(CO(job, n[self->i]));
        async_future_add_done_callback(&bg.task[self->i]->future,
                                       &bg.done[self->i], background_discard,
                                       &bg.task[self->i]);
    }
    printf("%d\n", background_count());
    AWAIT(async_sleep, U + U / 2);
    printf("%d\n", background_count());
    while (background_count() > 0) {
        AWAIT_TASK(background_any());
        AWAIT(async_sleep, 0);
    }
    printf("%d\n", background_count());
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
