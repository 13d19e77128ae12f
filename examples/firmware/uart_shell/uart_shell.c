/* flags: -DBOARD_UART_HOOK */
/* A command line on the board's UART, at 115,200 baud, beside an LED that blinks
 * all the time.  A command that takes long is cancelled by any key, and tidies
 * up.  Input that was lost is told, and the shell goes on. */
#define ASYNC_STATIC_ONLY 1
#define ASYNC_IMPLEMENTATION
#include "async/bare/interrupt.h"
#include "async/dump.h"

#include "examples/firmware/board.h"
#include "examples/firmware/text.h"

static async_bare_loop loop =
    ASYNC_BARE_LOOP(loop, board_ticks, board_sleep_until);

/* --- what is received ---------------------------------------------------- */

static ASYNC_RING(32) received;

void board_received(uint8_t byte)
{
    async_ring_put(&received.ring, byte, &loop); /* notes what is lost */
}

enum { CTRL_C = 3, BACKSPACE = 8, DELETE = 127 };

static char line[24];

/* Reads a line into `line`, and echoes it. */
struct read_line { ASYNC_FRAME; uint8_t length, key; };
static ASYNC(read_line)
{
    ASYNC_BEGIN(read_line);
    for (;;) {
        AWAIT_INTO(self->key, async_ring_get, &received.ring);
        if (self->key == '\r' || self->key == '\n' || self->key == CTRL_C)
            break;
        if (self->key == BACKSPACE || self->key == DELETE) {
            if (self->length == 0) continue;
            self->length--;
            board_print("\b \b");
        } else if (self->key >= ' ' && self->length < sizeof line - 1) {
            line[self->length++] = (char)self->key;
            line[self->length] = '\0';
            board_print(line + self->length - 1);
        }
    }
    line[self->key == CTRL_C ? 0 : self->length] = '\0';
    board_print(self->key == CTRL_C ? "^C\r\n" : "\r\n");
    ASYNC_END;
}

/* --- in the background --------------------------------------------------- */

static uint16_t blinks;

struct blink { ASYNC_FRAME; uint16_t period; };
static ASYNC(blink)
{
    ASYNC_BEGIN(blink);
    ASYNC_TRY {
        for (;;) {
            board_led(0, 1);
            AWAIT(async_sleep, self->period / 2);
            board_led(0, 0);
            AWAIT(async_sleep, self->period - self->period / 2);
            blinks++;
        }
    } ASYNC_FINALLY {
        board_led(0, 0);
    } ASYNC_END_TRY
    ASYNC_END;
}
ASYNC_STATIC_TASK(blinker, ASYNC_FRAMES(blink, async_sleep));

/* The blinker begins again, with another period. */
struct set_period { ASYNC_FRAME; uint16_t period; };
static ASYNC(set_period)
{
    ASYNC_BEGIN(set_period);
    async_task_cancel(&blinker.task);
    ASYNC_TRY {
        AWAIT_TASK(&blinker.task);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {}
    ASYNC_END_TRY
    ASYNC_TASK_START(&blinker, &loop.base, blink, self->period);
    ASYNC_END;
}

/* --- a command that takes time ------------------------------------------- */

struct count { ASYNC_FRAME; uint16_t to, i; };
static ASYNC(count)
{
    ASYNC_BEGIN(count);
    ASYNC_TRY {
        while (self->i < self->to) {
            AWAIT(async_sleep, 500);
            print_number(++self->i);
            board_print("\r\n");
        }
    } ASYNC_FINALLY {
        board_print("counted to ");
        print_number(self->i);
        board_print("\r\n");
        async_bare_wake(&loop); /* `key_or_end` is about to change */
    } ASYNC_END_TRY
    ASYNC_END;
}
ASYNC_STATIC_TASK(counter, ASYNC_FRAMES(count, async_sleep));

static int key_or_end(void *nothing)
{
    (void)nothing;
    return async_ring_count(&received.ring) > 0 ||
           async_task_done(&counter.task);
}

/* It runs as a task of its own, so that a key can cancel it. */
struct count_until_key { ASYNC_FRAME; uint16_t to; uint8_t key; };
static ASYNC(count_until_key)
{
    ASYNC_BEGIN(count_until_key);
    ASYNC_TASK_START(&counter, &loop.base, count, self->to);
    AWAIT(async_wait_until, key_or_end, NULL);
    async_task_cancel(&counter.task); /* nothing, if it has ended */
    ASYNC_TRY {
        AWAIT_TASK(&counter.task);
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        board_print("cancelled\r\n");
        AWAIT_INTO(self->key, async_ring_get, &received.ring); /* that key */
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- the shell ----------------------------------------------------------- */

static uint16_t overruns;
static uint8_t led;

static void print_stats(void)
{
    print_number(board_ticks() / 1000);
    board_print(" s, ");
    print_number(blinks);
    board_print(" blinks, ");
    print_number(overruns);
    board_print(" overruns, LED ");
    board_print(led ? "on\r\n" : "off\r\n");
}

static void print_piece(const char *text, void *nothing)
{
    (void)nothing;
    board_print(*text == '\n' ? "\r\n" : text);
}

/* With ASYNC_DUMP_ALL it would tell stacks and ticks, too, which are not the same
 * on all boards. */
static void print_tasks(void)
{
    async_dump_tasks(&loop.base, ASYNC_DUMP_FRAMES, print_piece, NULL);
}

struct run_command { ASYNC_FRAME; const char *rest; };
static ASYNC(run_command)
{
    ASYNC_BEGIN(run_command);
    if (after_word(line, "help")) {
        board_print("led on|off, blink MS, count N, busy MS, stats, "
                    "tasks\r\n");
    } else if (after_word(line, "led on")) {
        board_led(1, led = 1);
    } else if (after_word(line, "led off")) {
        board_led(1, led = 0);
    } else if (after_word(line, "stats")) {
        print_stats();
    } else if (after_word(line, "tasks")) {
        print_tasks();
    } else if ((self->rest = after_word(line, "busy")) != NULL) {
        board_delay(number_in(self->rest)); /* as one should not: all stands */
    } else if ((self->rest = after_word(line, "blink")) != NULL) {
        if (number_in(self->rest) < 2) {
            board_print("blink: 2 ms or more\r\n");
            ASYNC_RETURN();
        }
        AWAIT(set_period, number_in(self->rest));
    } else if ((self->rest = after_word(line, "count")) != NULL) {
        AWAIT(count_until_key, number_in(self->rest));
    } else if (line[0] != '\0') {
        board_print("what? Try: help\r\n");
    }
    ASYNC_END;
}

struct shell { ASYNC_FRAME; int error; };
static ASYNC(shell)
{
    ASYNC_BEGIN(shell);
    for (;;) {
        ASYNC_TRY {
            board_print("> ");
            AWAIT(read_line);
            AWAIT(run_command);
        } ASYNC_EXCEPT(ASYNC_EOVERRUN) {
            overruns++;
            board_print("\r\nsome input was lost, and so is this line\r\n");
        } ASYNC_EXCEPT_ANY(self->error) {
            /* ASYNC_ENOMEM say, from an await that found no room.  Its name
             * would come with those of all other errors, a kilobyte. */
            board_print("error -");
            print_number((uint32_t)-self->error);
            board_print("\r\n");
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

/* It needs room for either of two chains of awaits. */
#define READING                                                               \
    ASYNC_FRAMES(shell, read_line, async_ring_get, async_wait_until)
#define RUNNING                                                               \
    ASYNC_FRAMES(shell, run_command, count_until_key, async_wait_until)
ASYNC_STATIC_TASK(shell_task, READING > RUNNING ? READING : RUNNING);

void program_start(void)
{
    ASYNC_RING_INIT(&received);
    board_init();
    ASYNC_TASK_START(&blinker, &loop.base, blink, 1000);
    ASYNC_TASK_START(&shell_task, &loop.base, shell);
}

#ifdef ARDUINO /* its main() calls the sketch's setup() and loop() */
void program_turn(void)
{
    (void)async_bare_turn(&loop);
}
#else
int main(void)
{
    program_start();
    async_bare_run(&loop);
    return 0;
}
#endif
