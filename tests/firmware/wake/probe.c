/* Wakes the task of image.c at every instruction on its way to sleep, and measures
 * what a wake costs.
 *
 *   wake-probe part image.elf flag    an interrupt wakes it
 *   wake-probe part image.elf clock   the clock does (BY_CLOCK)
 *
 * With `flag` nothing else interrupts, so a wake that is lost is lost for ever.  The
 * interrupt comes before the k-th instruction, for every k: on the way from the
 * task's await to sleep, and on the way from sleep, because of another interrupt,
 * to sleep.  Prints a line of what it has found, or which wakes were lost, and then
 * exits with 1.  Cycles are those that the processor is awake. */
#include <simavr/sim_interrupts.h>
#include <simavr/sim_io.h>
#include <stdio.h>

#include "../simavr.h"

enum {
    WAITS = 1,
    GOES_ON = 2,
    GPIOR1 = 0x4A,
    RETI = 0x9518,
    FLAG = 1,
    OTHER = 2, /* the vectors of INT0 and INT1 */
    LONGEST_WAKE = 4000,
    LONGEST_PATH = 4000,
    WHILE = HZ / 50
};

static avr_t *avr;
static avr_cycle_count_t
    returned; /* awake cycles when an interrupt last ended */
static unsigned lost;

static avr_cycle_count_t awake(void)
{
    return avr->cycle - asleep;
}

static void one(void)
{
    int returns = avr->state == cpu_Running &&
                  (avr->flash[avr->pc] | avr->flash[avr->pc + 1] << 8) == RETI;
    step(avr);
    if (returns) returned = awake();
}

static void interrupt(unsigned number)
{
    unsigned i;
    for (i = 0; i < avr->interrupts.vector_count; i++)
        if (avr->interrupts.vector[i]->vector == number)
            avr_raise_interrupt(avr, avr->interrupts.vector[i]);
}

static int is_asleep(void)
{
    return avr->state == cpu_Sleeping && !avr_has_pending_interrupts(avr);
}

/* Whether the task comes to that place soon. */
static int comes_to(int place)
{
    avr_cycle_count_t end = avr->cycle + WHILE;
    while (avr->data[GPIOR1] != place && avr->cycle < end) one();
    return avr->data[GPIOR1] == place;
}

static int falls_asleep(void)
{
    avr_cycle_count_t end = avr->cycle + WHILE;
    while (!is_asleep() && avr->cycle < end) one();
    return is_asleep();
}

static void note(avr_cycle_count_t cycles, unsigned *least, unsigned *most)
{
    if (cycles < *least) *least = (unsigned)cycles;
    if (cycles > *most) *most = (unsigned)cycles;
}

/* Interrupts at every instruction of a path, which begins when `again` is 0 at the
 * task's await, and else where it sleeps and is woken by what concerns nobody.
 * Returns  how many instructions it has, 0: the image is stuck */
static unsigned walk(int again, unsigned *most)
{
    unsigned k, i, least = ~0u;
    for (k = 0; k < LONGEST_PATH; k++) {
        avr_cycle_count_t before;
        unsigned at;
        int slept = 0;
        if (!comes_to(WAITS)) return 0;
        if (again) {
            if (!falls_asleep()) return 0;
            interrupt(OTHER);
            one(); /* the sleep ends */
        }
        for (i = 0; i < k && !slept; i++) {
            one();
            slept = is_asleep();
        }
        before = awake();
        at = (unsigned)avr->pc;
        interrupt(FLAG);
        if (!comes_to(GOES_ON) || awake() - before > LONGEST_WAKE) {
            printf("lost: %s, interrupt before instruction %u at 0x%x\n",
                   again ? "back to sleep" : "to sleep", k, at);
            lost++;
            interrupt(FLAG);
            if (!comes_to(GOES_ON)) return 0;
        }
        note(awake() - before, &least, most);
        if (slept) return k;
    }
    return 0;
}

/* What a wake out of sleep costs, from the interrupt's end and from its request;
 * and an interrupt that concerns nobody, until it sleeps again. */
static int measure_flag(void)
{
    unsigned slowest = 0, first, back, least = ~0u, most = 0, i;
    unsigned from_request = 0, nothing = 0;
    first = walk(0, &slowest);
    back = walk(1, &slowest);
    if (first == 0 || back == 0) {
        puts("the image is stuck");
        return 1;
    }
    for (i = 0; i < 10; i++) {
        avr_cycle_count_t before;
        unsigned any = ~0u;
        if (!comes_to(WAITS) || !falls_asleep()) return 1;
        interrupt(OTHER);
        before = awake();
        one();
        if (!falls_asleep()) return 1;
        note(awake() - before, &any, &nothing);
        before = awake();
        interrupt(FLAG);
        if (!comes_to(GOES_ON)) return 1;
        note(awake() - before, &any, &from_request);
        note(awake() - returned, &least, &most);
    }
    printf("wake=%u wake_from_request=%u wake_slowest=%u idle_interrupt=%u "
           "path=%u path_back=%u lost=%u stack=%u\n",
           most, from_request, slowest, nothing, first, back, lost,
           avr->ramend - deepest);
    return lost != 0;
}

static int measure_clock(void)
{
    unsigned least = ~0u, most = 0, i;
    for (i = 0; i < 1000; i++) {
        if (!comes_to(WAITS) || !falls_asleep() || !comes_to(GOES_ON))
            return 1;
        note(awake() - returned, &least, &most);
        if (most > LONGEST_WAKE) return 1;
    }
    printf("sleep_wake=%u sleep_wake_slowest=%u stack=%u\n", least, most,
           avr->ramend - deepest);
    return 0;
}

int main(int argc, char **argv)
{
    avr = argc == 4 ? load(argv[1], argv[2]) : NULL;
    if (avr == NULL) {
        fprintf(stderr, "usage: %s part image.elf flag|clock\n", argv[0]);
        return 125;
    }
    return strcmp(argv[3], "flag") == 0 ? measure_flag() : measure_clock();
}
