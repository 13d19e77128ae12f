/* board.h - what a board gives the examples
 *
 * Each board is one file in boards/: a clock of milliseconds, a way to sleep, a
 * few LEDs, text; and, where an example asks for it, a UART that receives, a
 * button, a sensor and a watchdog.  None of it is Caesura's: bring your own.
 *
 * Those QEMU has no pins and bytes for have the latter in boards/played.c.
 */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What an example is made of, for an Arduino sketch to call in its setup() and
 * its loop(); elsewhere its main() does. */
void program_start(void);
void program_turn(void);

/* The clock, its interrupt and the pins. */
void board_init(void);

/* Milliseconds since the start; wraps at 2^32, or at 2^16 where a program asks
 * for that. */
#if defined(ASYNC_TIME_BITS) && ASYNC_TIME_BITS == 16
typedef uint16_t board_time;
#else
typedef uint32_t board_time;
#endif
board_time board_ticks(void);

/* See async_bare_sleep in async/bare/loop.h. */
void board_sleep_until(board_time when);

/* With BOARD_TICK_HOOK, the program has a function that is called from the
 * interrupt of each tick. */
#ifdef BOARD_TICK_HOOK
void board_tick(void);
#define BOARD_TICK() board_tick()
#else
#define BOARD_TICK() ((void)0)
#endif

/* With BOARD_SOFTWARE_HOOK, the program has a function that is called from an
 * interrupt which all others interrupt, and which interrupts the rest of the
 * program.  It is asked for from there or from interrupts; what is asked for
 * while it runs or waits is one call more. */
void board_software_interrupt(void);
void board_preempt(void);

/* LED 0 or 1. */
void board_led(uint8_t led, uint8_t on);

/* Lets that many milliseconds pass without sleeping, as a computation does. */
void board_delay(uint16_t milliseconds);

/* To the UART, at 115,200 baud; waits until it has taken it all. */
void board_print(const char *text);

/* With BOARD_UART_HOOK, the program has a function that is called from the
 * interrupt of each byte that the UART receives. */
void board_received(uint8_t byte);

/* Whether the button is down at this moment; it bounces. */
uint8_t board_button(void);

/* A sensor that is told to measure, and some milliseconds later says that it
 * has: with BOARD_SENSOR_HOOK the program's board_measured() is then called
 * from an interrupt, with 10 bits.  One that is stopped says nothing more. */
void board_sensor_start(void);
void board_sensor_stop(void);
void board_measured(uint16_t value);

/* A watchdog of about two seconds.  Starting it, once and first of all, tells
 * whether it was this that has reset the board. */
uint8_t board_watchdog_start(void);
void board_watchdog_feed(void);

/* Only for what is run in an emulator: the end; a reset; and a few words that
 * a reset leaves as they are, zero at first. */
void board_exit(uint8_t status);
void board_reset(void);
uint32_t *board_kept(void);
enum { BOARD_KEPT_WORDS = 4 };

/* SDCC writes an interrupt's vector where main() sees its prototype. */
#if defined(__SDCC_mcs51)
void board_tick(void) __interrupt(1);
#elif defined(__SDCC_stm8)
void board_tick(void) __interrupt(23);
#endif

#ifdef __cplusplus
}
#endif

#endif
