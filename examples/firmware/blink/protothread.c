/* Two blinkers as bare protothreads: two bytes of state each, and the loop is
 * the program's. */
#include "async.h"

#include "../board.h"

typedef struct blinker {
    async_pt pt;
    uint32_t since;
} blinker;

#define WAIT(self, duration)                                                  \
    (self)->since = board_ticks();                                            \
    ASYNC_PT_WAIT_UNTIL(&(self)->pt,                                          \
                        board_ticks() - (self)->since >= (duration))

static ASYNC_PT_THREAD(blink_a(blinker *self))
{
    ASYNC_PT_BEGIN(&self->pt);
    for (;;) {
        board_led(0, 1);
        WAIT(self, 500);
        board_led(0, 0);
        WAIT(self, 500);
    }
    ASYNC_PT_END(&self->pt);
}

static ASYNC_PT_THREAD(blink_b(blinker *self))
{
    ASYNC_PT_BEGIN(&self->pt);
    for (;;) {
        board_led(1, 1);
        WAIT(self, 100);
        board_led(1, 0);
        WAIT(self, 233);
    }
    ASYNC_PT_END(&self->pt);
}

static blinker a, b;

int main(void)
{
    board_init();
    for (;;) {
        blink_a(&a);
        blink_b(&b);
        board_sleep_until(board_ticks() + 1);
    }
}
