/* A pool of three tasks for seven jobs: who finds none free waits for one; a job
 * that fails, one that is cancelled and one that is awaited give back their slot
 * as any other. */
#define ASYNC_IMPLEMENTATION
#include "async/bare/pool.h"

#include "examples/firmware/board.h"
#include "examples/firmware/text.h"

static async_bare_loop loop =
    ASYNC_BARE_LOOP(loop, board_ticks, board_sleep_until);

#define U 50u /* milliseconds: what prints takes a moment on some machines */

/* "12 word n" */
static void say(const char *word, uint32_t n)
{
    print_number(board_ticks() / U);
    board_print(" ");
    board_print(word);
    print_number(n);
    board_print("\n");
}

struct job { ASYNC_FRAME; uint8_t number, takes; };
static ASYNC(job)
{
    ASYNC_BEGIN(job);
    say("begins: ", self->number);
    ASYNC_TRY {
        AWAIT(async_sleep, self->takes * U);
        if (self->number == 4) ASYNC_RAISE(ASYNC_EOVERRUN);
    } ASYNC_FINALLY {
        say("ends: ", self->number);
    } ASYNC_END_TRY
    ASYNC_END;
}
ASYNC_TASK_POOL(jobs, 3, ASYNC_FRAMES(job, async_sleep));

struct program { ASYNC_FRAME; async_task *kept; uint8_t i; };
static ASYNC(program)
{
    static const uint8_t takes[] = { 4, 2, 8, 1, 3 };
    ASYNC_BEGIN(program);
    for (self->i = 0; self->i < sizeof takes; self->i++) {
        while (ASYNC_POOL_START(&jobs, &loop.base, job, (uint8_t)(self->i + 1),
                                takes[self->i]) == NULL) {
            say("none is free for ", self->i + 1u);
            AWAIT(async_pool_available, &jobs.pool);
        }
    }
    AWAIT(async_pool_available, &jobs.pool);
    say("free: ", async_pool_count_free(&jobs.pool));

    /* One that is kept is not used again before it is released. */
    self->kept = ASYNC_POOL_START(&jobs, &loop.base, job, 6, 1);
    async_task_retain(self->kept);
    AWAIT_TASK(self->kept);
    AWAIT(async_sleep, 4 * U);
    say("one is kept, free: ", async_pool_count_free(&jobs.pool));
    async_task_release(self->kept);
    say("it is released, free: ", async_pool_count_free(&jobs.pool));

    self->kept = ASYNC_POOL_START(&jobs, &loop.base, job, 7, 100);
    AWAIT(async_sleep, U);
    async_task_cancel(self->kept);
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    say("after a cancellation, free: ", async_pool_count_free(&jobs.pool));
    async_loop_stop(&loop.base);
    ASYNC_END;
}
ASYNC_STATIC_TASK(main_task, ASYNC_FRAMES(program, async_pool_available,
                                          async_wait_until));

/* The fourth job fails; that is told when its slot is used again. */
static int on_error(async_loop *of, const async_exception_context *context,
                    void *argument)
{
    (void)of, (void)argument;
    say("a job failed: -", (uint32_t)-context->error);
    return 0;
}

int main(void)
{
    board_init();
    async_loop_set_exception_handler(&loop.base, on_error, NULL);
    ASYNC_TASK_START(&main_task, &loop.base, program);
    async_bare_run(&loop);
    board_exit(async_task_result(&main_task.task) != 0);
    return 0;
}
