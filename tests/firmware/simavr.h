/* What simavr.c and wake/probe.c share: an ATmega at 16 MHz with an image in its
 * flash, how long it slept and how deep its stack was. */
#ifndef SIMAVR_H
#define SIMAVR_H

#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>
#include <string.h>
#include <unistd.h>

#define HZ 16000000u

static avr_cycle_count_t asleep;
static unsigned deepest;

/* The time that the processor sleeps passes at once. */
static void sleep_at_once(avr_t *avr, avr_cycle_count_t cycles)
{
    (void)avr;
    asleep += cycles;
}

/* Returns  NULL when there is no such part or file */
static avr_t *load(const char *part, const char *file)
{
    elf_firmware_t firmware;
    avr_t *avr = NULL;
    /* The library tells of its loading on stdout. */
    int out = dup(1);
    dup2(2, 1);
    memset(&firmware, 0, sizeof firmware);
    if (strlen(part) < sizeof firmware.mmcu &&
        elf_read_firmware(file, &firmware) == 0) {
        strcpy(firmware.mmcu, part);
        firmware.frequency = HZ;
        avr = avr_make_mcu_by_name(firmware.mmcu);
    }
    if (avr != NULL) {
        avr_init(avr);
        avr_load_firmware(avr, &firmware);
        avr->log = LOG_ERROR;
        avr->sleep = sleep_at_once;
        deepest = avr->ramend;
    }
    fflush(stdout);
    dup2(out, 1);
    return avr;
}

/* One instruction, or the rest of a sleep. */
static int step(avr_t *avr)
{
    int state = avr_run(avr);
    unsigned sp = avr->data[R_SPL] | (unsigned)avr->data[R_SPH] << 8;
    if (sp > 0x100 && sp < deepest) deepest = sp;
    return state;
}

#endif
