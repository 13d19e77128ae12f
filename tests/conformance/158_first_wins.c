#include "conformance.h"

struct racer { ASYNC_RETURNS(int); int n; };
static ASYNC(racer)
{
    ASYNC_BEGIN(racer);
    ASYNC_TRY {
        AWAIT(async_sleep, self->n * U);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        AWAIT(async_sleep, self->n * U / 3);
        printf("loser cleaned %d\n", self->n);
        ASYNC_RAISE(ASYNC_ECANCELED);
    } ASYNC_END_TRY
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

struct race {
    ASYNC_RETURNS(int);
    int a, b, c;
    ASYNC_TASK_OF(racer) ts[3];
    async_waited items[3];
    async_gathering pending;
    int i, winner;
};
static ASYNC(race)
{
    ASYNC_BEGIN(race);
    ASYNC_SPAWN(self->ts[0], racer, self->a);
    ASYNC_SPAWN(self->ts[1], racer, self->b);
    ASYNC_SPAWN(self->ts[2], racer, self->c);
    for (self->i = 0; self->i < 3; self->i++)
        self->items[self->i].future = &self->ts[self->i].task->future;
    AWAIT(async_wait, self->items, 3, ASYNC_FOREVER, ASYNC_FIRST_COMPLETED);
    async_gather_return_exceptions(&self->pending);
    for (self->i = 0; self->i < 3; self->i++) {
        async_task *task = self->ts[self->i].task;
        if (self->items[self->i].done) {
            self->winner = ASYNC_TASK_RESULT(self->ts[self->i]);
        } else {
            async_task_cancel(task);
            async_gather_add(&self->pending, async_task_object(task));
        }
        async_task_release(task);
    }
    AWAIT(async_gather, &self->pending);
    async_gather_clear(&self->pending);
    ASYNC_RETURN(self->winner);
    ASYNC_END;
}

struct program { ASYNC_FRAME; int winner; };
static ASYNC(program)
{
    async_task *task = NULL;
    int left = 0;
    ASYNC_BEGIN(program);
    AWAIT_INTO(self->winner, race, 6, 1, 3);
    printf("winner %d\n", self->winner);
    task = NULL;
    left = 0;
    while ((task = async_all_tasks(async_loop_of(co), task)) != NULL) left++;
    printf("left %d\n", left);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
