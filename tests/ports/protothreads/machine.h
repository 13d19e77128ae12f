/* What the images need of a machine: 8051.c, stm8.c, hosted.c.
 *
 * Time is in milliseconds, from 0 at machine_start().  machine_sleep() waits
 * for an interrupt. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

void machine_start(void);
uint16_t machine_now(void);
void machine_led(uint8_t number, uint8_t on);
uint8_t machine_leds(void); /* a bit each */
void machine_sleep(void);
void machine_print(const char *text);
void machine_stop(void); /* ends the simulation */

/* SDCC writes the vector of an interrupt where main() sees its prototype. */
#if defined(__SDCC_mcs51)
void tick(void) __interrupt(1);
#elif defined(__SDCC_stm8)
void tick(void) __interrupt(23);
#endif

#endif
