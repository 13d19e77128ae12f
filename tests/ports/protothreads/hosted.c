/* A machine with an operating system.  Its time passes as it sleeps. */
#include <stdio.h>
#include <stdlib.h>

#include "machine.h"

static uint16_t ticks;
static uint8_t leds;

void machine_start(void)
{
}

uint16_t machine_now(void)
{
    return ticks;
}

void machine_led(uint8_t number, uint8_t on)
{
    if (on)
        leds |= (uint8_t)(1 << number);
    else
        leds &= (uint8_t) ~(1 << number);
}

uint8_t machine_leds(void)
{
    return leds;
}

void machine_sleep(void)
{
    ticks++;
}

void machine_print(const char *text)
{
    fputs(text, stdout);
}

void machine_stop(void)
{
    exit(0);
}
