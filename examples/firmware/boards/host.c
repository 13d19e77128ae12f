/* A PC, on which time is virtual: a millisecond is a call.  For tests of
 * firmware under the sanitizers. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "../board.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static uint32_t ticks;

void board_init(void)
{
}

#ifdef BOARD_SOFTWARE_HOOK
static uint8_t in_tick, asked_for, preempting;

static void preempt(void)
{
    if (in_tick || preempting) return;
    preempting = 1;
    while (asked_for) {
        asked_for = 0;
        board_preempt();
    }
    preempting = 0;
}

void board_software_interrupt(void)
{
    asked_for = 1;
    preempt();
}
#endif

static void tick(void)
{
#ifdef BOARD_SOFTWARE_HOOK
    in_tick = 1;
#endif
    ticks++;
    BOARD_TICK();
#ifdef BOARD_SOFTWARE_HOOK
    in_tick = 0;
    preempt();
#endif
}

board_time board_ticks(void)
{
    return (board_time)ticks;
}

void board_sleep_until(board_time when)
{
    (void)when;
    tick(); /* as a board that is woken by each tick */
}

void board_delay(uint16_t milliseconds)
{
    while (milliseconds-- > 0) tick();
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

/* A reset is the end of a process, after which its parent begins another one
 * where the program began. */
enum { RESET = 255 };
static uint32_t *kept;

__attribute__((constructor)) static void power_on(void)
{
    int status = RESET << 8;
    kept = mmap(NULL, BOARD_KEPT_WORDS * sizeof *kept, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (kept == MAP_FAILED) abort();
    while (WIFEXITED(status) && WEXITSTATUS(status) == RESET) {
        pid_t child = fork();
        if (child == 0) return;
        if (child < 0 || waitpid(child, &status, 0) != child) abort();
    }
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

void board_reset(void)
{
    exit(RESET);
}

uint32_t *board_kept(void)
{
    return kept;
}
