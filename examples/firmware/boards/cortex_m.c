/* Any Cortex-M: SysTick ticks each millisecond, WFI waits for it; LEDs are bits
 * of a word, GPIO_OUT; text and exit go to the debugger (semihosting). */
#include "../board.h"

#ifndef CPU_HZ
#define CPU_HZ 12000000u
#endif
#ifndef GPIO_OUT
#define GPIO_OUT 0x50000504u /* nRF51822, as on the micro:bit */
#endif
#define REGISTER(address) (*(volatile uint32_t *)(address))

static volatile uint32_t ticks;

void SysTick_Handler(void)
{
    ticks++;
    BOARD_TICK();
}

#ifdef BOARD_SOFTWARE_HOOK
void PendSV_Handler(void)
{
    board_preempt();
}

void board_software_interrupt(void)
{
    REGISTER(0xE000ED04u) = 1u << 28; /* ICSR: PENDSVSET */
    __asm__ volatile("dsb\n\tisb" ::: "memory");
}
#endif

void board_init(void)
{
#ifdef BOARD_SOFTWARE_HOOK
    REGISTER(0xE000ED20u) |= 0xFFu << 16; /* PendSV is below all others */
#endif
    REGISTER(0xE000E014u) = CPU_HZ / 1000 - 1;
    REGISTER(0xE000E018u) = 0;
    REGISTER(0xE000E010u) = 7;
}

board_time board_ticks(void)
{
    return (board_time)ticks;
}

/* Interrupts are off; one that is pending ends the WFI all the same, and is
 * served when they are on again. */
void board_sleep_until(board_time when)
{
    (void)when;
    __asm__ volatile("wfi" ::: "memory");
}

void board_led(uint8_t led, uint8_t on)
{
    if (on)
        REGISTER(GPIO_OUT) |= 1u << led;
    else
        REGISTER(GPIO_OUT) &= ~(1u << led);
}

static void ask_debugger(uint32_t what, const void *argument)
{
    register uint32_t r0 __asm__("r0") = what;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

void board_delay(uint16_t milliseconds)
{
    uint32_t start = ticks;
    while (ticks - start < milliseconds) {}
}

void board_print(const char *text)
{
    ask_debugger(0x04, text); /* SYS_WRITE0 */
}

void board_exit(uint8_t status)
{
    uint32_t arguments[2];
    arguments[0] = 0x20026; /* the application has ended */
    arguments[1] = status;
    ask_debugger(0x20, arguments); /* SYS_EXIT_EXTENDED */
    for (;;) {}
}

void board_reset(void)
{
    REGISTER(0xE000ED0Cu) = 0x05FA0004u; /* AIRCR: SYSRESETREQ */
    for (;;) {}
}

/* The linker script leaves them alone. */
__attribute__((section(".noinit"))) static uint32_t kept[BOARD_KEPT_WORDS];
uint32_t *board_kept(void)
{
    return kept;
}

/* --- start-up ------------------------------------------------------------- */

extern uint32_t stack_top, data_in_flash, data_start, data_end, bss_start,
    bss_end;
int main(void);

void Reset_Handler(void)
{
    uint32_t *from = &data_in_flash, *to = &data_start;
    while (to < &data_end) *to++ = *from++;
    for (to = &bss_start; to < &bss_end; to++) *to = 0;
    main();
    for (;;) {}
}

void Default_Handler(void)
{
    for (;;) {}
}
#define WEAK __attribute__((weak, alias("Default_Handler")))
void NMI_Handler(void) WEAK;
void HardFault_Handler(void) WEAK;
void SVC_Handler(void) WEAK;
#ifndef BOARD_SOFTWARE_HOOK
void PendSV_Handler(void) WEAK;
#endif

typedef union vector {
    void (*handler)(void);
    const void *stack;
} vector;
__attribute__((section(".vectors"), used)) static const vector vectors[16] = {
    [0] = { .stack = &stack_top },
    [1] = { .handler = Reset_Handler },
    [2] = { .handler = NMI_Handler },
    [3] = { .handler = HardFault_Handler },
    [11] = { .handler = SVC_Handler },
    [14] = { .handler = PendSV_Handler },
    [15] = { .handler = SysTick_Handler },
};

/* What compilers ask of a freestanding program, late. */
__attribute__((used)) void *memset(void *to, int value, __SIZE_TYPE__ size)
{
    unsigned char *byte = to;
    while (size-- > 0) *byte++ = (unsigned char)value;
    return to;
}
__attribute__((used)) void *memcpy(void *to, const void *from,
                                   __SIZE_TYPE__ size)
{
    unsigned char *byte = to;
    const unsigned char *source = from;
    while (size-- > 0) *byte++ = *source++;
    return to;
}
