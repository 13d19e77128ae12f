#include "conformance.h"

#include "../../async/scope.h"

struct program { ASYNC_FRAME; async_scope scope, outer, inner; int i, hits; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    ASYNC_MOVE_ON_AFTER(&self->scope, 1 * U) {
        for (self->i = 0; self->i < 3; self->i++) {
            ASYNC_TRY {
                AWAIT(async_sleep, 200 * U);
            } ASYNC_EXCEPT(ASYNC_ECANCELED) {
                self->hits++;
            } ASYNC_END_TRY
        }
        AWAIT(async_sleep, 200 * U);
    }
    ASYNC_END_SCOPE
    printf("hits %d %s\n", self->hits,
           boolean(async_scope_cancel_called(&self->scope)));
    ASYNC_TRY {
        ASYNC_FAIL_AFTER(&self->scope, 1 * U) {
            AWAIT(async_sleep, 200 * U);
        }
        ASYNC_END_SCOPE
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        puts("TimeoutError");
    } ASYNC_END_TRY
    ASYNC_SCOPE(&self->outer) {
        async_scope_cancel(&self->outer);
        ASYNC_SHIELD_SCOPE(&self->inner) {
            AWAIT(async_sleep, 2 * U / 5);
            puts("shielded");
        }
        ASYNC_END_SCOPE
        AWAIT(async_sleep, 20 * U);
        puts("never");
    }
    ASYNC_END_SCOPE
    puts("end");
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
