#include "conformance.h"

#include "../../async/scope.h"

struct program { ASYNC_FRAME; async_time t0; async_scope outer, inner, s; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->t0 = async_loop_time(async_loop_of(co));
    ASYNC_MOVE_ON_AFTER(&self->outer, 2 * U) {
        ASYNC_MOVE_ON_AFTER(&self->inner, 5 * U) {
            printf("effective %d\n",
                   (int)((async_current_effective_deadline() - self->t0 +
                          U / 10) /
                         U));
            AWAIT(async_sleep, 100 * U);
        }
        ASYNC_END_SCOPE
        puts("never");
    }
    ASYNC_END_SCOPE
    printf("%s %s %d\n", boolean(async_scope_cancelled_caught(&self->outer)),
           boolean(async_scope_cancelled_caught(&self->inner)),
           units_since(async_loop_of(co), self->t0));
    ASYNC_TRY {
        ASYNC_FAIL_AFTER(&self->s, 1 * U) {
            AWAIT(async_sleep, 100 * U);
        }
        ASYNC_END_SCOPE
    } ASYNC_EXCEPT(ASYNC_ETIMEDOUT) {
        printf("TooSlowError %d\n", units_since(async_loop_of(co), self->t0));
    } ASYNC_END_TRY
    ASYNC_MOVE_ON_AFTER(&self->s, 1 * U) {
        async_scope_set_deadline(&self->s,
                                 async_scope_deadline(&self->s) + 3 * U);
        AWAIT(async_sleep, 2 * U);
        printf("survived %d\n", units_since(async_loop_of(co), self->t0));
        async_scope_set_deadline(&self->s,
                                 async_loop_time(async_loop_of(co)) + 1 * U);
        AWAIT(async_sleep, 100 * U);
    }
    ASYNC_END_SCOPE
    printf("%s %d\n", boolean(async_scope_cancelled_caught(&self->s)),
           units_since(async_loop_of(co), self->t0));
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
