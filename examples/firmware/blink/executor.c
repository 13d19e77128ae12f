/* Two blinkers on the smallest executor that there may be: protothreads in a
 * list, each with a flag that wakes it and a time at which it wakes by itself.
 * No errors, no cancellation, no arguments, no calls that wait: what Caesura's
 * tasks cost more than this is the price of those. */
#include "async.h"

#include "../board.h"

typedef struct task {
    async_pt pt;
    volatile uint8_t woken; /* an interrupt may do so: one byte */
    uint8_t sleeps;
    uint32_t until;
    ASYNC_PT_THREAD((*run)(struct task *self));
    struct task *next;
} task;

static task *tasks;

static void start(task *self, ASYNC_PT_THREAD((*run)(task *self)))
{
    self->run = run;
    self->woken = 1;
    self->next = tasks;
    tasks = self;
}

static void run_once(void)
{
    uint32_t now = board_ticks();
    task *each;
    for (each = tasks; each != 0; each = each->next) {
        if (each->sleeps && (int32_t)(now - each->until) >= 0) {
            each->sleeps = 0;
            each->woken = 1;
        }
        if (each->woken) {
            each->woken = 0;
            each->run(each);
        }
    }
}

static void sleep_for(task *self, uint32_t duration)
{
    self->until = board_ticks() + duration;
    self->sleeps = 1;
}
#define SLEEP(self, duration)                                                 \
    sleep_for((self), (duration));                                            \
    ASYNC_PT_YIELD(&(self)->pt)

static ASYNC_PT_THREAD(blink_a(task *self))
{
    ASYNC_PT_BEGIN(&self->pt);
    for (;;) {
        board_led(0, 1);
        SLEEP(self, 500);
        board_led(0, 0);
        SLEEP(self, 500);
    }
    ASYNC_PT_END(&self->pt);
}

static ASYNC_PT_THREAD(blink_b(task *self))
{
    ASYNC_PT_BEGIN(&self->pt);
    for (;;) {
        board_led(1, 1);
        SLEEP(self, 100);
        board_led(1, 0);
        SLEEP(self, 233);
    }
    ASYNC_PT_END(&self->pt);
}

static task a, b;

int main(void)
{
    board_init();
    start(&a, blink_a);
    start(&b, blink_b);
    for (;;) {
        run_once();
        board_sleep_until(board_ticks() + 1);
    }
}
