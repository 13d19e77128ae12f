#include "conformance.h"

struct f { ASYNC_RETURNS(int); int mode; };
static ASYNC(f)
{
    ASYNC_BEGIN(f);
    ASYNC_TRY {
        ASYNC_TRY {
            AWAIT(async_sleep, 0);
            puts(" body");
            if (self->mode == 1) ASYNC_RAISE(E_KEY);
            if (self->mode == 2) ASYNC_RAISE(E_VALUE);
        } ASYNC_EXCEPT(E_KEY) {
            AWAIT(async_sleep, 0);
            puts(" key 1");
            ASYNC_RAISE(E_INDEX);
        } ASYNC_ELSE {
            AWAIT(async_sleep, 0);
            puts(" else");
        } ASYNC_FINALLY {
            AWAIT(async_sleep, 0);
            puts(" finally1");
        } ASYNC_END_TRY
    } ASYNC_EXCEPT(E_VALUE) {
        AWAIT(async_sleep, 0);
        puts(" value 2");
    } ASYNC_FINALLY {
        AWAIT(async_sleep, 0);
        puts(" finally2");
    } ASYNC_END_TRY
    ASYNC_RETURN(self->mode);
    ASYNC_END;
}

struct program { ASYNC_FRAME; int m, n; };
static ASYNC(program)
{
    async_traceback traceback;
    ASYNC_BEGIN(program);
    for (self->m = 0; self->m < 3; self->m++) {
        printf("mode %d\n", self->m);
        ASYNC_TRY {
            AWAIT_INTO(self->n, f, self->m);
            printf(" -> %d\n", self->n);
        } ASYNC_EXCEPT(E_INDEX) {
            async_traceback_of(co, &traceback);
            async_traceback_context(&traceback);
            printf(" -> IndexError 9 %s\n", exception_name(traceback.error));
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
