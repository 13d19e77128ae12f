#include "conformance.h"

struct low { ASYNC_FRAME; };
static ASYNC(low)
{
    ASYNC_BEGIN(low);
    AWAIT(async_sleep, 0);
    ASYNC_RAISE(E_KEY);
    ASYNC_END;
}

struct mid { ASYNC_FRAME; };
static ASYNC(mid)
{
    ASYNC_BEGIN(mid);
    ASYNC_TRY {
        AWAIT(low);
    } ASYNC_EXCEPT(E_KEY) {
        ASYNC_RAISE(E_VALUE);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct top { ASYNC_FRAME; };
static ASYNC(top)
{
    ASYNC_BEGIN(top);
    ASYNC_TRY {
        AWAIT(mid);
    } ASYNC_FINALLY {
        AWAIT(async_sleep, 0);
        ASYNC_RAISE(E_INDEX);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void print_chain(const async *co)
{
    async_traceback e;
    const char *before = "[";
    async_traceback_of(co, &e);
    do {
        printf("%s'%s'", before, exception_name(e.error));
        before = ", ";
    } while (async_traceback_context(&e));
    puts("]");
}

struct program { ASYNC_FRAME; int error; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_TRY {
        AWAIT_JOIN(async_create_task(CO(mid)));
    } ASYNC_EXCEPT_ANY(self->error) {
        print_chain(co);
    } ASYNC_END_TRY
    ASYNC_TRY {
        AWAIT_JOIN(async_create_task(CO(top)));
    } ASYNC_EXCEPT_ANY(self->error) {
        print_chain(co);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
