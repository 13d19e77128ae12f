/* Runs programs on Caesura, on virtual time, and prints what happens.
 *
 *     interpret <programs >traces      as interpret.py does on asyncio
 *     interpret -l <programs           the same on a loop that polls seldom
 *     interpret -m <programs           each again and again, the first
 *                                      allocation failing, the second, and so
 *                                      on; then that and all behind it; prints
 *                                      only what goes wrong
 *
 * README.md says what the statements mean. */
#include "program.h"

/* What both interpreters stop at, so that every program ends. */
enum { FUEL = 400, TASKS = 40, TABLE = 32, OPERANDS = 8, FUTURES = 6 };

enum { GO_ON, BREAK, CONTINUE, RETURN };
/* In a loop of its own: leaves it as the statements inside it want. */
#define LEAVE(flow)                                                           \
    if ((flow) == BREAK) break;                                               \
    if ((flow) == CONTINUE) continue;                                         \
    if ((flow) == RETURN) ASYNC_RETURN(flow)

/* A call of a function: its task's number, and what it remembers. */
typedef struct scope {
    int index; /* or: */
    int value, result, caught;
} scope;
enum { CALLBACK = -1, MAIN = -2 };

/* A task of a program: a function, and the number that it has by now. */
struct run_task { ASYNC_RETURNS(int); int function, index, error; };
ASYNC(run_task);
enum { NO_NUMBER = -1 };

typedef ASYNC_TASK_OF(run_task) handle_of_task;
typedef ASYNC_FUTURE(int) int_future;
typedef ASYNC_QUEUE(int, 1) queue_of_one;
typedef ASYNC_HEAP_QUEUE(int) queue_without_limit;
typedef ASYNC_QUEUE(int, 2) queue_of_two;
typedef ASYNC_QUEUE(int, 6) queue_of_six;

/* All that a program can name. */
static struct {
    const node *functions[16];
    int fuel, making, eager;
    handle_of_task tasks[TASKS + 1];
    int_future futures[FUTURES];
    async_lock locks[2];
    async_condition conditions[2];
    async_event events[2];
    async_semaphore semaphores[2];
    async_bounded_semaphore bounded;
    async_barrier barriers[2];
    queue_of_one fifo;
    queue_without_limit endless;
    queue_of_two lifo;
    queue_of_six priority;
    struct {
        async_gathering gathering;
        async_future *outer;
        int least;
    } gathers[TABLE];
    async_task_group groups[TABLE];
    async_timeout timeouts[TABLE];
    struct {
        async_handle handle;
        int anonymous; /* the loop's own: it cannot be cancelled */
    } handles[TABLE];
    struct {
        async_done_callback node;
        async_future *future;
    } callbacks[TABLE];
    int variables[2];
    int n_tasks, n_gathers, n_groups, n_timeouts, n_handles, n_callbacks;
    int unseen_tasks[TASKS + 1], unseen_futures[FUTURES];
    int unseen_gathers[TABLE];
    int shut_down[TASKS + 1]; /* errors that async_run_on() reports */
} world;

/* --- loops: that of async/test/virtual.h, or one that is as lazy as real ones
 *
 * The first polls in every iteration.  One on the system's clock does not: it
 * runs many iterations between two polls, and what is alone in the world runs on
 * without passing through the queue.  None of that may be seen. */

static async_virtual_loop polling;
static struct {
    async_loop base;
    async_time time;
} lazy;
static async_loop *the_loop = &polling.base;

static async_time lazy_now(async_loop *loop)
{
    (void)loop;
    return lazy.time;
}
static int lazy_poll(async_loop *loop, async_time deadline)
{
    (void)loop;
    if (deadline == ASYNC_FOREVER) return ASYNC_EDEADLOCK;
    if (deadline > lazy.time) lazy.time = deadline;
    return 0;
}
static void lazy_nothing(async_loop *loop)
{
    (void)loop;
}
static const async_backend lazy_backend = { lazy_now, lazy_poll, lazy_nothing,
                                            lazy_nothing, NULL };

static void advance(async_duration duration)
{
    if (the_loop == &lazy.base)
        lazy.time += duration;
    else
        async_virtual_loop_advance(&polling, duration);
}

/* --- memory: counted, and failing where it is told to --------------------- */

static struct {
    int allocations;
    int failing;  /* the number of the first that fails; 0: none does */
    int for_good; /* and so do all behind it */
    int over;     /* but by now there is enough */
    long blocks;
} memory;

static void *take(void *context, size_t size)
{
    void *block;
    (void)context;
    memory.allocations++;
    if (memory.failing && !memory.over &&
        (memory.allocations == memory.failing ||
         (memory.for_good && memory.allocations > memory.failing)))
        return NULL;
    block = malloc(size);
    if (block != NULL) memory.blocks++;
    return block;
}
static void give(void *context, void *block, size_t size)
{
    (void)context, (void)size;
    memory.blocks--;
    free(block);
}
static const async_allocator counted = { take, give, NULL };

/* --- the trace ------------------------------------------------------------ */

static int silent;    /* nothing more is to be said */
static long over;     /* when it was over; 0 before */
static long problems; /* what must not be, whatever asyncio does */

__attribute__((format(printf, 2, 3))) static void note(int who,
                                                       const char *format, ...)
{
    va_list arguments;
    if (silent) return;
    printf("%ld ",
           over ? over : (long)(async_loop_time(the_loop) / ASYNC_MS(1)));
    if (who >= 0)
        printf("t%d ", who);
    else
        printf(who == CALLBACK ? "cb " : "main ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

__attribute__((format(printf, 1, 2))) static void problem(const char *format,
                                                          ...)
{
    va_list arguments;
    problems++;
    printf("PROBLEM ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
}

static const char *state_of(const async_future *future)
{
    if (!async_future_done(future)) return "pending";
    return async_future_cancelled(future) ? "cancelled" : "done";
}

/* What an operation came to that returns an error. */
static const char *outcome(int error)
{
    return error ? name_of(error) : "ok";
}

/* Where it is noted that nobody has seen a future's error; NULL for one that
 * the program does not name. */
static int *unseen(const async_future *future)
{
    int i;
    for (i = 0; i < world.n_tasks; i++)
        if (&world.tasks[i].task->future == future)
            return &world.unseen_tasks[i];
    for (i = 0; i < FUTURES; i++)
        if (&world.futures[i].future == future)
            return &world.unseen_futures[i];
    for (i = 0; i < world.n_gathers; i++)
        if (world.gathers[i].outer == future) return &world.unseen_gathers[i];
    return NULL;
}
enum { NO_MATTER = 1 };

static int report(async_loop *loop, const async_exception_context *context,
                  void *argument)
{
    int *place;
    (void)loop, (void)argument;
    if (strcmp(context->message, "a coroutine was never awaited") == 0)
        return 0; /* asyncio closes it, and does not tell */
    if (strcmp(context->message, "Exception in callback") == 0) {
        note(CALLBACK, "report %s", name_of(context->error));
        return 0;
    }
    place = unseen(context->future);
    if (place != NULL && strstr(context->message, "asyncio.run()") != NULL) {
        world.shut_down[place - world.unseen_tasks] = context->error;
        return 0;
    }
    /* (An eager one may have gone its way without a number.) */
    if (place == NULL && !memory.failing && !world.eager)
        problem("report %s %s", context->message, name_of(context->error));
    if (place != NULL && *place != NO_MATTER) *place = context->error;
    return 0;
}

/* --- what statements name ------------------------------------------------- */

static int number_of_task(const scope *self, int k)
{
    if (k < 0) return self->index < 0 ? 0 : self->index;
    return k % world.n_tasks;
}

/* A number of what the program has made; -1 is the last. */
static int which(int k, int count)
{
    return k < 0 ? count - 1 : k % count;
}

static int may_make(int n)
{
    if (world.making + n > TASKS) return 0;
    world.making += n;
    return 1;
}

/* Gives a task its number. */
static int enroll(async_task *task)
{
    world.tasks[world.n_tasks].task = task;
    return world.n_tasks++;
}

/* A future or coroutine that a statement names.  Awaiting it would cancel tasks
 * whose numbers are `least` or more. */
typedef struct operand {
    char letter;
    int number;
    async_future *future; /* NULL: a coroutine, or there is none */
    int least;
} operand;

/* What is awaited comes later: it has higher numbers than who awaits, so that
 * nothing can wait in a circle.  But a task can await itself. */
static operand find(const scope *self, int kind, int k, int later)
{
    operand found = { 0, 0, NULL, TASKS };
    int i, choice[TABLE], n = 0, first = self->index + 1;
    switch (kind) {
    case DO_task:
        if (!later || k < 0)
            found.number = number_of_task(self, k);
        else if (first < world.n_tasks)
            found.number = first + k % (world.n_tasks - first);
        else
            return found;
        found.letter = 't';
        found.least = found.number;
        found.future = &world.tasks[found.number].task->future;
        break;
    case DO_fut:
        found.letter = 'f';
        found.number = k % FUTURES;
        found.future = &world.futures[found.number].future;
        break;
    case DO_gath:
        for (i = 0; i < world.n_gathers; i++)
            if (world.gathers[i].outer != NULL &&
                (!later || world.gathers[i].least > self->index))
                choice[n++] = i;
        if (n == 0) break;
        found.letter = 'g';
        found.number = choice[which(k, n)];
        found.future = world.gathers[found.number].outer;
        found.least = world.gathers[found.number].least;
        break;
    case DO_co:
        found.letter = 'c';
        found.number = k;
        found.least = world.n_tasks;
        break;
    }
    return found;
}

/* The operands that are there.  Returns how many. */
static int find_all(const scope *self, const node *statement, int later,
                    int coroutines, operand *found)
{
    const node *child;
    int n = 0;
    for (child = statement->children; child != NULL && n < OPERANDS;
         child = child->next) {
        if (child->op == DO_co && !coroutines) continue;
        found[n] = find(self, child->op, child->args[0], later);
        if (found[n].letter != 0) n++;
    }
    return n;
}

/* What one that has ended came to, in words; looking at it is seeing it. */
static const char *value_in_words(const operand *of, int error)
{
    static char words_of[4][16];
    static unsigned turn;
    char *text = words_of[turn++ % 4];
    int value;
    if (error) return name_of(error);
    if (of->letter == 'g') return "list";
    value = of->letter == 't' ? ASYNC_TASK_RESULT(world.tasks[of->number])
                              : ASYNC_FUTURE_VALUE(&world.futures[of->number]);
    snprintf(text, sizeof text[0] * 16, "%d", value);
    return text;
}

/* The numbers in a queue by priority: the last digit is not compared. */
static int compare(const void *a, const void *b)
{
    return *(const int *)a / 10 - *(const int *)b / 10;
}

static async_queue *queue(int q)
{
    async_queue *queues[4];
    queues[0] = &world.fifo.queue;
    queues[1] = &world.endless.queue;
    queues[2] = &world.lifo.queue;
    queues[3] = &world.priority.queue;
    return queues[q];
}

/* --- statements that do not wait ------------------------------------------ */

static int callback(void *statement);
static int done_callback(async_future *future, void *statement);

static void start_gather(async_gathering *gathering, const operand *found,
                         int n, int return_exceptions)
{
    int i;
    if (return_exceptions) async_gather_return_exceptions(gathering);
    for (i = 0; i < n; i++)
        if (found[i].future != NULL)
            async_gather_add(gathering, async_future_object(found[i].future));
        else
            async_gather_add(gathering,
                             CO(run_task, found[i].number, NO_NUMBER));
}

static int count_coroutines(const operand *found, int n)
{
    int count = 0, i;
    for (i = 0; i < n; i++) count += found[i].future == NULL;
    return count;
}

static void do_gatherstart(scope *self, const node *statement)
{
    operand found[OPERANDS];
    int n = find_all(self, statement, 0, 1, found), g = world.n_gathers, i;
    if (g >= TABLE || !may_make(count_coroutines(found, n))) {
        note(self->index, "gatherstart full");
        return;
    }
    /* Its number comes before those of what eager operands make. */
    world.n_gathers++;
    world.gathers[g].least = TASKS;
    for (i = 0; i < n; i++)
        if (found[i].least < world.gathers[g].least)
            world.gathers[g].least = found[i].least;
    start_gather(&world.gathers[g].gathering, found, n, statement->args[0]);
    world.gathers[g].outer = async_gather_start(&world.gathers[g].gathering);
    note(self->index, "gatherstart g%d", g);
}

/* The number of a task that has just been made.  An eager one has taken it
 * itself, and is held for that. */
static int number_of(async_task *task)
{
    int n;
    for (n = 0; n < world.n_tasks; n++)
        if (world.tasks[n].task == task) {
            async_task_release(task);
            return n;
        }
    return enroll(task);
}

/* args: the function, and how: 0, 1 in two ways; 2 eagerly */
static void do_spawn(scope *self, const node *statement)
{
    int number = world.eager ? (int)NO_NUMBER : world.n_tasks;
    async_task *task;
    if (!may_make(1)) {
        note(self->index, "spawn full");
        return;
    }
    if (statement->args[1] == 2)
        task = async_create_eager_task(
            CO(run_task, statement->args[0], NO_NUMBER));
    else
        task = async_create_task(
            CO(run_task, .index = number, .function = statement->args[0]));
    if (task != NULL) note(self->index, "spawn t%d", number_of(task));
}

static void do_member(scope *self, const node *statement)
{
    int number = world.eager ? (int)NO_NUMBER : world.n_tasks, g;
    async_task *task;
    if (world.n_groups == 0 || !may_make(1)) {
        note(self->index, "member nothing");
        return;
    }
    g = which(statement->args[0], world.n_groups);
    task = async_group_spawn(&world.groups[g],
                             CO(run_task, statement->args[1], number));
    if (task == NULL)
        note(self->index, "member %d %s", g, name_of(async_last_error()));
    else
        note(self->index, "member %d t%d", g,
             number_of(async_task_retain(task)));
}

/* Schedules a callback, with `later` at a time of its own. */
static void do_soon(scope *self, const node *statement, int later)
{
    int h = world.n_handles, anonymous = statement->args[later];
    async_handle *handle = NULL;
    if (h >= TABLE) {
        note(self->index, "%s full", statement_names[statement->op]);
        return;
    }
    if (!anonymous) handle = &world.handles[h].handle;
    world.n_handles++;
    world.handles[h].anonymous = anonymous;
    if (later)
        async_loop_call_later(the_loop, handle, ASYNC_MS(statement->args[0]),
                              callback, (void *)(uintptr_t)statement);
    else
        async_loop_call_soon(the_loop, handle, callback,
                             (void *)(uintptr_t)statement);
    note(self->index, "%s h%d", statement_names[statement->op], h);
}

static void do_ondone(scope *self, const node *statement)
{
    operand found = find(self, statement->args[0], statement->args[1], 0);
    int d = world.n_callbacks;
    if (found.letter == 0) {
        note(self->index, "ondone nothing");
        return;
    }
    if (d >= TABLE) {
        note(self->index, "ondone full");
        return;
    }
    world.n_callbacks++;
    world.callbacks[d].future = found.future;
    async_future_add_done_callback(found.future, &world.callbacks[d].node,
                                   done_callback,
                                   (void *)(uintptr_t)statement);
    note(self->index, "ondone %c%d d%d", found.letter, found.number, d);
}

/* Does one of them.  Returns 0, or an error that it raises. */
static int perform(scope *self, const node *statement)
{
    int who = self->index, a = statement->args[0], b = statement->args[1];
    const char *name = statement_names[statement->op];
    operand found;
    async_task *task;
    int n, value;
    switch (statement->op) {
    case DO_log: note(who, "log %d", a); break;
    case DO_stall:
        advance(ASYNC_MS(a));
        note(who, "stall %d", a);
        break;
    case DO_add:
        world.variables[a] += b;
        note(who, "add %d", world.variables[a]);
        break;
    case DO_tasks:
        for (n = 0, task = NULL;
             (task = async_all_tasks(the_loop, task)) != NULL;)
            n++;
        note(who, "tasks %d", n);
        break;

    case DO_cancel:
        n = number_of_task(self, a);
        note(who, "cancel t%d %d", n, async_task_cancel(world.tasks[n].task));
        break;
    case DO_uncancel:
        n = number_of_task(self, a);
        note(who, "uncancel t%d %d", n,
             async_task_uncancel(world.tasks[n].task));
        break;
    case DO_cancelling:
        n = number_of_task(self, a);
        note(who, "cancelling t%d %d", n,
             async_task_cancelling(world.tasks[n].task));
        break;
    case DO_state:
    case DO_result:
    case DO_drop:
        found = find(self, a, b, 0);
        if (found.letter == 0)
            note(who, "%s nothing", name);
        else if (statement->op == DO_state)
            note(who, "state %c%d %s", found.letter, found.number,
                 state_of(found.future));
        else if (statement->op == DO_drop)
            note(who, "drop %c%d %d", found.letter, found.number,
                 async_future_cancel(found.future));
        else
            note(who, "result %c%d %s", found.letter, found.number,
                 value_in_words(&found, async_future_result(found.future)));
        break;
    case DO_set:
        found = find(self, DO_fut, a, 0);
        n = ASYNC_SET_RESULT(&world.futures[found.number], b);
        note(who, "set f%d %s", found.number, outcome(n));
        break;
    case DO_fail:
        found = find(self, DO_fut, a, 0);
        n = async_future_set_exception(found.future, b);
        note(who, "fail f%d %s", found.number, outcome(n));
        break;

    case DO_release:
        n = async_lock_release(&world.locks[a]);
        note(who, "release %d %s", a, outcome(n));
        break;
    case DO_locked:
        note(who, "locked %d %d", a, async_lock_locked(&world.locks[a]));
        break;
    case DO_evset:
        async_event_set(&world.events[a]);
        note(who, "evset %d", a);
        break;
    case DO_evclear:
        async_event_clear(&world.events[a]);
        note(who, "evclear %d", a);
        break;
    case DO_evisset:
        note(who, "evisset %d %d", a, async_event_is_set(&world.events[a]));
        break;
    case DO_crelease:
        n = async_condition_release(&world.conditions[a]);
        note(who, "crelease %d %s", a, outcome(n));
        break;
    case DO_notify:
        n = async_condition_notify(&world.conditions[a], (size_t)b);
        note(who, "notify %d %s", a, outcome(n));
        break;
    case DO_notifyall:
        n = async_condition_notify_all(&world.conditions[a]);
        note(who, "notifyall %d %s", a, outcome(n));
        break;
    case DO_semrelease:
        n = a < 2 ? async_semaphore_release(&world.semaphores[a])
                  : async_bounded_semaphore_release(&world.bounded);
        note(who, "semrelease %d %s", a, outcome(n));
        break;
    case DO_semlocked:
        n = a < 2 ? async_semaphore_locked(&world.semaphores[a])
                  : async_bounded_semaphore_locked(&world.bounded);
        note(who, "semlocked %d %d", a, n);
        break;
    case DO_barinfo:
        note(who, "barinfo %d %d %d", a,
             async_barrier_n_waiting(&world.barriers[a]),
             async_barrier_broken(&world.barriers[a]));
        break;

    case DO_putnow:
        n = a == 0 ? ASYNC_QUEUE_PUT_NOWAIT(&world.fifo, b)
                   : async_queue_put_nowait(queue(a), &b);
        note(who, "putnow %d %s", a, outcome(n));
        break;
    case DO_getnow:
        n = a == 0 ? ASYNC_QUEUE_GET_NOWAIT(&world.fifo, &value)
                   : async_queue_get_nowait(queue(a), &value);
        if (n) {
            note(who, "getnow %d %s", a, name_of(n));
        } else {
            self->value = value;
            note(who, "getnow %d %d", a, value);
        }
        break;
    case DO_taskdone:
        n = async_queue_task_done(queue(a));
        note(who, "taskdone %d %s", a, outcome(n));
        break;
    case DO_shutdown:
        async_queue_shutdown(queue(a), b);
        note(who, "shutdown %d", a);
        break;
    case DO_qsize:
        note(who, "qsize %d %d %d", a, (int)async_queue_qsize(queue(a)),
             async_queue_full(queue(a)));
        break;

    case DO_spawn: do_spawn(self, statement); break;
    case DO_member: do_member(self, statement); break;
    case DO_gatherstart: do_gatherstart(self, statement); break;
    case DO_reschedule:
    case DO_expired:
        if (world.n_timeouts == 0) {
            note(who, "%s nothing", name);
            break;
        }
        n = which(a, world.n_timeouts);
        if (statement->op == DO_expired) {
            note(who, "expired %d %d", n,
                 async_timeout_expired(&world.timeouts[n]));
            break;
        }
        value = async_timeout_reschedule(
            &world.timeouts[n], b == NEVER
                                    ? ASYNC_FOREVER
                                    : async_loop_time(the_loop) + ASYNC_MS(b));
        note(who, "reschedule %d %s", n, outcome(value));
        break;

    case DO_soon: do_soon(self, statement, 0); break;
    case DO_later: do_soon(self, statement, 1); break;
    case DO_unsoon:
        if (world.n_handles == 0) {
            note(who, "unsoon nothing");
            break;
        }
        n = which(a, world.n_handles);
        if (!world.handles[n].anonymous)
            async_handle_cancel(&world.handles[n].handle);
        note(who, "unsoon h%d", n);
        break;
    case DO_ondone: do_ondone(self, statement); break;
    case DO_undone:
        if (world.n_callbacks == 0) {
            note(who, "undone nothing");
            break;
        }
        n = which(a, world.n_callbacks);
        value = async_future_remove_done_callback(world.callbacks[n].future,
                                                  &world.callbacks[n].node);
        note(who, "undone d%d %d", n, value);
        break;

    case DO_raise: note(who, "raise %s", name_of(a)); return a;
    case DO_reraise:
        if (self->caught == 0)
            note(who, "reraise nothing");
        else
            note(who, "reraise %s", name_of(self->caught));
        return self->caught;
    }
    return 0;
}

/* What a callback does: what needs no waiting. */
static int callback(void *argument)
{
    const node *statement = ((const node *)argument)->children;
    scope outside;
    memset(&outside, 0, sizeof outside);
    outside.index = CALLBACK;
    for (; statement != NULL && world.fuel > 0; statement = statement->next) {
        int error;
        world.fuel--;
        error = perform(&outside, statement);
        if (error) return error;
    }
    return 0;
}
static int done_callback(async_future *future, void *argument)
{
    (void)future;
    return callback(argument);
}

/* --- functions ------------------------------------------------------------ */

/* Statements one after the other.  Returns how they were left. */
struct block {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    int flow, value, slot;
    async_handle handle;
};
ASYNC(block);

struct call { ASYNC_RETURNS(int); int index, function, flow; scope scope; };
static ASYNC(call)
{
    ASYNC_BEGIN(call);
    self->scope.index = self->index;
    AWAIT_INTO(self->flow, block, &self->scope,
               world.functions[self->function]->children);
    ASYNC_RETURN(self->flow == RETURN ? self->scope.result : 0);
    ASYNC_END;
}

ASYNC(run_task)
{
    ASYNC_BEGIN(run_task);
    if (self->index == NO_NUMBER)
        self->index = enroll(async_task_retain(async_current_task()));
    note(self->index, "starts %d", self->function);
    ASYNC_TRY {
        AWAIT_INTO(self->frame.result, call, self->index, self->function);
    } ASYNC_EXCEPT_ALL(self->error) {
        note(self->index, "fails %s", name_of(self->error));
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    note(self->index, "returns %d", self->frame.result);
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

/* --- statements with statements inside ------------------------------------ */

struct run_loop {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    int turn, flow;
};
static ASYNC(run_loop)
{
    ASYNC_BEGIN(run_loop);
    for (; self->turn < self->statement->args[0]; self->turn++) {
        note(self->scope->index, "loop %d", self->turn);
        AWAIT_INTO(self->flow, block, self->scope, self->statement->children);
        LEAVE(self->flow);
    }
    ASYNC_RETURN(GO_ON);
    ASYNC_END;
}

struct run_attempt {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    int error, flow;
};
static ASYNC(run_attempt)
{
    ASYNC_BEGIN(run_attempt);
    AWAIT_CATCH_INTO(self->error, self->flow, block, self->scope,
                     self->statement->children);
    if (self->error) {
        note(self->scope->index, "attempt %s", name_of(self->error));
        self->flow = GO_ON;
    }
    ASYNC_RETURN(self->flow);
    ASYNC_END;
}

/* A TRY, by the arms that it has.  Each stands in a loop of one turn, which is
 * left by break and continue where its body is. */
typedef struct attempted {
    scope *scope;
    const node *statement;
    int turn, flow, last, error;
    int one, two; /* the errors that are named, and what is done then */
    const node *then, *any;
} attempted;

static void prepare(attempted *self, scope *of, const node *statement)
{
    const node *arm;
    self->scope = of;
    self->statement = statement;
    for (arm = statement->children; arm != NULL; arm = arm->next) {
        if (arm->op != DO_except) continue;
        if (arm->args[0] == ANY || arm->args[0] == ALL) {
            self->any = arm;
        } else {
            self->one = arm->args[0];
            self->two = arm->args[1];
            self->then = arm->children;
        }
    }
}
static void caught(const attempted *self, int error)
{
    note(self->scope->index, "caught %s", name_of(error));
    self->scope->caught = error;
}

struct try_named { ASYNC_RETURNS(int); attempted is; };
static ASYNC(try_named)
{
    ASYNC_BEGIN(try_named);
    for (; self->is.turn < 1; self->is.turn++) {
        ASYNC_TRY {
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       part(self->is.statement, DO_body));
            LEAVE(self->is.flow);
        } ASYNC_EXCEPT(self->is.one) {
            caught(&self->is, self->is.one);
            AWAIT_INTO(self->is.flow, block, self->is.scope, self->is.then);
            LEAVE(self->is.flow);
        } ASYNC_EXCEPT(self->is.two) {
            caught(&self->is, self->is.two);
            AWAIT_INTO(self->is.flow, block, self->is.scope, self->is.then);
            LEAVE(self->is.flow);
        } ASYNC_ELSE {
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       part(self->is.statement, DO_else));
            LEAVE(self->is.flow);
        } ASYNC_FINALLY {
            AWAIT_INTO(self->is.last, block, self->is.scope,
                       part(self->is.statement, DO_finally));
            if (self->is.last) self->is.flow = self->is.last;
            LEAVE(self->is.last);
        } ASYNC_END_TRY
    }
    ASYNC_RETURN(self->is.flow);
    ASYNC_END;
}

struct try_named_any { ASYNC_RETURNS(int); attempted is; };
static ASYNC(try_named_any)
{
    ASYNC_BEGIN(try_named_any);
    for (; self->is.turn < 1; self->is.turn++) {
        ASYNC_TRY {
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       part(self->is.statement, DO_body));
            LEAVE(self->is.flow);
        } ASYNC_EXCEPT(self->is.one) {
            caught(&self->is, self->is.one);
            AWAIT_INTO(self->is.flow, block, self->is.scope, self->is.then);
            LEAVE(self->is.flow);
        } ASYNC_EXCEPT(self->is.two) {
            caught(&self->is, self->is.two);
            AWAIT_INTO(self->is.flow, block, self->is.scope, self->is.then);
            LEAVE(self->is.flow);
        } ASYNC_EXCEPT_ANY(self->is.error) {
            caught(&self->is, self->is.error);
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       self->is.any->children);
            LEAVE(self->is.flow);
        } ASYNC_ELSE {
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       part(self->is.statement, DO_else));
            LEAVE(self->is.flow);
        } ASYNC_FINALLY {
            AWAIT_INTO(self->is.last, block, self->is.scope,
                       part(self->is.statement, DO_finally));
            if (self->is.last) self->is.flow = self->is.last;
            LEAVE(self->is.last);
        } ASYNC_END_TRY
    }
    ASYNC_RETURN(self->is.flow);
    ASYNC_END;
}

struct try_any { ASYNC_RETURNS(int); attempted is; };
static ASYNC(try_any)
{
    ASYNC_BEGIN(try_any);
    for (; self->is.turn < 1; self->is.turn++) {
        ASYNC_TRY {
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       part(self->is.statement, DO_body));
            LEAVE(self->is.flow);
        } ASYNC_EXCEPT_ANY(self->is.error) {
            caught(&self->is, self->is.error);
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       self->is.any->children);
            LEAVE(self->is.flow);
        } ASYNC_ELSE {
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       part(self->is.statement, DO_else));
            LEAVE(self->is.flow);
        } ASYNC_FINALLY {
            AWAIT_INTO(self->is.last, block, self->is.scope,
                       part(self->is.statement, DO_finally));
            if (self->is.last) self->is.flow = self->is.last;
            LEAVE(self->is.last);
        } ASYNC_END_TRY
    }
    ASYNC_RETURN(self->is.flow);
    ASYNC_END;
}

struct try_all { ASYNC_RETURNS(int); attempted is; };
static ASYNC(try_all)
{
    ASYNC_BEGIN(try_all);
    for (; self->is.turn < 1; self->is.turn++) {
        ASYNC_TRY {
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       part(self->is.statement, DO_body));
            LEAVE(self->is.flow);
        } ASYNC_EXCEPT_ALL(self->is.error) {
            caught(&self->is, self->is.error);
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       self->is.any->children);
            LEAVE(self->is.flow);
        } ASYNC_ELSE {
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       part(self->is.statement, DO_else));
            LEAVE(self->is.flow);
        } ASYNC_FINALLY {
            AWAIT_INTO(self->is.last, block, self->is.scope,
                       part(self->is.statement, DO_finally));
            if (self->is.last) self->is.flow = self->is.last;
            LEAVE(self->is.last);
        } ASYNC_END_TRY
    }
    ASYNC_RETURN(self->is.flow);
    ASYNC_END;
}

struct try_finally { ASYNC_RETURNS(int); attempted is; };
static ASYNC(try_finally)
{
    ASYNC_BEGIN(try_finally);
    for (; self->is.turn < 1; self->is.turn++) {
        ASYNC_TRY {
            AWAIT_INTO(self->is.flow, block, self->is.scope,
                       part(self->is.statement, DO_body));
            LEAVE(self->is.flow);
        } ASYNC_FINALLY {
            AWAIT_INTO(self->is.last, block, self->is.scope,
                       part(self->is.statement, DO_finally));
            if (self->is.last) self->is.flow = self->is.last;
            LEAVE(self->is.last);
        } ASYNC_END_TRY
    }
    ASYNC_RETURN(self->is.flow);
    ASYNC_END;
}

struct run_try {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    attempted is;
    int flow;
};
static ASYNC(run_try)
{
    ASYNC_BEGIN(run_try);
    prepare(&self->is, self->scope, self->statement);
    if (self->is.one != 0 && self->is.any != NULL)
        AWAIT_INTO(self->flow, try_named_any, self->is);
    else if (self->is.one != 0)
        AWAIT_INTO(self->flow, try_named, self->is);
    else if (self->is.any == NULL)
        AWAIT_INTO(self->flow, try_finally, self->is);
    else if (self->is.any->args[0] == ANY)
        AWAIT_INTO(self->flow, try_any, self->is);
    else
        AWAIT_INTO(self->flow, try_all, self->is);
    ASYNC_RETURN(self->flow);
    ASYNC_END;
}

struct with_lock {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    int turn, flow;
};
static ASYNC(with_lock)
{
    ASYNC_BEGIN(with_lock);
    for (; self->turn < 1; self->turn++) {
        ASYNC_WITH(async_lock, &world.locks[self->statement->args[1]]) {
            note(self->scope->index, "in lock %d", self->statement->args[1]);
            AWAIT_INTO(self->flow, block, self->scope,
                       self->statement->children);
            LEAVE(self->flow);
        } ASYNC_END_WITH
        note(self->scope->index, "out lock %d", self->statement->args[1]);
    }
    ASYNC_RETURN(self->flow);
    ASYNC_END;
}

struct with_condition {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    int turn, flow;
};
static ASYNC(with_condition)
{
    ASYNC_BEGIN(with_condition);
    for (; self->turn < 1; self->turn++) {
        ASYNC_WITH(async_condition,
                   &world.conditions[self->statement->args[1]]) {
            note(self->scope->index, "in cond %d", self->statement->args[1]);
            AWAIT_INTO(self->flow, block, self->scope,
                       self->statement->children);
            LEAVE(self->flow);
        } ASYNC_END_WITH
        note(self->scope->index, "out cond %d", self->statement->args[1]);
    }
    ASYNC_RETURN(self->flow);
    ASYNC_END;
}

struct with_semaphore {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    int turn, flow;
};
static ASYNC(with_semaphore)
{
    ASYNC_BEGIN(with_semaphore);
    for (; self->turn < 1; self->turn++) {
        ASYNC_WITH(async_semaphore,
                   &world.semaphores[self->statement->args[1]]) {
            note(self->scope->index, "in sem %d", self->statement->args[1]);
            AWAIT_INTO(self->flow, block, self->scope,
                       self->statement->children);
            LEAVE(self->flow);
        } ASYNC_END_WITH
        note(self->scope->index, "out sem %d", self->statement->args[1]);
    }
    ASYNC_RETURN(self->flow);
    ASYNC_END;
}

struct with_bounded {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    int turn, flow;
};
static ASYNC(with_bounded)
{
    ASYNC_BEGIN(with_bounded);
    for (; self->turn < 1; self->turn++) {
        ASYNC_WITH(async_bounded_semaphore, &world.bounded) {
            note(self->scope->index, "in sem 2");
            AWAIT_INTO(self->flow, block, self->scope,
                       self->statement->children);
            LEAVE(self->flow);
        } ASYNC_END_WITH
        note(self->scope->index, "out sem 2");
    }
    ASYNC_RETURN(self->flow);
    ASYNC_END;
}

/* args: the delay, and whether it is given as a point in time */
struct run_timeout {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    int turn, flow, x;
    async_duration delay;
};
static ASYNC(run_timeout)
{
    ASYNC_BEGIN(run_timeout);
    self->x = world.n_timeouts;
    if (self->x >= TABLE) {
        note(self->scope->index, "timeout full");
        ASYNC_RETURN(GO_ON);
    }
    world.n_timeouts++;
    self->delay = self->statement->args[0] == NEVER
                      ? ASYNC_FOREVER
                      : ASYNC_MS(self->statement->args[0]);
    if (self->statement->args[1] && self->delay != ASYNC_FOREVER) {
        for (; self->turn < 1; self->turn++) {
            ASYNC_TIMEOUT_AT(&world.timeouts[self->x],
                             async_loop_time(the_loop) + self->delay) {
                note(self->scope->index, "timeout x%d", self->x);
                AWAIT_INTO(self->flow, block, self->scope,
                           self->statement->children);
                LEAVE(self->flow);
            } ASYNC_END_TIMEOUT
        }
    } else {
        for (; self->turn < 1; self->turn++) {
            ASYNC_TIMEOUT(&world.timeouts[self->x], self->delay) {
                note(self->scope->index, "timeout x%d", self->x);
                AWAIT_INTO(self->flow, block, self->scope,
                           self->statement->children);
                LEAVE(self->flow);
            } ASYNC_END_TIMEOUT
        }
    }
    if (!self->flow)
        note(self->scope->index, "over x%d %d", self->x,
             async_timeout_expired(&world.timeouts[self->x]));
    ASYNC_RETURN(self->flow);
    ASYNC_END;
}

static void note_group(int who, int g)
{
    char text[256] = "";
    size_t i, length = 0;
    const async_task_group *group = &world.groups[g];
    for (i = 0; i < async_group_error_count(group); i++)
        length += (size_t)snprintf(text + length, sizeof text - length, " %s",
                                   name_of(async_group_error(group, i)));
    note(who, "group %d failed%s", g, text);
}

struct run_group {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    int turn, flow, g;
};
static ASYNC(run_group)
{
    ASYNC_BEGIN(run_group);
    self->g = world.n_groups;
    if (self->g >= TABLE) {
        note(self->scope->index, "group full");
        ASYNC_RETURN(GO_ON);
    }
    world.n_groups++;
    for (; self->turn < 1; self->turn++) {
        ASYNC_TRY {
            ASYNC_TASK_GROUP(&world.groups[self->g]) {
                note(self->scope->index, "group %d", self->g);
                AWAIT_INTO(self->flow, block, self->scope,
                           self->statement->children);
                LEAVE(self->flow);
            } ASYNC_END_TASK_GROUP
        } ASYNC_EXCEPT(ASYNC_EGROUP) {
            note_group(self->scope->index, self->g);
            ASYNC_RAISE(ASYNC_EGROUP);
        } ASYNC_END_TRY
        note(self->scope->index, "group %d over", self->g);
    }
    ASYNC_RETURN(self->flow);
    ASYNC_END;
}

struct numbers {
    ASYNC_YIELDS(int);
    scope *scope;
    const node *statement;
    int turn;
};
static ASYNC(numbers)
{
    ASYNC_BEGIN(numbers);
    ASYNC_TRY {
        for (; self->turn < self->statement->args[0]; self->turn++) {
            AWAIT(block, self->scope, part(self->statement, DO_before));
            ASYNC_YIELD(self->turn);
        }
    } ASYNC_FINALLY {
        AWAIT(block, self->scope, part(self->statement, DO_finally));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct run_generate {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    int turn, flow;
    struct numbers numbers;
};
static ASYNC(run_generate)
{
    ASYNC_BEGIN(run_generate);
    self->numbers = ASYNC_GENERATOR(numbers, self->scope, self->statement);
    ASYNC_FOR(self->turn, &self->numbers) {
        note(self->scope->index, "generate %d", self->turn);
        AWAIT_INTO(self->flow, block, self->scope,
                   part(self->statement, DO_body));
        LEAVE(self->flow);
    } ASYNC_END_FOR
    ASYNC_RETURN(GO_ON);
    ASYNC_END;
}

/* --- statements that wait for others -------------------------------------- */

static async_duration limit_of(int delay)
{
    return delay == NEVER ? ASYNC_FOREVER : ASYNC_MS(delay);
}

/* Awaits a task or future; what it gave becomes the scope's value. */
struct await_one {
    ASYNC_FRAME;
    scope *scope;
    int kind, k, join; /* join: the task's handle goes with it */
    const char *name;
    operand found;
};
static ASYNC(await_one)
{
    ASYNC_BEGIN(await_one);
    self->found = find(self->scope, self->kind, self->k, 1);
    if (self->found.letter == 0) {
        note(self->scope->index, "%s nothing", self->name);
        ASYNC_RETURN();
    }
    if (self->found.letter == 'g')
        AWAIT_FUTURE(self->found.future);
    else if (self->found.letter == 'f')
        AWAIT_FUTURE_INTO(self->scope->value,
                          &world.futures[self->found.number]);
    else if (!self->join)
        AWAIT_TASK_INTO(self->scope->value, world.tasks[self->found.number]);
    else {
        async_task_retain(world.tasks[self->found.number].task);
        AWAIT_JOIN_INTO(self->scope->value, world.tasks[self->found.number]);
    }
    note(self->scope->index, "%s %c%d %s", self->name, self->found.letter,
         self->found.number, value_in_words(&self->found, 0));
    ASYNC_END;
}

/* args: whether errors are returned; whether it is started by itself */
struct run_gather {
    ASYNC_FRAME;
    scope *scope;
    const node *statement;
    operand found[OPERANDS];
    int n;
    async_gathering gathering;
};
static int without_itself(const scope *self, operand *found, int n)
{
    int i, left = 0;
    for (i = 0; i < n; i++)
        if (found[i].least != self->index) found[left++] = found[i];
    return left;
}
static void note_gathered(const struct run_gather *self)
{
    char text[256] = "";
    size_t i, length = 0;
    for (i = 0; i < (size_t)self->n; i++) {
        const operand *one = &self->found[i];
        int error = async_gather_error(&self->gathering, i);
        length += (size_t)snprintf(text + length, sizeof text - length, " ");
        if (one->letter == 'c' && !error)
            length +=
                (size_t)snprintf(text + length, sizeof text - length, "%d",
                                 GATHERED(&self->gathering, i, run_task));
        else
            length += (size_t)snprintf(text + length, sizeof text - length,
                                       "%s", value_in_words(one, error));
    }
    note(self->scope->index, "gather%s", self->n > 0 ? text : " ");
}
static ASYNC(run_gather)
{
    ASYNC_BEGIN(run_gather);
    self->n = find_all(self->scope, self->statement, 1, 1, self->found);
    self->n = without_itself(self->scope, self->found, self->n);
    if (!may_make(count_coroutines(self->found, self->n))) {
        note(self->scope->index, "gather full");
        ASYNC_RETURN();
    }
    ASYNC_TRY {
        start_gather(&self->gathering, self->found, self->n,
                     self->statement->args[0]);
        if (self->statement->args[1])
            AWAIT_FUTURE(async_gather_start(&self->gathering));
        else
            AWAIT(async_gather, &self->gathering);
        note_gathered(self);
    } ASYNC_FINALLY {
        async_gather_clear(&self->gathering);
    } ASYNC_END_TRY
    ASYNC_END;
}

static int fill(const scope *of, const node *statement, operand *found,
                async_waited *items)
{
    int n = find_all(of, statement, 0, 0, found), i;
    for (i = 0; i < n; i++) items[i].future = found[i].future;
    return n;
}

struct run_wait {
    ASYNC_FRAME;
    scope *scope;
    const node *statement;
    operand found[OPERANDS];
    async_waited items[OPERANDS];
    int n, mode;
};
static ASYNC(run_wait)
{
    char text[4 * OPERANDS];
    int i;
    ASYNC_BEGIN(run_wait);
    self->n = fill(self->scope, self->statement, self->found, self->items);
    self->mode = self->statement->args[0] == ALL     ? ASYNC_ALL_COMPLETED
                 : self->statement->args[0] == FIRST ? ASYNC_FIRST_COMPLETED
                                                     : ASYNC_FIRST_EXCEPTION;
    /* asyncio's looks at errors there, and then they are seen, or not. */
    for (i = 0; i < self->n && self->mode == ASYNC_FIRST_EXCEPTION; i++)
        *unseen(self->found[i].future) = NO_MATTER;
    AWAIT(async_wait, self->items, (size_t)self->n,
          limit_of(self->statement->args[1]), self->mode);
    for (i = 0; i < self->n; i++)
        snprintf(text + 2 * i, sizeof text - 2 * (size_t)i, " %d",
                 self->items[i].done);
    note(self->scope->index, "wait%s", text);
    ASYNC_END;
}

struct run_completed {
    ASYNC_RETURNS(int);
    scope *scope;
    const node *statement;
    operand found[OPERANDS];
    async_waited items[OPERANDS];
    struct async_as_completed ends;
    async_future *future;
    int n, flow;
};
static ASYNC(run_completed)
{
    ASYNC_BEGIN(run_completed);
    self->n = fill(self->scope, self->statement, self->found, self->items);
    self->ends =
        ASYNC_GENERATOR(async_as_completed, self->items, (size_t)self->n,
                        limit_of(self->statement->args[0]));
    ASYNC_FOR(self->future, &self->ends) {
        {
            const operand *ended = self->found;
            while (ended->future != self->future) ended++;
            note(self->scope->index, "completed %c%d", ended->letter,
                 ended->number);
        }
        AWAIT_INTO(self->flow, block, self->scope,
                   part(self->statement, DO_body));
        LEAVE(self->flow);
    } ASYNC_END_FOR
    ASYNC_RETURN(GO_ON);
    ASYNC_END;
}

struct run_shield {
    ASYNC_FRAME;
    scope *scope;
    const node *statement;
    operand found[OPERANDS];
    int n;
};
static ASYNC(run_shield)
{
    ASYNC_BEGIN(run_shield);
    self->n = find_all(self->scope, self->statement, 0, 1, self->found);
    if (self->n == 0 || (self->found[0].letter == 'c' && !may_make(1))) {
        note(self->scope->index, "shield nothing");
        ASYNC_RETURN();
    }
    if (self->found[0].letter == 'c') {
        AWAIT(async_shield, CO(run_task, self->found[0].number, NO_NUMBER));
        note(self->scope->index, "shield co%d", self->found[0].number);
        ASYNC_RETURN();
    }
    AWAIT(async_shield, async_future_object(self->found[0].future));
    note(self->scope->index, "shield %c%d %s", self->found[0].letter,
         self->found[0].number, value_in_words(&self->found[0], 0));
    ASYNC_END;
}

struct run_limit {
    ASYNC_FRAME;
    scope *scope;
    const node *statement;
    operand found[OPERANDS];
    int n;
};
static ASYNC(run_limit)
{
    ASYNC_BEGIN(run_limit);
    self->n = find_all(self->scope, self->statement, 1, 1, self->found);
    if (self->n == 0 || (self->found[0].letter == 'c' && !may_make(1))) {
        note(self->scope->index, "limit nothing");
        ASYNC_RETURN();
    }
    if (self->found[0].letter == 'c') {
        AWAIT_WAIT_FOR_INTO(self->scope->value,
                            limit_of(self->statement->args[0]), call,
                            self->scope->index, self->found[0].number);
        note(self->scope->index, "limit co%d %d", self->found[0].number,
             self->scope->value);
        ASYNC_RETURN();
    }
    AWAIT(async_wait_for, async_future_object(self->found[0].future),
          limit_of(self->statement->args[0]));
    if (self->found[0].letter == 't')
        self->scope->value =
            ASYNC_TASK_RESULT(world.tasks[self->found[0].number]);
    if (self->found[0].letter == 'f')
        self->scope->value =
            ASYNC_FUTURE_VALUE(&world.futures[self->found[0].number]);
    note(self->scope->index, "limit %c%d %s", self->found[0].letter,
         self->found[0].number, value_in_words(&self->found[0], 0));
    ASYNC_END;
}

/* A member whose handle is typed; an error is caught, as it is elsewhere. */
struct run_member {
    ASYNC_FRAME;
    scope *scope;
    const node *statement;
    handle_of_task handle;
    int g, error;
};
static ASYNC(run_member)
{
    ASYNC_BEGIN(run_member);
    if (world.n_groups == 0 || !may_make(1)) {
        note(self->scope->index, "member nothing");
        ASYNC_RETURN();
    }
    self->g = which(self->statement->args[0], world.n_groups);
    ASYNC_TRY {
        ASYNC_GROUP_SPAWN(self->handle, &world.groups[self->g], run_task,
                          self->statement->args[1], world.n_tasks);
        note(self->scope->index, "member %d t%d", self->g,
             enroll(self->handle.task));
    } ASYNC_EXCEPT_ANY(self->error) {
        note(self->scope->index, "member %d %s", self->g,
             name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

static int enough(void *statement)
{
    const node *of = (const node *)statement;
    return world.variables[of->args[1]] >= of->args[2];
}

/* Queues: by the macros, and by the coroutines behind them. */
struct run_put {
    ASYNC_FRAME;
    scope *scope;
    const node *statement;
    int value;
};
static ASYNC(run_put)
{
    ASYNC_BEGIN(run_put);
    self->value = self->statement->args[1];
    if (self->statement->args[2])
        AWAIT(async_queue_put, queue(self->statement->args[0]), &self->value);
    else if (self->statement->args[0] == 0)
        AWAIT_QUEUE_PUT(&world.fifo, self->value);
    else if (self->statement->args[0] == 1)
        AWAIT_QUEUE_PUT(&world.endless, self->value);
    else if (self->statement->args[0] == 2)
        AWAIT_QUEUE_PUT(&world.lifo, self->value);
    else
        AWAIT_QUEUE_PUT(&world.priority, self->value);
    note(self->scope->index, "put %d %d", self->statement->args[0],
         self->value);
    ASYNC_END;
}

struct run_get {
    ASYNC_FRAME;
    scope *scope;
    const node *statement;
    int value;
};
static ASYNC(run_get)
{
    ASYNC_BEGIN(run_get);
    if (self->statement->args[1])
        AWAIT(async_queue_get, queue(self->statement->args[0]), &self->value);
    else if (self->statement->args[0] == 0)
        AWAIT_QUEUE_GET_INTO(self->value, &world.fifo);
    else if (self->statement->args[0] == 1)
        AWAIT_QUEUE_GET_INTO(self->value, &world.endless);
    else if (self->statement->args[0] == 2)
        AWAIT_QUEUE_GET_INTO(self->value, &world.lifo);
    else
        AWAIT_QUEUE_GET_INTO(self->value, &world.priority);
    self->scope->value = self->value;
    note(self->scope->index, "get %d %d", self->statement->args[0],
         self->value);
    ASYNC_END;
}

/* --- all of them ---------------------------------------------------------- */

#define ARG(n) (self->statement->args[n])
#define WHO (self->scope->index)

ASYNC(block)
{
    ASYNC_BEGIN(block);
    for (; self->statement != NULL; self->statement = self->statement->next) {
        if (world.fuel <= 0) break;
        world.fuel--;
        self->flow = GO_ON;
        if (self->statement->op == DO_spawn && ARG(1) == 1 && !world.eager) {
            if (!may_make(1)) {
                note(WHO, "spawn full");
                continue;
            }
            ASYNC_SPAWN(world.tasks[world.n_tasks], run_task, ARG(0),
                        world.n_tasks);
            note(WHO, "spawn t%d", enroll(world.tasks[world.n_tasks].task));
        } else if (self->statement->op == DO_member && ARG(2) &&
                   !world.eager) {
            AWAIT(run_member, self->scope, self->statement);
        } else if (self->statement->op <= DO_reraise) {
            self->value = perform(self->scope, self->statement);
            if (self->value) ASYNC_RAISE(self->value);
        } else if (self->statement->op == DO_return) {
            self->scope->result = ARG(0) < 0 ? self->scope->value : ARG(0);
            note(WHO, "return %d", self->scope->result);
            ASYNC_RETURN(RETURN);
        } else if (self->statement->op == DO_break) {
            ASYNC_RETURN(BREAK);
        } else if (self->statement->op == DO_continue) {
            ASYNC_RETURN(CONTINUE);
        } else if (self->statement->op == DO_loop) {
            AWAIT_INTO(self->flow, run_loop, self->scope, self->statement);
        } else if (self->statement->op == DO_attempt) {
            AWAIT_INTO(self->flow, run_attempt, self->scope, self->statement);
        } else if (self->statement->op == DO_try) {
            AWAIT_INTO(self->flow, run_try, self->scope, self->statement);
        } else if (self->statement->op == DO_with && ARG(0) == LOCK) {
            AWAIT_INTO(self->flow, with_lock, self->scope, self->statement);
        } else if (self->statement->op == DO_with && ARG(0) == CONDITION) {
            AWAIT_INTO(self->flow, with_condition, self->scope,
                       self->statement);
        } else if (self->statement->op == DO_with && ARG(1) == 2) {
            AWAIT_INTO(self->flow, with_bounded, self->scope, self->statement);
        } else if (self->statement->op == DO_with) {
            AWAIT_INTO(self->flow, with_semaphore, self->scope,
                       self->statement);
        } else if (self->statement->op == DO_timeout) {
            AWAIT_INTO(self->flow, run_timeout, self->scope, self->statement);
        } else if (self->statement->op == DO_group) {
            AWAIT_INTO(self->flow, run_group, self->scope, self->statement);
        } else if (self->statement->op == DO_generate) {
            AWAIT_INTO(self->flow, run_generate, self->scope, self->statement);
        } else if (self->statement->op == DO_sleep) {
            AWAIT(async_sleep, ASYNC_MS(ARG(0)));
            note(WHO, "sleep %d", ARG(0));
        } else if (self->statement->op == DO_pause) {
            ASYNC_SUSPEND;
            note(WHO, "pause ");
        } else if (self->statement->op == DO_await) {
            AWAIT(await_one, self->scope, ARG(0), ARG(1), 0, "await");
        } else if (self->statement->op == DO_join) {
            AWAIT(await_one, self->scope, DO_task, ARG(0), 1, "join");
        } else if (self->statement->op == DO_call) {
            AWAIT_INTO(self->scope->value, call, WHO, ARG(0));
            note(WHO, "call %d %d", ARG(0), self->scope->value);
        } else if (self->statement->op == DO_acquire) {
            AWAIT(async_lock_acquire, &world.locks[ARG(0)]);
            note(WHO, "acquire %d", ARG(0));
        } else if (self->statement->op == DO_evwait) {
            AWAIT(async_event_wait, &world.events[ARG(0)]);
            note(WHO, "evwait %d", ARG(0));
        } else if (self->statement->op == DO_cacquire) {
            AWAIT(async_condition_acquire, &world.conditions[ARG(0)]);
            note(WHO, "cacquire %d", ARG(0));
        } else if (self->statement->op == DO_cwait) {
            AWAIT(async_condition_wait, &world.conditions[ARG(0)]);
            note(WHO, "cwait %d", ARG(0));
        } else if (self->statement->op == DO_cwaitfor) {
            AWAIT(async_condition_wait_for, &world.conditions[ARG(0)], enough,
                  (void *)(uintptr_t)self->statement);
            note(WHO, "cwaitfor %d %d", ARG(0), world.variables[ARG(1)]);
        } else if (self->statement->op == DO_semacquire && ARG(0) < 2) {
            AWAIT(async_semaphore_acquire, &world.semaphores[ARG(0)]);
            note(WHO, "semacquire %d", ARG(0));
        } else if (self->statement->op == DO_semacquire) {
            AWAIT(async_bounded_semaphore_acquire, &world.bounded);
            note(WHO, "semacquire 2");
        } else if (self->statement->op == DO_barwait) {
            AWAIT_INTO(self->scope->value, async_barrier_wait,
                       &world.barriers[ARG(0)]);
            note(WHO, "barwait %d %d", ARG(0), self->scope->value);
        } else if (self->statement->op == DO_barreset) {
            AWAIT(async_barrier_reset, &world.barriers[ARG(0)]);
            note(WHO, "barreset %d", ARG(0));
        } else if (self->statement->op == DO_barabort) {
            AWAIT(async_barrier_abort, &world.barriers[ARG(0)]);
            note(WHO, "barabort %d", ARG(0));
        } else if (self->statement->op == DO_put) {
            AWAIT(run_put, self->scope, self->statement);
        } else if (self->statement->op == DO_get) {
            AWAIT(run_get, self->scope, self->statement);
        } else if (self->statement->op == DO_qjoin) {
            AWAIT(async_queue_join, queue(ARG(0)));
            note(WHO, "qjoin %d", ARG(0));
        } else if (self->statement->op == DO_gather) {
            AWAIT(run_gather, self->scope, self->statement);
        } else if (self->statement->op == DO_wait) {
            AWAIT(run_wait, self->scope, self->statement);
        } else if (self->statement->op == DO_completed) {
            AWAIT_INTO(self->flow, run_completed, self->scope,
                       self->statement);
        } else if (self->statement->op == DO_shield) {
            AWAIT(run_shield, self->scope, self->statement);
        } else if (self->statement->op == DO_limit) {
            AWAIT(run_limit, self->scope, self->statement);
        }
        if (self->flow) ASYNC_RETURN(self->flow);
    }
    ASYNC_RETURN(GO_ON);
    ASYNC_END;
}

/* --- a program ------------------------------------------------------------ */

/* Whether the clock moves while it runs.  A lazy loop sees that late. */
static int stalls(const node *statement)
{
    for (; statement != NULL; statement = statement->next)
        if (statement->op == DO_stall || stalls(statement->children)) return 1;
    return 0;
}

static void begin(const node *program, int lazily)
{
    const node *function;
    int i;
    memset(&world, 0, sizeof world);
    world.fuel = FUEL;
    over = 0;
    silent = memory.failing != 0;
    for (i = 0, function = program->children; function != NULL && i < 16;
         function = function->next)
        world.functions[i++] = function;
    if (lazily && !stalls(program)) {
        the_loop = &lazy.base;
        lazy.time = 0;
        async_loop_init(&lazy.base, &lazy_backend, &counted, 0);
    } else {
        the_loop = &polling.base;
        async_virtual_loop_init(&polling, &counted);
    }
    async_loop_set_exception_handler(the_loop, report, NULL);
    world.eager = program->args[1] == EAGER || program->args[2] == EAGER;
    if (world.eager)
        async_loop_set_task_factory(the_loop, async_eager_task_factory, NULL);
    for (i = 0; i < FUTURES; i++)
        async_future_init(&world.futures[i].future, the_loop);
    async_condition_init(&world.conditions[1], &world.locks[0]);
    async_semaphore_init(&world.semaphores[0], 1);
    async_semaphore_init(&world.semaphores[1], 2);
    async_bounded_semaphore_init(&world.bounded, 1);
    async_barrier_init(&world.barriers[0], 2);
    async_barrier_init(&world.barriers[1], 3);
    ASYNC_QUEUE_INIT(&world.fifo);
    ASYNC_HEAP_QUEUE_INIT(&world.endless, the_loop, 0);
    ASYNC_LIFO_QUEUE_INIT(&world.lifo);
    ASYNC_PRIORITY_QUEUE_INIT(&world.priority, compare);
}

static void cancel_all(void)
{
    async_task *task = NULL;
    while ((task = async_all_tasks(the_loop, task)) != NULL)
        async_task_cancel(task);
}

static void run_on(void)
{
    async_loop_run_until_complete(the_loop, CO(async_sleep, ASYNC_MS(1000)));
}

static void advance_to(int time)
{
    advance(ASYNC_MS(time) - async_loop_time(the_loop));
}

static void note_states(void)
{
    int i;
    for (i = 0; i < world.n_tasks; i++)
        note(MAIN, "t%d %s", i, state_of(&world.tasks[i].task->future));
    for (i = 0; i < FUTURES; i++)
        if (async_future_done(&world.futures[i].future))
            note(MAIN, "f%d %s", i, state_of(&world.futures[i].future));
    for (i = 0; i < world.n_gathers; i++)
        note(MAIN, "g%d %s", i, state_of(world.gathers[i].outer));
}

/* Ends what is left, and gives all of it back. */
static void end(void)
{
    int i, turns, quiet = silent;
    over = (long)(async_loop_time(the_loop) / ASYNC_MS(1));
    silent = 1;
    memory.over = 1;
    world.fuel = 0;
    for (turns = 0; turns < 50 && async_all_tasks(the_loop, NULL) != NULL;
         turns++) {
        for (i = 0; i < 2; i++) {
            async_lock_release(&world.locks[i]);
            async_condition_release(&world.conditions[i]);
        }
        cancel_all();
        run_on();
    }
    if (async_all_tasks(the_loop, NULL) != NULL)
        problem("a task does not end");
    for (i = world.n_gathers - 1; i >= 0; i--) /* some hold earlier ones */
        async_gather_clear(&world.gathers[i].gathering);
    for (i = 0; i < world.n_tasks; i++)
        async_task_release(world.tasks[i].task);
    async_queue_destroy(&world.endless.queue);
    for (i = 0; i < FUTURES; i++)
        async_future_destroy(&world.futures[i].future);
    async_loop_close(the_loop);
    silent = quiet;
    if (memory.blocks != 0) problem("%ld blocks leak", memory.blocks);
}

/* Whose errors nobody has seen, which they tell when they are given back. */
static void note_unseen(void)
{
    int i;
    for (i = 0; i < world.n_tasks; i++)
        if (world.unseen_tasks[i] < 0)
            note(MAIN, "t%d unseen %s", i, name_of(world.unseen_tasks[i]));
    for (i = 0; i < FUTURES; i++)
        if (world.unseen_futures[i] < 0)
            note(MAIN, "f%d unseen %s", i, name_of(world.unseen_futures[i]));
    for (i = 0; i < world.n_gathers; i++)
        if (world.unseen_gathers[i] < 0)
            note(MAIN, "g%d unseen %s", i, name_of(world.unseen_gathers[i]));
}

static void run(const node *program, int lazily)
{
    int turn, error, value, ended, hangs;
    begin(program, lazily);
    memory.allocations = memory.over = 0;
    memory.blocks = 0;
    if (program->args[1] == RUN)
        error =
            ASYNC_RUN_ON_INTO(value, the_loop, run_task, .index = NO_NUMBER);
    else
        error = ASYNC_RUN_UNTIL_COMPLETE_INTO(value, the_loop, run_task,
                                              .index = NO_NUMBER);
    for (turn = 0; turn < world.n_tasks; turn++)
        if (world.shut_down[turn])
            note(MAIN, "report t%d %s", turn, name_of(world.shut_down[turn]));
    if (error == 0) {
        note(MAIN, "returned %d", value);
    } else if (error == ASYNC_EDEADLOCK) {
        /* asyncio's timers of what was left in the middle may be armed. */
        advance_to(5000);
        note(MAIN, "deadlock");
    } else {
        note(MAIN, "failed %s", name_of(error));
    }
    /* asyncio.run() would not have ended. */
    hangs = program->args[1] == RUN && async_all_tasks(the_loop, NULL) != NULL;
    run_on();
    for (turn = 1; turn < 4; turn++) {
        advance_to(turn * 10000);
        cancel_all();
        run_on();
        note(MAIN, "swept");
    }
    note_states();
    /* What does not end may be about to see some. */
    ended = !hangs && async_all_tasks(the_loop, NULL) == NULL;
    end();
    if (ended) note_unseen();
}

static void run_without_memory(const node *program)
{
    for (memory.for_good = 0; memory.for_good < 2; memory.for_good++) {
        memory.failing = 0;
        do {
            memory.failing++;
            run(program, 0);
        } while (memory.allocations >= memory.failing);
    }
}

int main(int argc, char **argv)
{
    const node *program;
    char mode = argc > 1 && argv[1][0] == '-' ? argv[1][1] : '\0';
    /* What crashes shall have said what it did before. */
    setvbuf(stdout, NULL, _IOLBF, 4096);
    while ((program = parse(stdin)) != NULL) {
        printf("program %d\n", program->args[0]);
        if (mode == 'm')
            run_without_memory(program);
        else
            run(program, mode == 'l');
    }
    return problems != 0;
}
