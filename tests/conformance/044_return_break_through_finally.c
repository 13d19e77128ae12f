#include "conformance.h"

typedef const char *text;

struct r1 { ASYNC_RETURNS(text); };
static ASYNC(r1)
{
    ASYNC_BEGIN(r1);
    ASYNC_TRY {
        ASYNC_RETURN("try");
    } ASYNC_FINALLY {
        AWAIT(async_sleep, 0);
        puts("fin r1");
    } ASYNC_END_TRY
    ASYNC_RETURN(NULL);
    ASYNC_END;
}

struct r2 { ASYNC_RETURNS(text); };
static ASYNC(r2)
{
    ASYNC_BEGIN(r2);
    ASYNC_TRY {
        ASYNC_RAISE(E_VALUE);
    } ASYNC_FINALLY {
        AWAIT(async_sleep, 0);
        ASYNC_RETURN("from finally");
    } ASYNC_END_TRY
    ASYNC_RETURN(NULL);
    ASYNC_END;
}

struct r3 { ASYNC_RETURNS(text); int i; };
static ASYNC(r3)
{
    ASYNC_BEGIN(r3);
    for (self->i = 0; self->i < 4; self->i++) {
        ASYNC_TRY {
            if (self->i == 1) continue;
            if (self->i == 2) break;
            AWAIT(async_sleep, 0);
        } ASYNC_FINALLY {
            AWAIT(async_sleep, 0);
            printf("fin %d\n", self->i);
        } ASYNC_END_TRY
    }
    if (self->i == 4) puts("never"); /* the else of Python's for */
    ASYNC_RETURN("r3");
    ASYNC_END;
}

struct r4 { ASYNC_RETURNS(text); };
static ASYNC(r4)
{
    ASYNC_BEGIN(r4);
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_FINALLY {
        ASYNC_RETURN("eaten");
    } ASYNC_END_TRY
    ASYNC_RETURN(NULL);
    ASYNC_END;
}

struct program { ASYNC_FRAME; text result; ASYNC_TASK_OF(r4) t; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT_INTO(self->result, r1);
    puts(self->result);
    AWAIT_INTO(self->result, r2);
    puts(self->result);
    AWAIT_INTO(self->result, r3);
    puts(self->result);
    ASYNC_SPAWN(self->t, r4);
    AWAIT(async_sleep, 0);
    async_task_cancel(self->t.task);
    AWAIT_TASK_INTO(self->result, self->t);
    printf("%s %s\n", self->result, boolean(async_task_cancelled(self->t.task)));
    async_task_release(self->t.task);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
