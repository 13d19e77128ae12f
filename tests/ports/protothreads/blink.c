/* Two LEDs at two rates, each by a protothread.  What the port then has is
 * printed at each change, with the time at which it was due. */
#include "../../../async.h"
#include "machine.h"

struct blinker { async_pt pt; uint16_t due, period; uint8_t led, turns, on; };

static struct blinker red, green;

static void print_number(uint16_t n)
{
    char text[6];
    uint8_t i = 5;
    text[5] = '\0';
    do {
        text[--i] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    machine_print(text + i);
}

static ASYNC_PT_THREAD(blink(struct blinker *b, uint8_t turns))
{
    ASYNC_PT_BEGIN(&b->pt);
    for (b->turns = 0; b->turns < turns; b->turns++) {
        ASYNC_PT_WAIT_UNTIL(&b->pt, (int16_t)(machine_now() - b->due) >= 0);
        b->on = !b->on;
        machine_led(b->led, b->on);
        print_number(b->due);
        machine_print(" ms: ");
        machine_print(machine_leds() & 1 ? "red" : "-");
        machine_print(machine_leds() & 2 ? " green\n" : " -\n");
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
    machine_start();
    while (red_runs || green_runs) {
        if (red_runs) red_runs = ASYNC_PT_ALIVE(blink(&red, 12));
        if (green_runs) green_runs = ASYNC_PT_ALIVE(blink(&green, 5));
        machine_sleep();
    }
    machine_print("done\n");
    machine_stop();
    return 0;
}
