/* QEMU's "virt" machine, 32 bits: the CLINT ticks each millisecond, WFI waits
 * for it; LEDs are bits of a word that nobody sees; text goes to the UART. */
#include "../board.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define MTIMECMP 0x02004000u
#define MTIME 0x0200BFF8u
#define TICK (10000000u / 1000)

static volatile uint32_t ticks, leds;

static void set_alarm(void)
{
    uint32_t low = REGISTER(MTIME), high = REGISTER(MTIME + 4);
    if (low + TICK < low) high++;
    REGISTER(MTIMECMP + 4) = 0xffffffff;
    REGISTER(MTIMECMP) = low + TICK;
    REGISTER(MTIMECMP + 4) = high;
}

#ifdef BOARD_SOFTWARE_HOOK
#define MSIP 0x02000000u
#define INTERRUPTS 0x88 /* in mie: the timer's, and that of software */

void board_software_interrupt(void)
{
    REGISTER(MSIP) = 1;
}

/* Meanwhile the timer may interrupt it, and leave its own address and state. */
static void serve_software(void)
{
    uint32_t address, status;
    REGISTER(MSIP) = 0;
    __asm__ volatile("csrr %0, mepc\n\tcsrr %1, mstatus\n\t"
                     "csrci mie, 8\n\tcsrsi mstatus, 8"
                     : "=&r"(address), "=&r"(status)::"memory");
    board_preempt();
    __asm__ volatile("csrci mstatus, 8\n\tcsrsi mie, 8\n\t"
                     "csrw mepc, %0\n\tcsrw mstatus, %1" ::"r"(address),
                     "r"(status)
                     : "memory");
}
#else
#define INTERRUPTS 0x80
#endif

/* Of the interrupts only these are on. */
__attribute__((interrupt("machine"), aligned(4), used)) void on_interrupt(void)
{
#ifdef BOARD_SOFTWARE_HOOK
    uint32_t cause;
    __asm__ volatile("csrr %0, mcause" : "=r"(cause));
    if (cause == 0x80000003u) {
        serve_software();
        return;
    }
#endif
    set_alarm();
    ticks++;
    BOARD_TICK();
}

void board_init(void)
{
    set_alarm();
    __asm__ volatile("csrs mie, %0\n\tcsrs mstatus, %1" ::"r"(INTERRUPTS),
                     "r"(8));
}

board_time board_ticks(void)
{
    return (board_time)ticks;
}

/* Interrupts are off; one that is pending ends the WFI all the same. */
void board_sleep_until(board_time when)
{
    (void)when;
    __asm__ volatile("wfi" ::: "memory");
}

void board_led(uint8_t led, uint8_t on)
{
    if (on)
        leds |= 1u << led;
    else
        leds &= ~(1u << led);
}

void board_delay(uint16_t milliseconds)
{
    uint32_t start = ticks;
    while (ticks - start < milliseconds) {}
}

void board_print(const char *text)
{
    for (; *text != '\0'; text++)
        *(volatile uint8_t *)0x10000000u = (uint8_t)*text;
}

void board_exit(uint8_t status)
{
    REGISTER(0x100000u) = status ? (uint32_t)status << 16 | 0x3333 : 0x5555;
    for (;;) {}
}

void board_reset(void)
{
    REGISTER(0x100000u) = 0x7777;
    for (;;) {}
}

/* The linker script leaves them alone. */
__attribute__((section(".noinit"))) static uint32_t kept[BOARD_KEPT_WORDS];
uint32_t *board_kept(void)
{
    return kept;
}

/* --- start-up ------------------------------------------------------------- */

extern uint32_t data_in_flash, data_start, data_end, bss_start, bss_end;
int main(void);

__attribute__((naked, section(".init"), used)) void _start(void)
{
    __asm__ volatile(".option push\n.option norelax\n"
                     "la gp, __global_pointer$\n.option pop\n"
                     "la sp, stack_top\n"
                     "la t0, on_interrupt\n\tcsrw mtvec, t0\n\tj start");
}

__attribute__((used)) void start(void)
{
    uint32_t *from = &data_in_flash, *to = &data_start;
    while (to < &data_end) *to++ = *from++;
    for (to = &bss_start; to < &bss_end; to++) *to = 0;
    main();
    for (;;) {}
}

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
