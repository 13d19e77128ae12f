/* Two blinkers as state machines by hand: what a coroutine saves writing. */
#include "../board.h"

typedef struct blinker {
    uint8_t led, state;
    uint16_t on, off;
    uint32_t since;
} blinker;

enum { START, IS_ON, IS_OFF };

static void step(blinker *self)
{
    switch (self->state) {
    case START:
        board_led(self->led, 1);
        self->since = board_ticks();
        self->state = IS_ON;
        break;
    case IS_ON:
        if (board_ticks() - self->since < self->on) break;
        board_led(self->led, 0);
        self->since = board_ticks();
        self->state = IS_OFF;
        break;
    case IS_OFF:
        if (board_ticks() - self->since >= self->off) self->state = START;
        break;
    }
}

static blinker a = { 0, START, 500, 500, 0 }, b = { 1, START, 100, 233, 0 };

int main(void)
{
    board_init();
    for (;;) {
        step(&a);
        step(&b);
        board_sleep_until(board_ticks() + 1);
    }
}
