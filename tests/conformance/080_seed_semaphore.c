#include "conformance.h"

#include "../../async/sync.h"

struct my_coroutine { ASYNC_FRAME; int task_id, sleep_time; };
static ASYNC(my_coroutine)
{
    ASYNC_BEGIN(my_coroutine);
    printf("Task %d 開始，睡眠 %d 秒\n", self->task_id, self->sleep_time);
    AWAIT(async_sleep, self->sleep_time * U);
    printf("Task %d 結束\n", self->task_id);
    ASYNC_END;
}

struct sem_coroutine {
    ASYNC_FRAME;
    async_semaphore *sem;
    int task_id, sleep_time;
};
static ASYNC(sem_coroutine)
{
    ASYNC_BEGIN(sem_coroutine);
    ASYNC_WITH(async_semaphore, self->sem) {
        AWAIT(my_coroutine, self->task_id, self->sleep_time);
    } ASYNC_END_WITH
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_semaphore sem;
    async_gathering all;
    int i;
};
static ASYNC(program)
{
    static const int task_data[] = { 1, 2, 3, 2, 3 };
    ASYNC_BEGIN(program);
    async_semaphore_init(&self->sem, 3);
    for (self->i = 0; self->i < 5; self->i++)
        async_gather_add(&self->all, CO(sem_coroutine, &self->sem, self->i + 1,
                                        task_data[self->i]));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    ASYNC_END;
}

int main(void)
{
    static any_loop loop;
    async_time t;
    any_loop_init(&loop);
    t = async_loop_time(&loop.base);
    async_loop_run_until_complete(&loop.base, CO(program));
    printf("processing time: %d.00\n", units_since(&loop.base, t));
    return async_loop_close(&loop.base);
}
