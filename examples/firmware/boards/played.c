/* The inputs of a board whose emulator has none that can be fed at a given time
 * (QEMU), and of the PC: the interrupt of the tick plays them from a list, and
 * is the watchdog as well.  A part that has a watchdog of its own should use
 * that: one of software does not see that interrupts are off.
 *
 * For tests; needs BOARD_TICK_HOOK, and the list, from a file that the compiler
 * is told of: -DBOARD_EVENTS='"file"'. */
#include "../board.h"

struct event {
    uint32_t when; /* milliseconds since power-on */
    char what;     /* u: a byte from the UART; b: the button; s: the sensor's
                    * value, NO_ANSWER: it hangs; e: the end */
    uint16_t value;
};
enum { NO_ANSWER = 0xffff, SENSOR_TAKES = 2, WATCHDOG = 2000 };

static const struct event events[] = {
#include BOARD_EVENTS
};

/* What a reset leaves as it is: see board_kept(). */
enum { PASSED, PLAYED, RESET_BY_WATCHDOG };

static uint8_t button;
static uint16_t sensor_value = NO_ANSWER;
static volatile uint8_t sensor_left;
static volatile uint16_t watchdog_left;

static void play(const struct event *event)
{
    if (event->what == 'b') button = (uint8_t)event->value;
    if (event->what == 's') sensor_value = event->value;
#ifdef BOARD_UART_HOOK
    if (event->what == 'u') board_received((uint8_t)event->value);
#endif
    if (event->what == 'e') board_exit(0);
}

/* The levels, which a reset of the board does not change. */
static void play_again(uint32_t count)
{
    const struct event *event;
    for (event = events; event < events + count; event++)
        if (event->what != 'u') play(event);
}

void board_tick(void)
{
    static uint8_t begun;
    uint32_t *kept = board_kept();
    if (!begun) play_again(kept[PLAYED]);
    begun = 1;
    kept[PASSED]++;
    while (events[kept[PLAYED]].when <= kept[PASSED])
        play(&events[kept[PLAYED]++]);
#ifdef BOARD_SENSOR_HOOK
    if (sensor_left > 0 && sensor_value != NO_ANSWER && --sensor_left == 0)
        board_measured(sensor_value);
#endif
    if (watchdog_left > 0 && --watchdog_left == 0) {
        kept[RESET_BY_WATCHDOG] = 1;
        board_reset();
    }
}

uint8_t board_button(void)
{
    return button;
}

void board_sensor_start(void)
{
    sensor_left = SENSOR_TAKES;
}

void board_sensor_stop(void)
{
    sensor_left = 0;
}

uint8_t board_watchdog_start(void)
{
    uint32_t *kept = board_kept();
    uint8_t was_it = (uint8_t)kept[RESET_BY_WATCHDOG];
    kept[RESET_BY_WATCHDOG] = 0;
    watchdog_left = WATCHDOG;
    return was_it;
}

void board_watchdog_feed(void)
{
    watchdog_left = WATCHDOG;
}
