/* Runs an image for an ATmega on libsimavr, in virtual time: the UART goes
 * to stdout, GPIOR0 is the exit status.  On stderr it says how many cycles that
 * took, how much of them asleep, and how deep the stack was.
 *
 *   simavr-run part image.elf milliseconds [events]
 *
 * Events happen to the pins and the UART, as of a real board; see `events`.  The
 * sensor is a simulated one: it takes 2 ms from PD4 to PD2, and gives a voltage.
 */
#include <simavr/avr_adc.h>
#include <simavr/avr_ioport.h>
#include <simavr/avr_uart.h>
#include <simavr/sim_io.h>
#include <stdio.h>
#include <stdlib.h>

#include "simavr.h"

#define GPIOR0 0x3E

static void print(struct avr_irq_t *irq, uint32_t byte, void *nothing)
{
    (void)irq, (void)nothing;
    putchar((int)byte);
}

/* --- what happens to it ------------------------------------------------------ */

enum { READY = 2, BUTTON = 3, START = 4, NO_ANSWER = 65535, SENSOR_TAKES = 2 };

static FILE *events;
static struct {
    unsigned long when;
    char what;
    unsigned value;
} next;
static unsigned sensor = NO_ANSWER;

/* What drives a pin of port D from outside; else a pull-up would count, with
 * every write to the port. */
static void set_pin(avr_t *avr, int pin, int level)
{
    static avr_ioport_external_t outside = { .name = 'D' };
    unsigned bit = 1u << pin;
    outside.mask |= bit;
    outside.value = level ? outside.value | bit : outside.value & ~bit;
    avr_ioctl(avr, AVR_IOCTL_IOPORT_SET_EXTERNAL('D'), &outside);
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('D'), pin),
                  (uint32_t)level);
}

static void read_event(void)
{
    if (events == NULL || fscanf(events, "{ %lu, '%c', %u }, ", &next.when,
                                 &next.what, &next.value) != 3)
        next.when = (unsigned long)-1;
}

/* Returns  whether it was the end */
static int happen(avr_t *avr)
{
    char what = next.what;
    switch (what) {
    case 'u':
        avr_raise_irq(
            avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT),
            next.value);
        break;
    case 'b': set_pin(avr, BUTTON, !next.value); break;
    case 's': sensor = next.value; break;
    }
    read_event();
    return what == 'e';
}

static avr_cycle_count_t sensor_is_ready(avr_t *avr, avr_cycle_count_t when,
                                         void *nothing)
{
    (void)when, (void)nothing;
    if (sensor != NO_ANSWER) set_pin(avr, READY, 1);
    return 0;
}

static void sensor_starts(struct avr_irq_t *irq, uint32_t level, void *avr)
{
    (void)irq;
    set_pin(avr, READY, 0);
    if (level)
        avr_cycle_timer_register_usec(avr, SENSOR_TAKES * 1000,
                                      sensor_is_ready, NULL);
    else
        avr_cycle_timer_cancel(avr, sensor_is_ready, NULL);
}

static void measure(struct avr_irq_t *irq, uint32_t channel, void *avr)
{
    (void)irq, (void)channel;
    avr_raise_irq(avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_ADC0),
                  (sensor * 5000 + 1022) / 1023);
}

static void connect(avr_t *avr)
{
    avr->vcc = avr->avcc = avr->aref = 5000; /* millivolts */
    set_pin(avr, BUTTON, 1);
    avr_irq_register_notify(
        avr_io_getirq(avr, AVR_IOCTL_IOPORT_GETIRQ('D'), START), sensor_starts,
        avr);
    avr_irq_register_notify(
        avr_io_getirq(avr, AVR_IOCTL_ADC_GETIRQ, ADC_IRQ_OUT_TRIGGER), measure,
        avr);
}

int main(int argc, char **argv)
{
    uint64_t limit;
    uint32_t uart_flags = 0;
    int state = cpu_Running;
    avr_t *avr = argc < 4 || argc > 5 ? NULL : load(argv[1], argv[2]);
    if (argc == 5) events = fopen(argv[4], "r");
    if (avr == NULL || (argc == 5 && events == NULL)) {
        fprintf(stderr, "usage: %s part image.elf milliseconds [events]\n",
                argv[0]);
        return 125;
    }
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &uart_flags);
    uart_flags &= ~(uint32_t)(AVR_UART_FLAG_STDIO | AVR_UART_FLAG_POLL_SLEEP);
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &uart_flags);
    avr_irq_register_notify(
        avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), print,
        NULL);
    connect(avr);
    read_event();
    limit = (uint64_t)atol(argv[3]) * (HZ / 1000);
    while (state != cpu_Done && state != cpu_Crashed && avr->cycle < limit) {
        while (avr->cycle / (HZ / 1000) >= next.when)
            if (happen(avr)) state = cpu_Done;
        if (state == cpu_Done) break;
        state = step(avr);
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
