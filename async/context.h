/* context.h - values that belong to a task and to what it starts
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 * A context variable has a value in each context.  A task begins with the
 * values of where it was made, and what it sets then nobody else sees: a
 * request's number, say, that every function below can put into its log lines
 * without being handed it.  Names are those of Python's contextvars.
 *
 *     static ASYNC_CONTEXTVAR(int) request =
 *         ASYNC_CONTEXTVAR_INIT("request", 0);
 *     ...
 *     if (ASYNC_CONTEXTVAR_SET(&request, 7)) ...     no memory
 *     printf("[%d] ...", ASYNC_CONTEXTVAR_GET(&request));
 *
 * A callback (call_soon, call_later, done callbacks) has the values of where it
 * was scheduled.  A generator, and what is awaited without a task, have those
 * of the task that runs them, and so has what a task runs in another thread
 * (async/uv/executor.h), where they can be read but not set.  Outside all that,
 * and in callbacks that another thread has scheduled, variables have their
 * initial values.
 *
 *   VARIABLES          declare, get, set, reset
 *   CONTEXTS           copy, look into, run in one
 *   PRIVATE
 *
 * Memory.  Setting takes a block from the loop's allocator, as large as the
 * value and 40 bytes; tasks and callbacks that inherit share it.  A program
 * that never sets a variable pays nothing.  With ASYNC_NO_HEAP there is no
 * allocator by default, and setting fails.
 *
 * Threads: all of it belongs to the loop's thread.  Nothing here waits, so
 * nothing can be cancelled.
 */
#ifndef CAESURA_CONTEXT_H
#define CAESURA_CONTEXT_H

#include "../task.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------
 * VARIABLES
 * ------------------------------------------------------------------------ */

/* The type of a variable; it must have static storage, or outlive all contexts
 * in which it is set.
 *
 * T         a type name that can stand before an identifier; it is copied by
 *           assignment, and a pointer's target is the program's care
 * name      a string, not copied; for whoever looks at it in a debugger
 * initial   what it is where nobody has set it
 * Counterpart: contextvars.ContextVar. */
#define ASYNC_CONTEXTVAR(T)                                                   \
    struct {                                                                  \
        const char *name;                                                     \
        T value;                                                              \
    }
#define ASYNC_CONTEXTVAR_INIT(name, initial) { name, initial }

/* The value in the current context, or the initial one.
 * Counterpart: ContextVar.get(). */
#define ASYNC_CONTEXTVAR_GET(variable)                                        \
    (*(const __typeof__((variable)->value) *)async__contextvar_get(           \
        (variable), &(variable)->value))

/* Sets it in the current context; checks the value's type.
 * Returns  0; ASYNC_ENOMEM; ASYNC_ENOLOOP outside a running loop
 * Counterpart: ContextVar.set(). */
#define ASYNC_CONTEXTVAR_SET(variable, v)                                     \
    ASYNC__CONTEXTVAR_SET(variable, v, NULL, NULL)

/* The same, and remembers in a token what it was before:
 *
 *     ASYNC_CONTEXTVAR_TOKEN(int) before;           in the frame
 *     ASYNC_CONTEXTVAR_REPLACE(&request, 8, &self->before);
 *     ASYNC_TRY { ... } ASYNC_FINALLY {
 *         ASYNC_CONTEXTVAR_RESET(&request, &self->before);
 *     } ASYNC_END_TRY
 *
 * Resetting makes it that again, or not set.
 * Returns  0; ASYNC_ENOMEM; ASYNC_ENOLOOP; for the reset also
 *          ASYNC_ETOKENUSED, ASYNC_ETOKENVAR (another variable's),
 *          ASYNC_ETOKENCONTEXT (another context's), which change nothing
 * Counterparts: the Token of ContextVar.set(), ContextVar.reset(). */
#define ASYNC_CONTEXTVAR_TOKEN(T)                                             \
    struct {                                                                  \
        async__contextvar_token token;                                        \
        T value;                                                              \
    }
#define ASYNC_CONTEXTVAR_REPLACE(variable, v, before)                         \
    ASYNC__CONTEXTVAR_SET(variable, v, &(before)->token,                      \
                          ASYNC__SAME_TYPE(&(before)->value,                  \
                                           &(variable)->value))
#define ASYNC_CONTEXTVAR_RESET(variable, before)                              \
    async__contextvar_reset((variable), &(before)->token,                     \
                            ASYNC__SAME_TYPE(&(before)->value,                \
                                             &(variable)->value),             \
                            sizeof (variable)->value)

/* ------------------------------------------------------------------------
 * CONTEXTS
 *
 * An async_context is the program's, zeroed (and then empty) before its first
 * use.  It must be cleared when it is done with, after what runs in it.
 * ------------------------------------------------------------------------ */

/* Makes `context`, which is cleared first, have all the current values.
 * Counterpart: contextvars.copy_context(). */
void async_context_copy(async_context *context);
void async_context_clear(async_context *context);

/* The value in that context.  Counterpart: context.get(variable). */
#define ASYNC_CONTEXT_GET(context, variable)                                  \
    (*(const __typeof__((variable)->value) *)async__context_get(              \
        (context), (variable), &(variable)->value))

/* Calls back at once, in that context; what the callback sets stays there.
 * Returns  what it returns; ASYNC_ENOLOOP outside a running loop
 * Counterpart: Context.run(). */
int async_context_run(async_context *context, async_callback *callback,
                      void *argument);

/* Makes a task that runs in `context` itself, not in a copy, so what it sets
 * can be seen there; `context` must stay until the task has ended.  As
 * async_create_task() else.
 * Counterpart: asyncio.create_task(context=...). */
async_task *async_create_task_in(async_object object, async_context *context);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
typedef struct async__contextvar_token {
    const void *variable;
    const async_context *context;
    unsigned char was_set, used;
} async__contextvar_token;

const void *async__contextvar_get(const void *variable, const void *initial);
const void *async__context_get(const async_context *context,
                               const void *variable, const void *initial);
int async__contextvar_set(const void *variable, const void *value, size_t size,
                          async__contextvar_token *token, void *before);
int async__contextvar_reset(const void *variable,
                            async__contextvar_token *token, const void *before,
                            size_t size);

/* `a`, whose type must be that of `b`. */
#define ASYNC__SAME_TYPE(a, b) (1 ? (a) : (b))
#define ASYNC__CONTEXTVAR_SET(variable, v, token, before)                     \
    __extension__({                                                           \
        const __typeof__((variable)->value) async__value = (v);               \
        async__contextvar_set((variable), &async__value, sizeof async__value, \
                              (token), (before));                             \
    })

#ifdef __cplusplus
}
#endif

#endif /* CAESURA_CONTEXT_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * Bindings are a list.  One that others share is never changed: setting copies
 * what stands before the old value, and leaves that out.  So a context has each
 * variable once, and a copy of it is a pointer.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_CONTEXT_IMPLEMENTED)
#define CAESURA_CONTEXT_IMPLEMENTED

#ifdef __cplusplus
extern "C" {
#endif

static async_context *async__current_context(void)
{
    return async__running != NULL ? async__context_now(async__running) : NULL;
}

static async__binding *async__binding_of(const async_context *context,
                                         const void *variable)
{
    async__binding *binding = context != NULL ? context->bindings : NULL;
    while (binding != NULL && binding->variable != variable)
        binding = binding->next;
    return binding;
}

const void *async__context_get(const async_context *context,
                               const void *variable, const void *initial)
{
    async__binding *binding = async__binding_of(context, variable);
    return binding != NULL ? binding->value.bytes : initial;
}

#if ASYNC_HOSTED
/* In a thread that does a task's job: what the task has given it.  The job has
 * a share of the bindings, so that nobody changes them meanwhile. */
static __thread const async_context *async__context_of_job;
#else
#define async__context_of_job NULL
#endif

const void *async__contextvar_get(const void *variable, const void *initial)
{
    return async__context_get(async__running != NULL ? async__current_context()
                                                     : async__context_of_job,
                              variable, initial);
}

static async__binding *async__binding_make(const void *variable,
                                           const void *value, size_t size)
{
    const async_allocator *allocator = async__running->allocator;
    async__binding *binding = NULL;
    if (allocator != NULL)
        binding = (async__binding *)allocator->allocate(
            allocator->context, ASYNC__BINDING_SIZE(size));
    if (binding == NULL) return NULL;
    binding->next = NULL;
    binding->variable = variable;
    binding->allocator = allocator;
    binding->shares = 1;
    binding->size = (uint32_t)size;
    memcpy(binding->value.bytes, value, size);
    return binding;
}

/* Makes the context's list begin with `first` (if there is one) and go on
 * without `without` (if there is one).  Nothing has changed when it fails. */
static int async__context_change(async_context *context, async__binding *first,
                                 const async__binding *without)
{
    async__binding *old, *rest = context->bindings, *copy, **end = &first;
    if (first != NULL) end = &first->next;
    if (without != NULL) {
        for (old = context->bindings; old != without; old = old->next) {
            copy = async__binding_make(old->variable,
                                       old->value.bytes, old->size);
            if (copy == NULL) {
                async__bindings_release(first);
                return ASYNC_ENOMEM;
            }
            *end = copy;
            end = &copy->next;
        }
        rest = without->next;
    }
    *end = rest;
    if (rest != NULL) rest->shares++;
    async__bindings_release(context->bindings);
    context->bindings = first;
    return 0;
}

static int async__context_set(async_context *context, const void *variable,
                              const void *value, size_t size)
{
    async__binding *old, *binding = context->bindings;
    /* One that nobody shares is changed where it is. */
    while (binding != NULL && binding->shares == 1 &&
           binding->variable != variable)
        binding = binding->next;
    if (binding != NULL && binding->shares == 1) {
        memcpy(binding->value.bytes, value, size);
        return 0;
    }
    old = async__binding_of(context, variable);
    binding = async__binding_make(variable, value, size);
    if (binding == NULL) return ASYNC_ENOMEM;
    async__running->contexts = 1;
    return async__context_change(context, binding, old);
}

int async__contextvar_set(const void *variable, const void *value, size_t size,
                          async__contextvar_token *token, void *before)
{
    async_context *context = async__current_context();
    async__binding *old;
    if (context == NULL) return ASYNC_ENOLOOP;
    old = async__binding_of(context, variable);
    if (token != NULL) {
        token->variable = variable;
        token->context = context;
        token->used = 0;
        token->was_set = old != NULL;
        if (old != NULL) memcpy(before, old->value.bytes, size);
    }
    return async__context_set(context, variable, value, size);
}

int async__contextvar_reset(const void *variable,
                            async__contextvar_token *token, const void *before,
                            size_t size)
{
    async_context *context = async__current_context();
    async__binding *binding;
    int error;
    if (context == NULL) return ASYNC_ENOLOOP;
    if (token->used) return ASYNC_ETOKENUSED;
    if (token->variable != variable) return ASYNC_ETOKENVAR;
    if (token->context != context) return ASYNC_ETOKENCONTEXT;
    binding = async__binding_of(context, variable);
    if (token->was_set)
        error = async__context_set(context, variable, before, size);
    else
        error = binding == NULL
                    ? 0
                    : async__context_change(context, NULL, binding);
    if (!error) token->used = 1;
    return error;
}

void async_context_copy(async_context *context)
{
    async__binding *bindings =
        async__running != NULL ? async__bindings_now(async__running) : NULL;
    async_context_clear(context);
    context->bindings = bindings;
}

void async_context_clear(async_context *context)
{
    async__uncapture(&context->bindings);
}

int async_context_run(async_context *context, async_callback *callback,
                      void *argument)
{
    async_loop *loop = async__running;
    async_context *outer;
    int error;
    if (loop == NULL) return ASYNC_ENOLOOP;
    outer = loop->context;
    loop->context = context;
    loop->contexts = 1;
    error = callback(argument);
    loop->context = outer;
    return error;
}

async_task *async_create_task_in(async_object object, async_context *context)
{
    return async__create(async__running, object, context, 0);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
