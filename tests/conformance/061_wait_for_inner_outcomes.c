#include "conformance.h"

typedef const char *text;

/* KeyError("k") and KeyError("on cancel") */
enum { KEY_K = -10100, KEY_ON_CANCEL = -10101 };

struct inner { ASYNC_RETURNS(text); char kind; };
static ASYNC(inner)
{
    ASYNC_BEGIN(inner);
    if (self->kind == 'e') {
        AWAIT(async_sleep, U);
        ASYNC_RAISE(KEY_K);
    }
    ASYNC_TRY {
        AWAIT(async_sleep, ASYNC_SECONDS(100));
    } ASYNC_EXCEPT(ASYNC_ECANCELED) {
        if (self->kind == 's') ASYNC_RETURN("swallowed");
        ASYNC_RAISE(KEY_ON_CANCEL);
    } ASYNC_END_TRY
    ASYNC_RETURN(NULL);
    ASYNC_END;
}

struct program { ASYNC_FRAME; int i; text result; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    for (self->i = 0; self->i < 3; self->i++) {
        ASYNC_TRY {
            AWAIT_WAIT_FOR_INTO(self->result, 2 * U, inner, "esr"[self->i]);
            puts(self->result);
        } ASYNC_EXCEPT(KEY_K) {
            puts("KeyError k");
        } ASYNC_EXCEPT(KEY_ON_CANCEL) {
            puts("KeyError on cancel");
        } ASYNC_END_TRY
    }
    printf("%d\n", async_task_cancelling(async_current_task()));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
