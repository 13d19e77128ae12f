/* STM8S105 at 2 MHz (its HSI divided by 8): timer 4 ticks, LEDs at PA4
 * and PA5.  It polls: ucsim 0.6 never comes back from WFI.  Text goes to ucsim's interface at rom[0x7fff]. */
#include "../board.h"

#define REGISTER(address) (*(volatile uint8_t *)(address))
#define PA_ODR REGISTER(0x5000)
#define PA_DDR REGISTER(0x5002)
#define PA_CR1 REGISTER(0x5003)
#define TIM4_CR1 REGISTER(0x5340)
#define TIM4_IER REGISTER(0x5341)
#define TIM4_SR REGISTER(0x5342)
#define TIM4_PSCR REGISTER(0x5345)
#define TIM4_ARR REGISTER(0x5346)

static volatile __at(0x7fff) unsigned char simulator;
static volatile uint32_t ticks;

void board_tick(void) __interrupt(23)
{
    TIM4_SR = 0;
    ticks++;
}

void board_init(void)
{
    PA_DDR |= 0x30;
    PA_CR1 |= 0x30;
    PA_ODR &= (uint8_t)~0x30;
    TIM4_PSCR = 4; /* 2 MHz / 16 / 125 = 1 kHz */
    TIM4_ARR = 124;
    TIM4_IER = 1;
    TIM4_CR1 = 1;
    __asm__("rim");
}

uint32_t board_ticks(void)
{
    uint32_t now;
    __asm__("sim");
    now = ticks;
    __asm__("rim");
    return now;
}

void board_led(uint8_t led, uint8_t on)
{
    uint8_t bit = (uint8_t)(0x10 << led);
    if (on)
        PA_ODR |= bit;
    else
        PA_ODR &= (uint8_t)~bit;
}

void board_sleep_until(uint32_t when)
{
    (void)when; /* each tick wakes it */
    __asm__("nop");
}

void board_print(const char *text)
{
    for (; *text; text++) {
        simulator = 'p';
        simulator = (unsigned char)*text;
    }
}

void board_exit(uint8_t status)
{
    (void)status; /* the simulator has none */
    simulator = 's';
    for (;;) {}
}
