#include "conformance.h"

#include "../../async/nursery.h"

typedef ASYNC_STARTING(const char *) text_starting;
static async_time t0;

struct service { ASYNC_FRAME; text_starting *start; };
static ASYNC(service)
{
    ASYNC_BEGIN(service);
    AWAIT(async_sleep, 2 * U);
    ASYNC_STARTED(self->start, "port 80");
    AWAIT(async_sleep, 5 * U);
    printf("service end %d\n", units_since(async_loop_of(co), t0));
    ASYNC_END;
}

struct broken { ASYNC_FRAME; text_starting *start; };
static ASYNC(broken)
{
    ASYNC_BEGIN(broken);
    AWAIT(async_sleep, 1 * U);
    ASYNC_RAISE(E_KEY);
    ASYNC_END;
}

struct quits { ASYNC_FRAME; text_starting *start; };
static ASYNC(quits)
{
    ASYNC_BEGIN(quits);
    AWAIT(async_sleep, 1 * U);
    ASYNC_END;
}

struct program { ASYNC_FRAME; async_nursery nursery; text_starting start; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    t0 = async_loop_time(async_loop_of(co));
    ASYNC_NURSERY(&self->nursery) {
        AWAIT_NURSERY_START(&self->nursery, &self->start, service,
                            &self->start);
        printf("%s %d\n", self->start.value,
               units_since(async_loop_of(co), t0));
        ASYNC_TRY {
            AWAIT_NURSERY_START(&self->nursery, &self->start, broken,
                                &self->start);
        } ASYNC_EXCEPT(E_KEY) {
            puts("KeyError early");
        } ASYNC_END_TRY
        ASYNC_TRY {
            AWAIT_NURSERY_START(&self->nursery, &self->start, quits,
                                &self->start);
        } ASYNC_EXCEPT(ASYNC_ENOTSTARTED) {
            puts("RuntimeError no started()");
        } ASYNC_END_TRY
        printf("body end %d\n", units_since(async_loop_of(co), t0));
    }
    ASYNC_END_NURSERY
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
