/* Coroutines that never run: no loop runs, or the loop is closed, or there is
 * no memory. */
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"

static void *refuse(void *context, size_t size)
{
    (void)context, (void)size;
    return NULL;
}
static void forget(void *context, void *memory, size_t size)
{
    (void)context, (void)memory, (void)size;
}

int main(void)
{
    static const async_allocator empty = { refuse, forget, NULL };
    async_virtual_loop loop;
    async_task *task = async_create_task(CO(async_sleep, 1));
    fprintf(stderr, "%d %s\n", task == NULL,
            async_error_name(async_last_error()));

    async_virtual_loop_init(&loop, NULL);
    async_loop_close(&loop.base);
    task = async_loop_create_task(&loop.base, CO(async_sleep, 1));
    fprintf(stderr, "%d %s\n", task == NULL,
            async_error_name(async_last_error()));

    async_virtual_loop_init(&loop, &empty);
    task = async_loop_create_task(&loop.base, CO(async_sleep, 1));
    fprintf(stderr, "%d %s\n", task == NULL,
            async_error_name(async_last_error()));
    async_loop_close(&loop.base);
    return 0;
}
