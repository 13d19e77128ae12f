/* micro.c - the floor: function pointers in an intrusive queue, no coroutines
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * What a switch, a spawn and so on cost when somebody writes the state machine
 * by hand, and the scheduler is a list.  Nothing can be cancelled, fail or be
 * looked at.  Timers are an array heap, or for many that are cancelled a wheel.
 */
#include "../bench.h"

#include <pthread.h>

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

/* --- timers -------------------------------------------------------------- */

/* A binary heap of deadlines in an array. */
struct entry { double deadline; struct thing *thing; };
static struct entry *heap;
static long heap_count;

static void heap_push(double deadline, struct thing *thing)
{
    long i = heap_count++, parent;
    for (; i > 0 && heap[parent = (i - 1) / 2].deadline > deadline; i = parent)
        heap[i] = heap[parent];
    heap[i].deadline = deadline;
    heap[i].thing = thing;
}

static struct thing *heap_pop(void)
{
    struct thing *first = heap[0].thing;
    struct entry last = heap[--heap_count];
    long i = 0, child;
    for (; (child = 2 * i + 1) < heap_count; i = child) {
        if (child + 1 < heap_count &&
            heap[child + 1].deadline < heap[child].deadline)
            child++;
        if (heap[child].deadline >= last.deadline) break;
        heap[i] = heap[child];
    }
    heap[i] = last;
    return first;
}

static void timer_ended(struct thing *thing)
{
    (void)thing;
    asleep--;
}

static void sleep_until(double deadline)
{
    double left = deadline - bench_wall();
    struct timespec pause;
    if (left <= 0) return;
    pause.tv_sec = (time_t)(left / 1e9);
    pause.tv_nsec = (long)(left - (double)pause.tv_sec * 1e9);
    nanosleep(&pause, NULL);
}

static void bench_timers(void)
{
    struct thing *things = allocate((size_t)bench_job.n * sizeof *things);
    double now;
    long i;
    heap = allocate((size_t)bench_job.n * sizeof *heap);
    bench_begin();
    for (i = 0; i < bench_job.n; i++) {
        things[i].run = timer_ended;
        /* In whole milliseconds, as loops count them: it wakes that often. */
        heap_push(
            (double)(long long)(bench_wall() / 1e6 + bench_milliseconds()) *
                1e6,
            &things[i]);
        asleep++;
    }
    while (heap_count > 0) {
        sleep_until(heap[0].deadline);
        now = bench_wall();
        while (heap_count > 0 && heap[0].deadline <= now) {
            struct thing *due = heap_pop();
            due->run(due);
        }
    }
    bench_end(bench_job.n, asleep, 0);
    free(heap);
    free(things);
}

static void bench_timeout(void)
{
    struct thing none = { { NULL }, timer_ended };
    long i, sum = 0;
    heap = allocate(64 * sizeof *heap);
    bench_begin();
    for (i = 0; i < bench_job.n; i++) {
        heap_push(bench_wall() + 10e9, &none);
        sum += call(i);
        heap_pop();
    }
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
    free(heap);
}

/* A wheel: 4096 lists, one for each millisecond.  Nothing looks for the next
 * deadline, so it is less than any loop must do. */
struct spoke { struct spoke *before, *after; double deadline; };

static void bench_bulk(void)
{
    struct spoke *spokes = allocate(4096 * sizeof *spokes), *spoke;
    struct spoke *armed = bench_memory((size_t)bench_job.n * sizeof *armed);
    long i, milliseconds;
    for (i = 0; i < 4096; i++) spokes[i].before = spokes[i].after = &spokes[i];
    bench_begin();
    for (i = 0; i < bench_job.n; i++) {
        milliseconds = 10000 + (long)bench_milliseconds();
        spoke = &spokes[milliseconds % 4096];
        armed[i].deadline = (double)milliseconds * 1e6;
        armed[i].after = spoke;
        armed[i].before = spoke->before;
        spoke->before->after = &armed[i];
        spoke->before = &armed[i];
    }
    for (i = 0; i < bench_job.n; i++) {
        armed[i].after->before = armed[i].before;
        armed[i].before->after = armed[i].after;
    }
    for (i = 0; i < 4096; i++) asleep += spokes[i].after != &spokes[i];
    bench_end(bench_job.n, asleep, 0);
    free(armed);
    free(spokes);
}

/* --- queues -------------------------------------------------------------- */

/* A ring; who finds it full or empty stays out of the ready queue until the
 * other side puts it back. */
struct ring {
    long items[64], in, out;
    struct thing *putter, *getter; /* who waits */
};

static void wake(struct thing **waiting)
{
    if (*waiting == NULL) return;
    bench_push(&(*waiting)->node);
    *waiting = NULL;
}
static int put(struct ring *ring, long item, struct thing *putter)
{
    if (ring->in - ring->out == bench_job.capacity) {
        ring->putter = putter;
        return 0;
    }
    ring->items[ring->in++ % 64] = item;
    wake(&ring->getter);
    return 1;
}
static int get(struct ring *ring, long *item, struct thing *getter)
{
    if (ring->in == ring->out) {
        ring->getter = getter;
        return 0;
    }
    *item = ring->items[ring->out++ % 64];
    wake(&ring->putter);
    return 1;
}

struct side {
    struct thing thing;
    struct ring *in, *out;
    long i, n, sum;
    int got;
};

static void producer(struct thing *thing)
{
    struct side *self = (struct side *)(void *)thing;
    while (self->i < self->n && put(self->out, self->i, thing)) self->i++;
}
static void consumer(struct thing *thing)
{
    struct side *self = (struct side *)(void *)thing;
    long item;
    while (self->i < self->n && get(self->in, &item, thing)) {
        self->i++;
        self->sum += item;
    }
}
/* Puts one, then takes one. */
static void pinger(struct thing *thing)
{
    struct side *self = (struct side *)(void *)thing;
    long item;
    while (self->i < self->n) {
        if (!self->got && !put(self->out, self->i, thing)) return;
        self->got = 1;
        if (!get(self->in, &item, thing)) return;
        self->got = 0;
        self->i++;
        self->sum += item;
    }
}
/* Takes one, then puts it. */
static void ponger(struct thing *thing)
{
    struct side *self = (struct side *)(void *)thing;
    while (self->i < self->n) {
        if (!self->got && !get(self->in, &self->sum, thing)) return;
        self->got = 1;
        if (!put(self->out, self->sum, thing)) return;
        self->got = 0;
        self->i++;
    }
}

static void run_sides(void (*first)(struct thing *thing),
                      void (*second)(struct thing *thing), long n)
{
    static struct ring there, back;
    static struct side a, b;
    a.thing.run = first;
    b.thing.run = second;
    a.out = b.in = &there;
    a.in = b.out = &back;
    a.n = b.n = n;
    bench_push(&a.thing.node);
    bench_push(&b.thing.node);
    bench_begin();
    run();
    bench_end(bench_job.n, second == consumer ? b.sum : a.sum,
              bench_sum_to(n));
}

static void bench_queue(void)
{
    run_sides(producer, consumer, bench_job.n);
}
static void bench_pingpong(void)
{
    bench_job.capacity = 1;
    bench_job.n -= bench_job.n % 2;
    run_sides(pinger, ponger, bench_job.n / 2);
}

/* --- gather -------------------------------------------------------------- */

struct gathered { struct thing thing; long argument, *left; int result; };

static BENCH_NOINLINE void gathered(struct thing *thing)
{
    struct gathered *self = (struct gathered *)(void *)thing;
    self->result = bench_value(self->argument);
    --*self->left;
}

static void bench_gather(void)
{
    struct gathered **all = allocate(BENCH_MANY * sizeof(struct gathered *));
    long rounds = bench_job.n / BENCH_MANY, i, round, left, sum = 0;
    bench_begin();
    for (round = 0; round < rounds; round++) {
        left = BENCH_MANY;
        for (i = 0; i < BENCH_MANY; i++) {
            all[i] = allocate(sizeof *all[i]);
            all[i]->thing.run = gathered;
            all[i]->argument = i;
            all[i]->left = &left;
            bench_push(&all[i]->thing.node);
        }
        run();
        for (i = 0; i < BENCH_MANY; i++) {
            sum += all[i]->result;
            free(all[i]);
        }
        sum += left;
    }
    bench_end(rounds * BENCH_MANY, sum, rounds * bench_sum(BENCH_MANY));
    free(all);
}

/* --- another thread ------------------------------------------------------ */

/* Functions that another thread hands over; it waits for each. */
struct posted { struct posted *next; long argument; int result, done; };
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t changed, done;
    struct posted *first, **last;
    long left;
} post = { PTHREAD_MUTEX_INITIALIZER,
           PTHREAD_COND_INITIALIZER,
           PTHREAD_COND_INITIALIZER,
           NULL,
           &post.first,
           0 };

static void *poster(void *argument)
{
    struct posted *batch = allocate(BENCH_BATCH * sizeof *batch);
    long i, j, *sum = argument;
    for (i = 0; i < bench_job.n; i += BENCH_BATCH) {
        for (j = 0; j < BENCH_BATCH; j++) {
            batch[j].next = NULL;
            batch[j].argument = i + j;
            batch[j].done = 0;
            pthread_mutex_lock(&post.mutex);
            *post.last = &batch[j];
            post.last = &batch[j].next;
            pthread_cond_signal(&post.changed);
            pthread_mutex_unlock(&post.mutex);
        }
        for (j = 0; j < BENCH_BATCH; j++) {
            pthread_mutex_lock(&post.mutex);
            while (!batch[j].done) pthread_cond_wait(&post.done, &post.mutex);
            pthread_mutex_unlock(&post.mutex);
            *sum += batch[j].result;
        }
    }
    free(batch);
    return NULL;
}

static void bench_threads(void)
{
    pthread_t thread;
    struct posted *next;
    long sum = 0;
    bench_job.n -= bench_job.n % BENCH_BATCH;
    bench_begin();
    if (pthread_create(&thread, NULL, poster, &sum) != 0) exit(1);
    for (post.left = bench_job.n; post.left > 0; post.left--) {
        pthread_mutex_lock(&post.mutex);
        while (post.first == NULL)
            pthread_cond_wait(&post.changed, &post.mutex);
        next = post.first;
        post.first = next->next;
        if (post.first == NULL) post.last = &post.first;
        pthread_mutex_unlock(&post.mutex);
        next->result = bench_value(next->argument);
        pthread_mutex_lock(&post.mutex);
        next->done = 1;
        pthread_cond_signal(&post.done);
        pthread_mutex_unlock(&post.mutex);
    }
    pthread_join(thread, NULL);
    bench_end(bench_job.n, sum, bench_sum(bench_job.n));
}

/* --- cores --------------------------------------------------------------- */

/* Threads that have nothing in common: what the machine gives. */
static void *core(void *argument)
{
    long i, *sum = argument, own = 0;
    for (i = 0; i < bench_job.n; i++) own += call(i);
    *sum = own;
    return NULL;
}

static void bench_cores(void)
{
    long count = bench_is("cores2") ? 2 : 1, i, sums[2] = { 0, 0 };
    double started = bench_wall();
    pthread_t threads[2];
    for (i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, core, &sums[i]) != 0) exit(1);
    for (i = 0; i < count; i++) pthread_join(threads[i], NULL);
    bench_print(bench_wall() - started, count * bench_job.n, sums[0] + sums[1],
                count * bench_sum(bench_job.n));
}

int main(int argc, char **argv)
{
    bench_arguments(argc, argv);
    if (bench_is("switch")) bench_switch();
    if (bench_is("depth")) bench_depth();
    if (bench_is("spawn")) bench_spawn();
    if (bench_is("call")) bench_call();
    if (bench_is("sleep")) bench_sleep();
    if (bench_is("timers")) bench_timers();
    if (bench_is("queue")) bench_queue();
    if (bench_is("pingpong")) bench_pingpong();
    if (bench_is("gather")) bench_gather();
    if (bench_is("timeout")) bench_timeout();
    if (bench_is("bulk")) bench_bulk();
    if (bench_is("threads")) bench_threads();
    if (bench_is("cores")) bench_cores();
    return 0;
}
