#include "conformance.h"

#include "../../async/scope.h"

struct program { ASYNC_FRAME; async_time t0; async_scope outer, cleanup; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t0 = async_loop_time(async_loop_of(co));
    ASYNC_MOVE_ON_AFTER(&self->outer, 1 * U) {
        ASYNC_SHIELD_SCOPE(&self->cleanup) {
            AWAIT(async_sleep, 3 * U);
            printf("shielded sleep done %d\n",
                   units_since(async_loop_of(co), self->t0));
        }
        ASYNC_END_SCOPE
        puts("still running without checkpoint");
        AWAIT(async_sleep, 0);
        puts("never");
    }
    ASYNC_END_SCOPE
    printf("%s %d\n", boolean(async_scope_cancelled_caught(&self->outer)),
           units_since(async_loop_of(co), self->t0));
    ASYNC_MOVE_ON_AFTER(&self->outer, 1 * U) {
        ASYNC_TRY {
            AWAIT(async_sleep, 100 * U);
        } ASYNC_FINALLY {
            ASYNC_MOVE_ON_AFTER(&self->cleanup, 2 * U) {
                async_scope_set_shield(&self->cleanup, 1);
                AWAIT(async_sleep, 50 * U);
            }
            ASYNC_END_SCOPE
            printf("cleanup limited %s %d\n",
                   boolean(async_scope_cancelled_caught(&self->cleanup)),
                   units_since(async_loop_of(co), self->t0));
        } ASYNC_END_TRY
    }
    ASYNC_END_SCOPE
    puts(boolean(async_scope_cancelled_caught(&self->outer)));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
