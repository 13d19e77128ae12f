/* bench.h - what the programs in C and C++ have in common
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * The clock, what a program is asked and the line that it prints, and the queue
 * that floor/ and cpp20/ share, so that they differ in nothing but what stands
 * in it.  Goes before all other headers.
 */
#ifndef CAESURA_BENCH_H
#define CAESURA_BENCH_H

/* clock_gettime() is POSIX, which strict C99 hides. */
#if !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A child is not inlined into its parent, in C as in C++: in programs they
 * mostly lie in different files. */
#define BENCH_NOINLINE __attribute__((noinline))

enum {
    BENCH_MANY = 10000, /* the tasks of switch10k, the children of a gather */
    BENCH_BATCH = 1000  /* what another thread starts before it waits */
};

/* --- the queue ----------------------------------------------------------- */

struct bench_node { struct bench_node *next; };
static struct {
    struct bench_node *first;
    struct bench_node **last; /* where the next one goes */
} bench_ready = { NULL, &bench_ready.first };

static inline void bench_push(struct bench_node *node)
{
    node->next = NULL;
    *bench_ready.last = node;
    bench_ready.last = &node->next;
}
static inline struct bench_node *bench_pop(void)
{
    struct bench_node *node = bench_ready.first;
    if (node == NULL) return NULL;
    bench_ready.first = node->next;
    if (bench_ready.first == NULL) bench_ready.last = &bench_ready.first;
    return node;
}

/* --- time and memory ----------------------------------------------------- */

/* Nanoseconds of this process: what others do meanwhile does not count. */
static inline double bench_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Nanoseconds on the wall, for what runs on more than one processor. */
static inline double bench_wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* 0 to 1000 milliseconds, in the same order in every program. */
static inline unsigned bench_milliseconds(void)
{
    static unsigned state = 12345;
    state = state * 1664525u + 1013904223u;
    return ((state & 0xffffffffu) >> 8) % 1001;
}

/* Zeroed memory whose pages have all been written to: to get them from the system
 * is not what is measured. */
static inline void *bench_memory(size_t size)
{
    volatile char *memory = (volatile char *)calloc(size, 1);
    size_t i;
    if (memory == NULL) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    for (i = 0; i < size; i += 4096) memory[i] = 0;
    return (void *)memory;
}

/* Resident bytes, or 0 where there is no /proc. */
static inline long bench_resident(void)
{
    char line[128];
    long kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    if (status == NULL) return 0;
    while (fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "VmRSS: %ld", &kilobytes) == 1) break;
    fclose(status);
    return kilobytes * 1024;
}

/* --- what a program is asked, and prints --------------------------------- */

struct bench_job {
    const char *name; /* as it was asked for */
    long n;           /* operations */
    long many;        /* tasks, of those that switch */
    int depth;        /* of awaits */
    long capacity;    /* of the queue */
    double started;
    long resident, asked; /* sleep: bytes before */
};
static struct bench_job bench_job;

static inline int bench_is(const char *kind)
{
    return strncmp(bench_job.name, kind, strlen(kind)) == 0;
}

/* The number at the end of a workload's name, as in switch10k. */
static inline long bench_size(const char *name)
{
    char *end;
    long size = strtol(name + strcspn(name, "0123456789"), &end, 10);
    if (*end == 'k') return size * 1000;
    return *end == 'm' ? size * 1000000 : size;
}

/* PROGRAM WORKLOAD N.  Fills in bench_job.  switch and depth may have any number
 * behind them. */
static inline void bench_arguments(int argc, char **argv)
{
    static const char *const names[] = {
        "switch1", "switch10k", "depth1", "depth10", "depth100", "spawn",
        "call",    "sleep",     "timers", "queue1",  "queue64",  "pingpong",
        "gather",  "timeout",   "bulk",   "threads", "cores1",   "cores2"
    };
    size_t i, count = sizeof names / sizeof *names;
    if (argc == 3) {
        bench_job.name = argv[1];
        bench_job.n = strtol(argv[2], NULL, 10);
        bench_job.many = bench_is("switch") ? bench_size(argv[1]) : 1;
        if (bench_is("depth")) bench_job.depth = (int)bench_size(argv[1]);
        if (bench_is("queue")) bench_job.capacity = bench_size(argv[1]);
        if ((bench_is("switch") || bench_is("depth")) &&
            bench_size(argv[1]) > 0 && bench_job.n >= bench_job.many)
            return;
        for (i = 0; i < count; i++)
            if (strcmp(argv[1], names[i]) == 0 && bench_job.n > 0) return;
    }
    fprintf(stderr, "usage: %s WORKLOAD N, where WORKLOAD is one of", argv[0]);
    for (i = 0; i < count; i++) fprintf(stderr, " %s", names[i]);
    fprintf(stderr, "\n");
    exit(2);
}

/* What a program has no means for, it does not do: the runner leaves it out. */
static inline void bench_missing(void)
{
    fprintf(stderr, "%s is not something that is done here\n", bench_job.name);
    exit(3);
}

static inline void bench_begin(void)
{
    bench_job.started = bench_clock();
}

/* Prints the result, having looked whether the work was done at all. */
static inline void bench_print(double passed, long operations, long sum,
                               long expected)
{
    if (sum != expected) {
        fprintf(stderr, "%s: the sum is %ld, and should be %ld\n",
                bench_job.name, sum, expected);
        exit(1);
    }
    printf("%s %.4f %ld\n", bench_job.name, passed / (double)operations,
           operations);
}
static inline void bench_end(long operations, long sum, long expected)
{
    bench_print(bench_clock() - bench_job.started, operations, sum, expected);
}

/* The same for bytes: resident, tasks, asked from the allocator.  `asked` is
 * what has been asked for in all; negative: not known. */
static inline void bench_sleep_begin(long asked)
{
    (void)bench_resident(); /* stdio's own memory is not the tasks' */
    bench_job.resident = bench_resident();
    bench_job.asked = asked;
}
static inline void bench_sleep_end(long tasks, long asleep, long asked)
{
    double resident = (double)(bench_resident() - bench_job.resident);
    if (asleep != tasks) {
        fprintf(stderr, "%ld of %ld tasks sleep\n", asleep, tasks);
        exit(1);
    }
    printf("%s %.1f %ld", bench_job.name, resident / (double)tasks, tasks);
    if (asked < 0)
        printf(" -\n");
    else
        printf(" %.1f\n", (double)(asked - bench_job.asked) / (double)tasks);
}

/* What children return, and what n of them come to in all: too irregular for
 * a compiler to do without them. */
static inline int bench_value(long i)
{
    return (int)(i & 1023);
}
static inline long bench_sum(long n)
{
    long i, sum = 0;
    for (i = 0; i < n % 1024; i++) sum += i;
    return sum + n / 1024 * (1023L * 1024 / 2);
}

/* 0 + 1 + ... + (n - 1): the items that pass through a queue. */
static inline long bench_sum_to(long n)
{
    return n % 2 ? n * ((n - 1) / 2) : n / 2 * (n - 1);
}

#endif /* CAESURA_BENCH_H */
