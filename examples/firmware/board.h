/* board.h - what a board gives the examples
 *
 * Each board is one file in boards/: a clock of milliseconds, a way to sleep, a
 * few LEDs, and, for the tests in an emulator, text and an exit status.  None of
 * it is Caesura's: bring your own.
 */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

/* The clock, its interrupt and the pins. */
void board_init(void);

/* Milliseconds since the start; wraps at 2^32. */
uint32_t board_ticks(void);

/* See async_bare_sleep in async/bare/loop.h. */
void board_sleep_until(uint32_t when);

/* With BOARD_TICK_HOOK, the program has a function that is called from the
 * interrupt of each tick. */
#ifdef BOARD_TICK_HOOK
void board_tick(void);
#define BOARD_TICK() board_tick()
#else
#define BOARD_TICK() ((void)0)
#endif

/* LED 0 or 1. */
void board_led(uint8_t led, uint8_t on);

/* Only for what is run in an emulator. */
void board_print(const char *text);
void board_exit(uint8_t status);

/* SDCC writes an interrupt's vector where main() sees its prototype. */
#if defined(__SDCC_mcs51)
void board_tick(void) __interrupt(1);
#elif defined(__SDCC_stm8)
void board_tick(void) __interrupt(23);
#endif

#endif
