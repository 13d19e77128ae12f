/* Two LEDs at two rates, each by a protothread.  Each change is printed with
 * the time at which it was due. */
#include "async.h"
#include "examples/firmware/board.h"

struct blinker { async_pt pt; uint32_t due, period; uint8_t led, turns, on; };

static struct blinker red, green;

static void print_number(uint32_t n)
{
    char text[11];
    uint8_t i = 10;
    text[10] = '\0';
    do {
        text[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    board_print(text + i);
}

static ASYNC_PT_THREAD(blink(struct blinker *b, uint8_t turns))
{
    ASYNC_PT_BEGIN(&b->pt);
    for (b->turns = 0; b->turns < turns; b->turns++) {
        ASYNC_PT_WAIT_UNTIL(&b->pt, (int32_t)(board_ticks() - b->due) >= 0);
        b->on = !b->on;
        board_led(b->led, b->on);
        print_number(b->due);
        board_print(" ms: ");
        board_print(red.on ? "red" : "-");
        board_print(green.on ? " green\n" : " -\n");
        b->due += b->period;
    }
    ASYNC_PT_END(&b->pt);
}

int main(void)
{
    uint8_t red_runs = 1, green_runs = 1;
    /* never at the same time, so that the order is certain */
    red.due = red.period = 20;
    green.led = 1;
    green.due = 30;
    green.period = 40;
    board_init();
    while (red_runs || green_runs) {
        if (red_runs) red_runs = ASYNC_PT_ALIVE(blink(&red, 12));
        if (green_runs) green_runs = ASYNC_PT_ALIVE(blink(&green, 5));
        board_sleep_until(0);
    }
    board_print("done\n");
    board_exit(0);
    return 0;
}
