/* Starts a conformance case on a board, and is its clock and its heap. */
#include "board_loop.h"

/* --- the clock ------------------------------------------------------------- */

static uint32_t now, ran; /* `ran`: ticks while the program ran */
static int slept;

/* That a tick has ended the sleep is known when its interrupt has run, which may
 * be after the sleep's end. */
async_time clock_ticks(void)
{
    if (slept) now = board_ticks() - ran;
    slept = 0;
    return now;
}

void clock_sleep_until(async_time when)
{
    ran = board_ticks() - clock_ticks();
    slept = 1;
    board_sleep_until(when == ASYNC_FOREVER ? when : when + ran);
}

void clock_advance(async_duration duration)
{
    now = clock_ticks() + (async_time)duration;
}

/* --- the heap -------------------------------------------------------------- */

#ifdef ARENA
/* Memory that was given back serves who asks for exactly as much: what a loop
 * takes comes in a few sizes.  In front of each piece stands its size. */
typedef union piece {
    struct {
        union piece *next; /* while it is free */
        size_t size;
    } head;
    char aligned __attribute__((aligned(__BIGGEST_ALIGNMENT__)));
} piece;
static piece arena[(ARENA) / sizeof(piece)];
static size_t taken;
static piece *given_back;
static long in_use;

void *arena_allocate(size_t size)
{
    size_t blocks = 1 + (size + sizeof(piece) - 1) / sizeof(piece);
    piece **place = &given_back, *found;
    while (*place != NULL && (*place)->head.size != blocks)
        place = &(*place)->head.next;
    found = *place;
    if (found != NULL) {
        *place = found->head.next;
    } else {
        if (sizeof arena / sizeof *arena - taken < blocks) return NULL;
        found = &arena[taken];
        taken += blocks;
    }
    found->head.size = blocks;
    in_use++;
    return found + 1;
}

void arena_release(void *memory)
{
    piece *freed = (piece *)memory - 1;
    freed->head.next = given_back;
    given_back = freed;
    in_use--;
}
#else
/* A PC, whose sanitizers look after malloc themselves. */
#include <stdlib.h>
static long in_use;
void *arena_allocate(size_t size)
{
    return malloc(size);
}
void arena_release(void *memory)
{
    free(memory);
}
#endif

/* --- the program ----------------------------------------------------------- */

void trap(const char *message)
{
    board_print(message);
    board_print("\n");
    board_exit(126);
    for (;;) {}
}

/* The case's main(), which is compiled under this name. */
int conformance_main(void);

/* The exit status of a case is of no interest: an error that leaves the main
 * coroutine is a part of some. */
int main(void)
{
    board_init();
    (void)conformance_main();
    if (in_use != 0) trap("the heap has not got everything back");
    board_exit(0);
    return 0;
}
