/* fifo.c - the floor: function pointers in an intrusive queue, no coroutines
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * What a switch, a spawn and so on cost when somebody writes the state machine
 * by hand, and the scheduler is a list.  Nothing can be cancelled, fail or be
 * looked at.
 */
#include "bench.h"

/* What stands in the queue: its function is called with it. */
struct thing { struct bench_node node; void (*run)(struct thing *thing); };

static void run(void)
{
    struct bench_node *next;
    while ((next = bench_pop()) != NULL) {
        struct thing *thing = (struct thing *)(void *)next;
        thing->run(thing);
    }
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL) {
        fprintf(stderr, "no memory\n");
        exit(1);
    }
    return memory;
}

/* --- switch and depth ---------------------------------------------------- */

/* Level 0 switches; when it is through, the levels above end one by one. */
struct looper { struct thing thing; struct looper *parent; long i, n, *sum; };

static void looper_ended(struct thing *thing)
{
    struct looper *self = (struct looper *)(void *)thing;
    *self->sum += self->i;
    if (self->parent != NULL) self->parent->thing.run(&self->parent->thing);
}

static void looper(struct thing *thing)
{
    struct looper *self = (struct looper *)(void *)thing;
    if (self->i < self->n) {
        self->i++;
        bench_push(&self->thing.node);
        return;
    }
    looper_ended(thing);
}

static void bench_switch(void)
{
    long each = bench_job.n / bench_job.many, i, sum = 0;
    struct looper *loopers =
        allocate((size_t)bench_job.many * sizeof *loopers);
    for (i = 0; i < bench_job.many; i++) {
        loopers[i].thing.run = looper;
        loopers[i].parent = NULL;
        loopers[i].i = 0;
        loopers[i].n = each;
        loopers[i].sum = &sum;
        bench_push(&loopers[i].thing.node);
    }
    bench_begin();
    run();
    bench_end(each * bench_job.many, sum, each * bench_job.many);
    free(loopers);
}

static void bench_depth(void)
{
    long sum = 0;
    int i, levels = bench_job.depth + 1;
    struct looper *loopers = allocate((size_t)levels * sizeof *loopers);
    for (i = 0; i < levels; i++) {
        loopers[i].thing.run = i == 0 ? looper : looper_ended;
        loopers[i].parent = i + 1 < levels ? &loopers[i + 1] : NULL;
        loopers[i].i = 0;
        loopers[i].n = bench_job.n;
        loopers[i].sum = &sum;
    }
    bench_push(&loopers[0].thing.node);
    bench_begin();
    run();
    bench_end(bench_job.n, sum, bench_job.n);
    free(loopers);
}

/* --- spawn and join ------------------------------------------------------ */

struct child {
    struct thing thing;
    struct child *next_free;
    struct thing *joiner;
    long argument;
    int result;
};
static struct child *free_children;

static BENCH_NOINLINE void child(struct thing *thing)
{
    struct child *self = (struct child *)(void *)thing;
    self->result = bench_value(self->argument);
    bench_push(&self->joiner->node);
}

struct spawner { struct thing thing; struct child *child; long i, n, sum; };

static void spawner(struct thing *thing)
{
    struct spawner *self = (struct spawner *)(void *)thing;
    struct child *made = self->child;
    if (made != NULL) {
        self->sum += made->result;
        made->next_free = free_children;
        free_children = made;
        self->child = NULL;
    }
    if (self->i == self->n) return;
    made = free_children;
    if (made != NULL)
        free_children = made->next_free;
    else
        made = allocate(sizeof *made);
    made->thing.run = child;
    made->joiner = &self->thing;
    made->argument = self->i++;
    self->child = made;
    bench_push(&made->thing.node);
}

static void bench_spawn(void)
{
    struct spawner self = { { { NULL }, spawner }, NULL, 0, 0, 0 };
    self.n = bench_job.n;
    bench_push(&self.thing.node);
    bench_begin();
    run();
    bench_end(self.n, self.sum, bench_sum(self.n));
    while (free_children != NULL) {
        struct child *next = free_children->next_free;
        free(free_children);
        free_children = next;
    }
}

/* --- call ---------------------------------------------------------------- */

static BENCH_NOINLINE int called(long argument)
{
    return bench_value(argument);
}
/* The pointer is read at every call, and so not known when compiling. */
static int (*volatile call)(long argument) = called;

static void bench_call(void)
{
    long i, sum = 0;
    bench_begin();
    for (i = 0; i < bench_job.n; i++) sum += call(i);
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
}

/* --- sleep --------------------------------------------------------------- */

/* Timers in a list that is sorted by deadline, and searched from its end:
 * here each goes to the end. */
struct sleeper {
    struct thing thing;
    struct sleeper *before, *after;
    double deadline;
    long slept;
};
static struct sleeper timers = { { { NULL }, NULL }, &timers, &timers, 0, 0 };
static long asleep, asked;

static void sleeper(struct thing *thing)
{
    struct sleeper *self = (struct sleeper *)(void *)thing, *before;
    if (self->slept++) return;
    self->deadline = bench_clock() + 3600e9;
    before = timers.before;
    while (before != &timers && before->deadline > self->deadline)
        before = before->before;
    self->before = before;
    self->after = before->after;
    before->after->before = self;
    before->after = self;
    asleep++;
}

static void bench_sleep(void)
{
    long i;
    bench_sleep_begin(0);
    for (i = 0; i < bench_job.n; i++) {
        struct sleeper *self = allocate(sizeof *self);
        asked += (long)sizeof *self;
        self->thing.run = sleeper;
        self->slept = 0;
        bench_push(&self->thing.node);
    }
    run();
    bench_sleep_end(bench_job.n, asleep, asked);
    while (timers.after != &timers) {
        struct sleeper *next = timers.after->after;
        free(timers.after);
        timers.after = next;
    }
}

int main(int argc, char **argv)
{
    bench_arguments(argc, argv);
    if (bench_is("switch")) bench_switch();
    if (bench_is("depth")) bench_depth();
    if (bench_is("spawn")) bench_spawn();
    if (bench_is("call")) bench_call();
    if (bench_is("sleep")) bench_sleep();
    return 0;
}
