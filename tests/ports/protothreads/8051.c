/* 8051 with 12 clocks a cycle at 12 MHz: timer 0 ticks, the idle mode sleeps,
 * LEDs at P1.0 and P1.1.  Text goes to ucsim's interface at xram[0xffff]. */
#include <8051.h>

#include "machine.h"

static volatile __xdata __at(0xffff) unsigned char simulator;
static volatile uint16_t ticks;

void tick(void) __interrupt(1)
{
    TH0 = 0xfc;
    TL0 = 0x18;
    ticks++;
}

void machine_start(void)
{
    TMOD = 0x21;
    TH0 = 0xfc;
    TL0 = 0x18;
    P1 = 0;
    ET0 = 1;
    TR0 = 1;
    EA = 1;
}

uint16_t machine_now(void)
{
    uint16_t now;
    EA = 0;
    now = ticks;
    EA = 1;
    return now;
}

void machine_led(uint8_t number, uint8_t on)
{
    uint8_t bit = (uint8_t)(1 << number);
    if (on)
        P1 |= bit;
    else
        P1 &= (uint8_t)~bit;
}

uint8_t machine_leds(void)
{
    return P1 & 3;
}

void machine_sleep(void)
{
    PCON |= 1;
}

void machine_print(const char *text)
{
    for (; *text; text++) {
        simulator = 'p';
        simulator = (unsigned char)*text;
    }
}

void machine_stop(void)
{
    simulator = 's';
    for (;;) {}
}
