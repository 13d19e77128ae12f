/* A PC, on which time is virtual: sleeping is jumping to the deadline.  For
 * tests of firmware under the sanitizers. */
#include "../board.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t ticks;

void board_init(void)
{
}

uint32_t board_ticks(void)
{
    return ticks;
}

void board_sleep_until(uint32_t when)
{
    (void)when;
    ticks++; /* as a board that is woken by each tick */
    BOARD_TICK();
}

void board_led(uint8_t led, uint8_t on)
{
    (void)led, (void)on;
}

void board_print(const char *text)
{
    fputs(text, stdout);
}

void board_exit(uint8_t status)
{
    exit(status);
}
