#include "conformance.h"

#include "../../async/scope.h"

struct program { ASYNC_FRAME; async_time t0; async_scope scope; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t0 = async_loop_time(async_loop_of(co));
    ASYNC_MOVE_ON_AFTER(&self->scope, 1 * U) {
        ASYNC_TRY {
            AWAIT(async_sleep, 100 * U);
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
            puts("first Cancelled");
            ASYNC_TRY {
                AWAIT(async_sleep, 1 * U);
                puts("never");
            } ASYNC_EXCEPT(ASYNC_ECANCELED) {
                puts("second Cancelled");
                ASYNC_RAISE(ASYNC_ECANCELED);
            } ASYNC_END_TRY
        } ASYNC_END_TRY
    }
    ASYNC_END_SCOPE
    printf("%s %s %d\n", boolean(async_scope_cancel_called(&self->scope)),
           boolean(async_scope_cancelled_caught(&self->scope)),
           units_since(async_loop_of(co), self->t0));
    ASYNC_SCOPE(&self->scope) {
        async_scope_cancel(&self->scope);
        ASYNC_TRY {
            AWAIT(async_sleep, 100 * U);
        } ASYNC_EXCEPT(ASYNC_ECANCELED) {
            puts("swallowed");
        } ASYNC_END_TRY
    }
    ASYNC_END_SCOPE
    printf("%s %s\n", boolean(async_scope_cancel_called(&self->scope)),
           boolean(async_scope_cancelled_caught(&self->scope)));
    ASYNC_SCOPE(&self->scope) {
        async_scope_cancel(&self->scope);
        puts("no checkpoint, nothing happens");
    }
    ASYNC_END_SCOPE
    printf("%s %s\n", boolean(async_scope_cancel_called(&self->scope)),
           boolean(async_scope_cancelled_caught(&self->scope)));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
