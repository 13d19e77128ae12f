/* Frames, awaits, results, the frame stack, and driving by hand. */
#define ASYNC_IMPLEMENTATION
#include "../../async.h"

#include "unit.h"

#include <stdlib.h>

/* --- helpers ------------------------------------------------------------- */

/* Counts what is allocated, and can refuse. */
typedef struct counting {
    async_allocator allocator;
    long allocations, live, refuse_at;
    size_t bytes;
} counting;

static void *counting_allocate(void *context, size_t size)
{
    counting *c = context;
    if (c->refuse_at >= 0 && c->allocations >= c->refuse_at) return NULL;
    c->allocations++;
    c->live++;
    c->bytes += size;
    return malloc(size);
}

static void counting_release(void *context, void *memory, size_t size)
{
    counting *c = context;
    c->live--;
    c->bytes -= size;
    free(memory);
}

static void counting_init(counting *c)
{
    memset(c, 0, sizeof *c);
    c->allocator.allocate = counting_allocate;
    c->allocator.release = counting_release;
    c->allocator.context = c;
    c->refuse_at = -1;
}

typedef union stack {
    void *align;
    char bytes[4096];
} stack;

/* --- arguments and results ------------------------------------------------ */

struct add { ASYNC_RETURNS(int); int a, b, zero; };
static ASYNC(add)
{
    ASYNC_BEGIN(add);
    assert_int_equal(self->zero, 0);
    ASYNC_RETURN(self->a + self->b);
    ASYNC_END;
}

struct add_later { ASYNC_RETURNS(long); int a, b; };
static ASYNC(add_later)
{
    ASYNC_BEGIN(add_later);
    ASYNC_SUSPEND;
    ASYNC_RETURN((long)self->a + self->b);
    ASYNC_END;
}

struct sums { ASYNC_RETURNS(long); int n; long later; };
static ASYNC(sums)
{
    ASYNC_BEGIN(sums);
    AWAIT_INTO(self->n, add, 1, 2);
    say("%d", self->n);
    AWAIT_INTO(self->n, add, .b = 5, .a = self->n);
    say("%d", self->n);
    AWAIT_INTO(self->later, add_later, self->n, 1);
    say("%ld", self->later);
    AWAIT(add, 1, 1); /* a result may be dropped */
    AWAIT(add_later);
    ASYNC_RETURN(self->later * 10);
    ASYNC_END;
}

static void arguments_are_positional_or_designated_and_results_typed(void **s)
{
    stack memory;
    async co;
    (void)s;
    assert_int_equal(async_init(&co, &memory, sizeof memory, CO(sums)), 0);
    assert_int_equal(async_send(&co), ASYNC_SUSPENDED);
    say("suspended");
    assert_int_equal(async_send(&co), ASYNC_SUSPENDED);
    assert_int_equal(async_send(&co), 0);
    assert_int_equal(ASYNC_RESULT(&co, sums), 90);
    assert_said("3 8 suspended 9");
}

/* A large struct is returned by value, and an over-aligned one keeps its
 * alignment. */
typedef struct wide {
    double v[9];
} wide;
struct give_wide { ASYNC_RETURNS(wide); int later; };
static ASYNC(give_wide)
{
    ASYNC_BEGIN(give_wide);
    if (self->later) ASYNC_SUSPEND;
    self->frame.result.v[8] = 8.5;
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

struct aligned {
    ASYNC_FRAME;
    int later;
    __attribute__((aligned(64))) char line[64];
};
static ASYNC(aligned)
{
    ASYNC_BEGIN(aligned);
    assert_int_equal((uintptr_t)self->line % 64, 0);
    if (self->later) ASYNC_SUSPEND;
    self->line[63] = 1;
    assert_int_equal((uintptr_t)self % 64, 0);
    ASYNC_END;
}

struct take_wide { ASYNC_FRAME; char odd; wide w; };
static ASYNC(take_wide)
{
    ASYNC_BEGIN(take_wide);
    AWAIT(aligned);
    AWAIT_INTO(self->w, give_wide);
    assert_true(self->w.v[8] == 8.5);
    AWAIT(aligned, 1);
    AWAIT_INTO(self->w, give_wide, .later = 1);
    assert_true(self->w.v[8] == 8.5);
    ASYNC_END;
}

static void wide_results_and_aligned_frames_work(void **s)
{
    stack memory;
    async co;
    (void)s;
    assert_int_equal(async_init(&co, &memory, sizeof memory, CO(take_wide)),
                     0);
    assert_int_equal(async_send(&co), ASYNC_SUSPENDED);
    assert_int_equal(async_send(&co), ASYNC_SUSPENDED);
    assert_int_equal(async_send(&co), 0);
}

/* --- awaiting objects ----------------------------------------------------- */

struct delegate { ASYNC_FRAME; async_object object; long n; int error; };
static ASYNC(delegate)
{
    ASYNC_BEGIN(delegate);
    AWAIT_CO(self->object);
    say("awaited");
    ASYNC_END;
}

struct objects { ASYNC_FRAME; long n; int error; };
static ASYNC(objects)
{
    ASYNC_BEGIN(objects);
    AWAIT(delegate, CO(add_later, 1, 2));
    AWAIT_CO_INTO(self->n, add_later, CO(add_later, 20, 1));
    say("%ld", self->n);
    ASYNC_TRY {
        AWAIT_CO_INTO(self->n, add_later, CO(add, 20, 1));
    } ASYNC_EXCEPT(ASYNC_EINVAL) {
        say("another coroutine");
    } ASYNC_END_TRY
    ASYNC_END;
}

static void an_object_can_be_passed_and_awaited(void **s)
{
    stack memory;
    async co;
    (void)s;
    assert_int_equal(async_init(&co, &memory, sizeof memory, CO(objects)), 0);
    while (async_send(&co) == ASYNC_SUSPENDED) {}
    assert_said("awaited 21 another coroutine");
}

/* --- depth ---------------------------------------------------------------- */

struct down { ASYNC_RETURNS(int); int depth, n; };
static ASYNC(down)
{
    ASYNC_BEGIN(down);
    if (self->depth == 0) {
        ASYNC_SUSPEND;
        ASYNC_SUSPEND;
        ASYNC_RETURN(0);
    }
    AWAIT_INTO(self->n, down, self->depth - 1);
    ASYNC_RETURN(self->n + 1);
    ASYNC_END;
}

static void
recursion_to_depth_10000_grows_the_stack_and_gives_it_back(void **s)
{
    counting c;
    async co;
    size_t frames = 10001 * sizeof(struct down);
    (void)s;
    counting_init(&c);
    assert_int_equal(async_new(&co, &c.allocator, CO(down, 10000)), 0);
    assert_int_equal(async_send(&co), ASYNC_SUSPENDED);
    assert_true(async_stack_used(&co) >= frames);
    assert_true(async_stack_used(&co) < frames + frames / 4);
    assert_true(c.bytes < 2 * frames);
    assert_int_equal(async_send(&co), ASYNC_SUSPENDED);
    assert_int_equal(async_send(&co), 0);
    assert_int_equal(ASYNC_RESULT(&co, down), 10000);
    assert_int_equal(c.live,
                     1); /* each chunk went when its frames had ended */
    assert_true(async_stack_high_water(&co) >= frames);
    assert_int_equal(async_close(&co), 0);
    assert_int_equal(c.live, 0);
}

struct again { ASYNC_FRAME; int i, n; };
static ASYNC(again)
{
    ASYNC_BEGIN(again);
    for (self->i = 0; self->i < 100; self->i++) AWAIT_INTO(self->n, down, 40);
    ASYNC_END;
}

static void awaiting_again_at_the_same_depth_allocates_nothing_new(void **s)
{
    counting c;
    async co;
    long before;
    int i;
    (void)s;
    counting_init(&c);
    assert_int_equal(async_new(&co, &c.allocator, CO(again)), 0);
    /* The first descent opens chunks; each later one opens those above the
     * first again, never more. */
    for (i = 0; i < 4; i++) async_send(&co);
    before = c.live;
    while (async_send(&co) == ASYNC_SUSPENDED) assert_true(c.live <= before);
    assert_int_equal(async_close(&co), 0);
    assert_int_equal(c.live, 0);
}

static void a_full_static_stack_raises_enomem_at_the_await(void **s)
{
    stack memory;
    async co;
    size_t fits = 3 * sizeof(struct down);
    (void)s;
    assert_int_equal(async_init(&co, &memory, fits, CO(down, 2)), 0);
    assert_int_equal(async_send(&co), ASYNC_SUSPENDED);
    assert_int_equal(async_close(&co), 0);
    assert_int_equal(async_init(&co, &memory, fits, CO(down, 3)), 0);
    assert_int_equal(async_send(&co), ASYNC_ENOMEM);
    assert_int_equal(
        async_init(&co, &memory, sizeof(struct down) - 1, CO(down)),
        ASYNC_ENOMEM);
    assert_int_equal(async_send(&co), ASYNC_EREUSED);
}

static void each_failing_allocation_is_enomem_and_leaks_nothing(void **s)
{
    long at;
    (void)s;
    for (at = 0;; at++) {
        counting c;
        async co;
        int result;
        counting_init(&c);
        c.refuse_at = at;
        result = async_new(&co, &c.allocator, CO(down, 200));
        if (result == 0) {
            do result = async_send(&co);
            while (result == ASYNC_SUSPENDED);
            assert_int_equal(async_close(&co), 0);
        }
        assert_int_equal(c.live, 0);
        if (result == 0) break;
        assert_int_equal(result, ASYNC_ENOMEM);
    }
    assert_true(at > 4);
}

static void the_high_water_mark_is_exact(void **s)
{
    stack memory;
    async co;
    (void)s;
    async_init(&co, &memory, sizeof memory, CO(down, 5));
    assert_int_equal(async_stack_high_water(&co), sizeof(struct down));
    async_send(&co);
    assert_int_equal(async_stack_used(&co), 6 * sizeof(struct down));
    async_send(&co);
    async_send(&co);
    assert_int_equal(async_stack_high_water(&co), 6 * sizeof(struct down));
    /* and is what the coroutine needs */
    async_init(&co, &memory, 6 * sizeof(struct down), CO(down, 5));
    while (async_send(&co) == ASYNC_SUSPENDED) {}
    assert_int_equal(ASYNC_RESULT(&co, down), 5);
}

/* What it gives is padded with what nobody has set. */
struct answer { const char *text, *end; int length; };
__attribute__((noinline)) static struct answer find(const char *text)
{
    struct answer found;
    found.text = text;
    found.length = (int)strlen(text);
    found.end = text + found.length;
    return found;
}

struct finds { ASYNC_RETURNS(int); const char *text; struct answer found; };
static ASYNC(finds)
{
    ASYNC_BEGIN(finds);
    self->found = find(self->text);
    ASYNC_SUSPEND;
    ASYNC_RETURN(self->found.length);
    ASYNC_END;
}

/* As valgrind would tell. */
static void the_high_water_mark_does_not_rest_on_what_pads_a_frame(void **s)
{
    stack memory;
    async co;
    (void)s;
    async_init(&co, &memory, sizeof memory, CO(finds, "word"));
    async_send(&co);
    assert_int_equal(async_stack_high_water(&co), sizeof(struct finds));
    async_send(&co);
    assert_int_equal(ASYNC_RESULT(&co, finds), 4);
}

/* --- driving by hand ------------------------------------------------------ */

struct steps { ASYNC_FRAME; int ignore; };
static ASYNC(steps)
{
    ASYNC_BEGIN(steps);
    ASYNC_TRY {
        say("one");
        ASYNC_SUSPEND;
        say("two");
        ASYNC_SUSPEND;
        say("three");
    } ASYNC_EXCEPT(ASYNC_EBUSY) {
        say("busy");
        ASYNC_SUSPEND;
    } ASYNC_FINALLY {
        say("finally");
        if (self->ignore) ASYNC_SUSPEND;
    } ASYNC_END_TRY
    ASYNC_END;
}

static void send_runs_to_the_next_suspension(void **s)
{
    stack memory;
    async co;
    (void)s;
    async_init(&co, &memory, sizeof memory, CO(steps));
    assert_said("");
    assert_int_equal(async_send(&co), ASYNC_SUSPENDED);
    assert_said("one");
    assert_int_equal(async_send(&co), ASYNC_SUSPENDED);
    assert_said("two");
    assert_int_equal(async_send(&co), 0);
    assert_said("three finally");
    assert_int_equal(async_send(&co), ASYNC_EREUSED);
    assert_int_equal(async_throw(&co, ASYNC_EBUSY), ASYNC_EREUSED);
}

static void throw_raises_where_it_stands_and_may_be_caught(void **s)
{
    stack memory;
    async co;
    (void)s;
    async_init(&co, &memory, sizeof memory, CO(steps));
    async_send(&co);
    assert_int_equal(async_throw(&co, ASYNC_EBUSY), ASYNC_SUSPENDED);
    assert_said("one busy");
    assert_int_equal(async_throw(&co, ASYNC_EINVAL), ASYNC_EINVAL);
    assert_said("finally");
}

static void throw_into_an_unstarted_one_never_runs_its_body(void **s)
{
    stack memory;
    async co;
    (void)s;
    async_init(&co, &memory, sizeof memory, CO(steps));
    assert_int_equal(async_throw(&co, ASYNC_EBUSY), ASYNC_EBUSY);
    assert_said("");
    assert_int_equal(async_send(&co), ASYNC_EREUSED);
}

static void close_runs_finally_and_may_be_repeated(void **s)
{
    counting c;
    async co;
    (void)s;
    counting_init(&c);
    async_new(&co, &c.allocator, CO(steps));
    async_send(&co);
    assert_int_equal(async_close(&co), 0);
    assert_said("one finally");
    assert_int_equal(async_close(&co), 0);
    assert_int_equal(c.live, 0);
    async_new(&co, &c.allocator, CO(steps)); /* not started: nothing runs */
    assert_int_equal(async_close(&co), 0);
    assert_said("");
    assert_int_equal(c.live, 0);
}

static void
one_that_suspends_in_close_is_reported_and_its_memory_freed(void **s)
{
    counting c;
    async co;
    (void)s;
    counting_init(&c);
    async_new(&co, &c.allocator, CO(steps, .ignore = 1));
    async_send(&co);
    assert_int_equal(async_close(&co), ASYNC_EIGNOREDEXIT);
    assert_int_equal(c.live, 0);
}

/* --- introspection -------------------------------------------------------- */

static void the_chain_of_awaits_names_file_and_line(void **s)
{
    counting c;
    async co;
    const async_frame *frame;
    int frames = 0;
    (void)s;
    counting_init(&c);
    async_new(&co, &c.allocator, CO(down, 50));
    assert_null(async_frame_innermost(&co));
    async_send(&co);
    frame = async_frame_innermost(&co);
    assert_string_equal(async_frame_name(frame), "down");
    assert_non_null(strstr(async_frame_file(frame), "coroutine.c"));
    for (; frame != NULL; frame = async_frame_caller(frame)) {
        assert_true(async_frame_line(frame) > 0);
        frames++;
    }
    assert_int_equal(frames, 51);
    async_close(&co);
}

UNIT_MAIN(TEST(arguments_are_positional_or_designated_and_results_typed),
          TEST(wide_results_and_aligned_frames_work),
          TEST(an_object_can_be_passed_and_awaited),
          TEST(recursion_to_depth_10000_grows_the_stack_and_gives_it_back),
          TEST(awaiting_again_at_the_same_depth_allocates_nothing_new),
          TEST(a_full_static_stack_raises_enomem_at_the_await),
          TEST(each_failing_allocation_is_enomem_and_leaks_nothing),
          TEST(the_high_water_mark_is_exact),
          TEST(the_high_water_mark_does_not_rest_on_what_pads_a_frame),
          TEST(send_runs_to_the_next_suspension),
          TEST(throw_raises_where_it_stands_and_may_be_caught),
          TEST(throw_into_an_unstarted_one_never_runs_its_body),
          TEST(close_runs_finally_and_may_be_repeated),
          TEST(one_that_suspends_in_close_is_reported_and_its_memory_freed),
          TEST(the_chain_of_awaits_names_file_and_line))
