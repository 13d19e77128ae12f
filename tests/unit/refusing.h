/* What stands between libuv and the headers that need threads: each can be
 * refused.  Goes before them.
 *
 * libuv closes descriptors by a system call of its own, which the thread
 * sanitizer does not see: it takes one that another thread gets next for the
 * same.  So loops are opened one after the other, and what is left not told. */
#ifndef UNIT_REFUSING_H
#define UNIT_REFUSING_H

#include <uv.h>

/* The nth call of each from now on; 0: none. */
static int refuse_thread, refuse_loop, refuse_mutex, refuse_condition;
static inline int refused(int *countdown)
{
    return __atomic_load_n(countdown, __ATOMIC_RELAXED) > 0 &&
           __atomic_sub_fetch(countdown, 1, __ATOMIC_RELAXED) == 0;
}
static inline int test_thread_create(uv_thread_t *thread, uv_thread_cb entry,
                                     void *argument)
{
    if (refused(&refuse_thread)) return UV_EAGAIN;
    return uv_thread_create(thread, entry, argument);
}
static inline int test_mutex_init(uv_mutex_t *mutex)
{
    return refused(&refuse_mutex) ? UV_ENOMEM : uv_mutex_init(mutex);
}
static inline int test_cond_init(uv_cond_t *condition)
{
    return refused(&refuse_condition) ? UV_ENOMEM : uv_cond_init(condition);
}

static uv_mutex_t one_loop;
static uv_once_t one_loop_once = UV_ONCE_INIT;
static inline void init_one_loop(void)
{
    uv_mutex_init(&one_loop);
}
static inline int test_loop_init(uv_loop_t *loop)
{
    int error;
    uv_once(&one_loop_once, init_one_loop);
    uv_mutex_lock(&one_loop);
    error = refused(&refuse_loop) ? UV_EMFILE : uv_loop_init(loop);
    uv_mutex_unlock(&one_loop);
    return error;
}
#ifdef __SANITIZE_THREAD__
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:^uv_pipe$\nrace:^uv_async_init$\n";
}
#endif

#define uv_thread_create test_thread_create
#define uv_mutex_init test_mutex_init
#define uv_cond_init test_cond_init
#define uv_loop_init test_loop_init

#endif
