/* Two blinkers in a super-loop: what they cost by hand. */
#include "../board.h"

int main(void)
{
    uint32_t a = 0, b = 0;
    uint8_t a_on = 0, b_on = 0;
    board_init();
    for (;;) {
        uint32_t now = board_ticks();
        if (now - a >= 500) {
            a += 500;
            board_led(0, a_on = !a_on);
        }
        if (now - b >= (b_on ? 100u : 233u)) {
            b += b_on ? 100 : 233;
            board_led(1, b_on = !b_on);
        }
        board_sleep_until(now + 1);
    }
}
