#include "conformance.h"

/* `async with` of a manager of one's own is a TRY: __aexit__ with an error is
 * its EXCEPT arm, and without one its ELSE arm. */
struct enter { ASYNC_FRAME; const char *n; };
static ASYNC(enter)
{
    ASYNC_BEGIN(enter);
    AWAIT(async_sleep, 0);
    printf("enter %s\n", self->n);
    ASYNC_END;
}

struct leave { ASYNC_FRAME; const char *n; int error; };
static ASYNC(leave)
{
    ASYNC_BEGIN(leave);
    AWAIT(async_sleep, 0);
    printf("exit %s %s\n", self->n,
           self->error ? exception_name(self->error) : "None");
    ASYNC_END;
}

struct held { ASYNC_FRAME; int error; };
static ASYNC(held)
{
    ASYNC_BEGIN(held);
    AWAIT(enter, "c");
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT_ALL(self->error) {
        AWAIT(leave, "c", self->error);
        ASYNC_RAISE(self->error);
    } ASYNC_ELSE {
        AWAIT(leave, "c");
    } ASYNC_END_TRY
    ASYNC_END;
}

/* What an error was raised while handling; one raised again is the same. */
static int context_of(const async *co)
{
    async_traceback e;
    int error;
    async_traceback_of(co, &e);
    error = e.error;
    while (e.error == error)
        if (!async_traceback_context(&e)) return 0;
    return e.error;
}

struct several { ASYNC_FRAME; int error; };
static ASYNC(several)
{
    ASYNC_BEGIN(several);
    AWAIT(enter, "a");
    ASYNC_TRY {
        AWAIT(enter, "b");
        ASYNC_TRY {
            puts("body a b");
        } ASYNC_EXCEPT_ALL(self->error) {
            AWAIT(leave, "b", self->error);
            ASYNC_RAISE(self->error);
        } ASYNC_ELSE {
            AWAIT(leave, "b");
        } ASYNC_END_TRY
    } ASYNC_EXCEPT_ALL(self->error) {
        AWAIT(leave, "a", self->error);
        ASYNC_RAISE(self->error);
    } ASYNC_ELSE {
        AWAIT(leave, "a");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct suppresses { ASYNC_FRAME; int error; };
static ASYNC(suppresses)
{
    ASYNC_BEGIN(suppresses);
    AWAIT(enter, "s");
    ASYNC_TRY {
        ASYNC_RAISE(E_KEY);
    } ASYNC_EXCEPT_ALL(self->error) {
        AWAIT(leave, "s", self->error);
    } ASYNC_END_TRY
    puts("suppressed");
    ASYNC_END;
}

struct replaces { ASYNC_FRAME; int error; };
static ASYNC(replaces)
{
    ASYNC_BEGIN(replaces);
    AWAIT(enter, "o");
    ASYNC_TRY {
        AWAIT(enter, "r");
        ASYNC_TRY {
            ASYNC_RAISE(E_KEY);
        } ASYNC_EXCEPT_ALL(self->error) {
            AWAIT(leave, "r", self->error);
            ASYNC_RAISE(E_INDEX);
        } ASYNC_END_TRY
    } ASYNC_EXCEPT_ALL(self->error) {
        AWAIT(leave, "o", self->error);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct acm_body { ASYNC_FRAME; };
static ASYNC(acm_body)
{
    ASYNC_BEGIN(acm_body);
    ASYNC_TRY {
        puts("stack body");
    } ASYNC_FINALLY {
        puts("cb 3");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct stack { ASYNC_FRAME; int error; };
static ASYNC(stack)
{
    ASYNC_BEGIN(stack);
    AWAIT(enter, "1");
    ASYNC_TRY {
        puts("acm enter 2");
        ASYNC_TRY {
            AWAIT(acm_body);
        } ASYNC_FINALLY {
            puts("acm exit 2");
        } ASYNC_END_TRY
    } ASYNC_EXCEPT_ALL(self->error) {
        AWAIT(leave, "1", self->error);
        ASYNC_RAISE(self->error);
    } ASYNC_ELSE {
        AWAIT(leave, "1");
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_task *t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT(several);
    AWAIT(suppresses);
    ASYNC_TRY {
        AWAIT(replaces);
    } ASYNC_EXCEPT(E_INDEX) {
        printf("IndexError %s\n", exception_name(context_of(co)));
    } ASYNC_END_TRY
    self->t = async_create_task(CO(held));
    AWAIT(async_sleep, U);
    async_task_cancel(self->t);
    AWAIT(until_ended, self->t);
    puts(boolean(async_task_cancelled(self->t)));
    async_task_release(self->t);
    AWAIT(stack);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
