/* Nothing: the start-up code and the clock, which the other images have too. */
#include "../board.h"

int main(void)
{
    board_init();
    for (;;) board_sleep_until(board_ticks() + 1);
}
