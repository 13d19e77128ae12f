/* A PC whose terminal is the UART, in real time: to try an example.  Ctrl-D, or
 * the end of the input, ends it. */
#define _DEFAULT_SOURCE /* cfmakeraw */
#include "../board.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { CTRL_D = 4 };

static struct termios before;
static uint64_t start;

static uint64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void restore_terminal(void)
{
    tcsetattr(0, TCSANOW, &before);
}

void board_init(void)
{
    start = milliseconds();
    if (tcgetattr(0, &before) == 0) {
        struct termios raw = before;
        cfmakeraw(&raw);
        tcsetattr(0, TCSANOW, &raw);
        atexit(restore_terminal);
    }
}

board_time board_ticks(void)
{
    return (uint32_t)(milliseconds() - start);
}

/* At most a millisecond, or a byte. */
void board_sleep_until(board_time when)
{
    struct pollfd input = { .fd = 0, .events = POLLIN };
    uint8_t byte;
    (void)when;
    if (poll(&input, 1, 1) <= 0) return;
    if (read(0, &byte, 1) != 1 || byte == CTRL_D) {
        board_print("\r\n");
        exit(0);
    }
    board_received(byte);
}

void board_delay(uint16_t time)
{
    uint32_t begin = board_ticks();
    while (board_ticks() - begin < time) {}
}

void board_led(uint8_t led, uint8_t on)
{
    (void)led, (void)on; /* it has none */
}

void board_print(const char *text)
{
    fputs(text, stdout);
    fflush(stdout);
}
