/* 8051 with 12 clocks a cycle at 12 MHz: timer 0 ticks, the idle mode sleeps,
 * LEDs at P1.0 and P1.1.  Text goes to ucsim's interface at xram[0xffff]. */
#include <8051.h>

#include "../board.h"

static volatile __xdata __at(0xffff) unsigned char simulator;
static volatile uint32_t ticks;

void board_tick(void) __interrupt(1)
{
    TH0 = 0xfc;
    TL0 = 0x18;
    ticks++;
}

void board_init(void)
{
    TMOD = 0x21;
    TH0 = 0xfc;
    TL0 = 0x18;
    P1 = 0;
    ET0 = 1;
    TR0 = 1;
    EA = 1;
}

uint32_t board_ticks(void)
{
    uint32_t now;
    EA = 0;
    now = ticks;
    EA = 1;
    return now;
}

void board_led(uint8_t led, uint8_t on)
{
    uint8_t bit = (uint8_t)(1 << led);
    if (on)
        P1 |= bit;
    else
        P1 &= (uint8_t)~bit;
}

void board_sleep_until(uint32_t when)
{
    (void)when; /* each tick wakes it */
    PCON |= 1;
}

void board_print(const char *text)
{
    for (; *text; text++) {
        simulator = 'p';
        simulator = (unsigned char)*text;
    }
}

void board_exit(uint8_t status)
{
    (void)status; /* the simulator has none */
    simulator = 's';
    for (;;) {}
}
