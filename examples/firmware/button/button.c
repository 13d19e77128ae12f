/* A button that bounces: short presses, long ones and double clicks, told apart
 * by straight-line code.  Each press is printed, and switches LED 0. */
#define ASYNC_STATIC_ONLY 1
#define ASYNC_IMPLEMENTATION
#include "async/bare/interrupt.h"

#include "examples/firmware/board.h"

#define SETTLES ASYNC_MS(20) /* a level counts when it has stood that long */
#define LONG ASYNC_MS(800)   /* from there on a press is long */
#define DOUBLE ASYNC_MS(300) /* so soon the second click must follow */

static async_bare_loop loop =
    ASYNC_BARE_LOOP(loop, board_ticks, board_sleep_until);

static int button(void *nothing)
{
    (void)nothing;
    return board_button();
}

/* Whether the button has become another than `from` within that time. */
struct changes {
    ASYNC_RETURNS(int);
    int from;
    async_duration within;
    async_timeout limit;
    int level;
};
static ASYNC(changes)
{
    ASYNC_BEGIN(changes);
    ASYNC_TRY {
        ASYNC_TIMEOUT(&self->limit, self->within) {
            AWAIT_INTO(self->level, async_settled, button, NULL, self->from,
                       SETTLES);
        } ASYNC_END_TIMEOUT
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        ASYNC_RETURN(0);
    } ASYNC_END_TRY
    ASYNC_RETURN(1);
    ASYNC_END;
}

struct presses { ASYNC_FRAME; int level, changed; uint8_t led; };
static ASYNC(presses)
{
    ASYNC_BEGIN(presses);
    for (;;) {
        AWAIT_INTO(self->level, async_settled, button, NULL, 0, SETTLES);
        board_led(0, self->led = !self->led);
        AWAIT_INTO(self->changed, changes, 1, LONG);
        if (!self->changed) {
            board_print("a long press\n");
            AWAIT_INTO(self->level, async_settled, button, NULL, 1, SETTLES);
            board_print("    and its end\n");
            continue;
        }
        AWAIT_INTO(self->changed, changes, 0, DOUBLE);
        if (!self->changed) {
            board_print("a short press\n");
            continue;
        }
        board_print("a double click\n");
        AWAIT_INTO(self->level, async_settled, button, NULL, 1, SETTLES);
    }
    ASYNC_END;
}
ASYNC_STATIC_TASK(presses_task, ASYNC_FRAMES(presses, changes, async_settled,
                                             async_wait_until));

void program_start(void)
{
    board_init();
    ASYNC_TASK_START(&presses_task, &loop.base, presses);
}

#ifdef ARDUINO /* its main() calls the sketch's setup() and loop() */
void program_turn(void)
{
    (void)async_bare_turn(&loop);
}
#else
int main(void)
{
    program_start();
    async_bare_run(&loop);
    return 0;
}
#endif
