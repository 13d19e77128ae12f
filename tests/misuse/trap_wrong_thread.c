/* trap: a loop was used from another thread than the one that runs it: use async_loop_call_soon_threadsafe() */
/* flags: -pthread */
/* In debug mode: a loop that runs is used from another thread. */
#define ASYNC_IMPLEMENTATION
#include <async/debug/debug.h>
#include <async/test/virtual.h>

#include <pthread.h>

static async_virtual_loop loop;
static async_future answer;

static void *other_thread(void *argument)
{
    (void)argument;
    async_future_set_result(&answer); /* instead of call_soon_threadsafe */
    return NULL;
}

struct program { ASYNC_FRAME; };
static ASYNC(program)
{
    pthread_t thread;
    ASYNC_BEGIN(program);
    async_future_init(&answer, &loop.base);
    pthread_create(&thread, NULL, other_thread, NULL);
    pthread_join(thread, NULL);
    ASYNC_END;
}

int main(void)
{
    async_virtual_loop_init(&loop, NULL);
    async_loop_set_debug(&loop.base, 1);
    return async_loop_run_until_complete(&loop.base, CO(program));
}
