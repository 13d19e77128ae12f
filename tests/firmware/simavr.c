/* Runs an image for an ATmega on libsimavr, in virtual time: the UART goes
 * to stdout, GPIOR0 is the exit status.  On stderr it says how many cycles that
 * took, how much of them asleep, and how deep the stack was.
 *
 *   simavr-run image.elf milliseconds [part, by default atmega328p]
 */
#include <simavr/avr_uart.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HZ 16000000u
#define GPIOR0 0x3E

static uint64_t asleep;

static void print(struct avr_irq_t *irq, uint32_t byte, void *nothing)
{
    (void)irq, (void)nothing;
    putchar((int)byte);
}

/* The time that the processor sleeps passes at once. */
static void sleep_at_once(avr_t *avr, avr_cycle_count_t cycles)
{
    (void)avr;
    asleep += cycles;
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware;
    uint64_t limit;
    uint32_t uart_flags = 0;
    unsigned deepest;
    int state = cpu_Running, out;
    avr_t *avr;
    /* The library tells of its loading on stdout. */
    out = dup(1);
    dup2(2, 1);
    memset(&firmware, 0, sizeof firmware);
    if (argc < 3 || argc > 4 || elf_read_firmware(argv[1], &firmware) != 0) {
        fprintf(stderr, "usage: %s image.elf milliseconds [part]\n", argv[0]);
        return 125;
    }
    strcpy(firmware.mmcu, argc > 3 ? argv[3] : "atmega328p");
    firmware.frequency = HZ;
    avr = avr_make_mcu_by_name(firmware.mmcu);
    if (avr == NULL) return 125;
    avr_init(avr);
    avr_load_firmware(avr, &firmware);
    avr->log = LOG_ERROR;
    avr->sleep = sleep_at_once;
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &uart_flags);
    uart_flags &= ~(uint32_t)(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &uart_flags);
    avr_irq_register_notify(
        avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), print,
        NULL);
    fflush(stdout);
    dup2(out, 1);
    limit = (uint64_t)atol(argv[2]) * (HZ / 1000);
    deepest = avr->ramend;
    while (state != cpu_Done && state != cpu_Crashed && avr->cycle < limit) {
        unsigned sp;
        state = avr_run(avr);
        sp = avr->data[R_SPL] | (unsigned)avr->data[R_SPH] << 8;
        if (sp > 0x100 && sp < deepest) deepest = sp;
    }
    fflush(stdout);
    fprintf(stderr, "%s; %llu cycles, %.2f %% asleep, stack %u bytes\n",
            state == cpu_Done      ? "done"
            : state == cpu_Crashed ? "crashed"
                                   : "time is over",
            (unsigned long long)avr->cycle,
            100.0 * (double)asleep / (double)avr->cycle,
            avr->ramend - deepest);
    if (state == cpu_Done) return avr->data[GPIOR0];
    return state == cpu_Crashed ? 126 : 124;
}
