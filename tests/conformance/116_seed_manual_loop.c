#include "conformance.h"

struct my_coroutine { ASYNC_FRAME; };
static ASYNC(my_coroutine)
{
    ASYNC_BEGIN(my_coroutine);
    puts("開始");
    AWAIT(async_sleep, 1 * U);
    puts("結束");
    ASYNC_END;
}

int main(void)
{
    static any_loop loop;
    async_task *task;
    async_time t;
    any_loop_init(&loop);
    task = async_loop_create_task(&loop.base, CO(my_coroutine));
    async_loop_run_until_complete(&loop.base, async_task_object(task));
    async_task_release(task);
    async_loop_close(&loop.base);

    any_loop_init(&loop);
    t = async_loop_time(&loop.base);
    async_task_release(async_loop_create_task(&loop.base, CO(my_coroutine)));
    async_task_release(async_loop_create_task(&loop.base, CO(my_coroutine)));
    task = async_loop_create_task(&loop.base, CO(my_coroutine));
    async_loop_run_until_complete(&loop.base, async_task_object(task));
    async_task_release(task);
    printf("processing time: %d.00\n", units_since(&loop.base, t));
    return async_loop_close(&loop.base);
}
