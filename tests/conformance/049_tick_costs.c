/* How many iterations each await costs.  (The ticker is a callback that
 * schedules itself again; it was queued before what is measured.) */
#include "conformance.h"

#include "../../async/group.h"
#include "../../async/queue.h"
#include "../../async/sync.h"

static int n;
static async_handle ticker;
static int stopped;

static int tick(void *loop)
{
    n++;
    return stopped
               ? 0
               : async_loop_call_soon((async_loop *)loop, &ticker, tick, loop);
}

struct quick { ASYNC_RETURNS(int); };
static ASYNC(quick)
{
    ASYNC_BEGIN(quick);
    ASYNC_RETURN(1);
    ASYNC_END;
}

struct one { ASYNC_FRAME; };
static ASYNC(one)
{
    ASYNC_BEGIN(one);
    AWAIT(async_sleep, 0);
    ASYNC_END;
}

struct gather_quick { ASYNC_FRAME; async_gathering all; };
static ASYNC(gather_quick)
{
    ASYNC_BEGIN(gather_quick);
    AWAIT_GATHER(&self->all, CO(quick));
    async_gather_clear(&self->all);
    ASYNC_END;
}

struct gather_none { ASYNC_FRAME; async_gathering all; };
static ASYNC(gather_none)
{
    ASYNC_BEGIN(gather_none);
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    ASYNC_END;
}

struct gather_three { ASYNC_FRAME; async_gathering all; };
static ASYNC(gather_three)
{
    ASYNC_BEGIN(gather_three);
    AWAIT_GATHER(&self->all, CO(one), CO(one), CO(one));
    async_gather_clear(&self->all);
    ASYNC_END;
}

struct tg { ASYNC_FRAME; int k; int i; async_task_group group; };
static ASYNC(tg)
{
    ASYNC_BEGIN(tg);
    ASYNC_TASK_GROUP(&self->group) {
        for (self->i = 0; self->i < self->k; self->i++)
            async_group_spawn(&self->group, CO(quick));
    } ASYNC_END_TASK_GROUP
    ASYNC_END;
}

static int set_event(void *event)
{
    async_event_set((async_event *)event);
    return 0;
}

static int release_lock(void *lock)
{
    return async_lock_release((async_lock *)lock);
}

typedef ASYNC_QUEUE(int, 16) numbers;
static int put_one(void *queue)
{
    return ASYNC_QUEUE_PUT_NOWAIT((numbers *)queue, 1);
}

#define M(name, await)                                                        \
    self->a = n;                                                              \
    await;                                                                    \
    printf("%s %d\n", name, n - self->a)

struct program {
    ASYNC_FRAME;
    async_loop *loop;
    int a, item;
    async_task *t;
    async_future f;
    async_handle soon;
    async_waited waited[1];
    async_event ev;
    async_lock lk;
    numbers q;
};
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    self->loop = async_get_running_loop();
    ASYNC_QUEUE_INIT(&self->q);
    async_loop_call_soon(self->loop, &ticker, tick, self->loop);
    AWAIT(async_sleep, 0);
    M("coroutine", AWAIT(quick));
    M("sleep0", AWAIT(async_sleep, 0));
    self->t = async_create_task(CO(quick));
    M("task quick", AWAIT_JOIN(self->t));
    self->t = async_create_task(CO(one));
    M("task one", AWAIT_JOIN(self->t));
    async_future_init(&self->f, self->loop);
    async_loop_call_soon(self->loop, &self->soon, set_result, &self->f);
    M("future set by call_soon", AWAIT_FUTURE(&self->f));
    M("gather()", AWAIT(gather_none));
    M("gather(1 quick)", AWAIT(gather_quick));
    M("gather(3 one)", AWAIT(gather_three));
    self->t = async_create_task(CO(quick));
    self->waited[0].future = &self->t->future;
    M("wait(1 quick)", AWAIT(async_wait, self->waited, 1, ASYNC_FOREVER));
    async_task_release(self->t);
    self->t = async_create_task(CO(quick));
    AWAIT(async_sleep, 0);
    AWAIT(async_sleep, 0);
    self->waited[0].future = &self->t->future;
    M("wait(done)", AWAIT(async_wait, self->waited, 1, ASYNC_FOREVER));
    M("shield(quick)", AWAIT(async_shield, CO(quick)));
    M("shield(done)", AWAIT(async_shield, async_task_object(self->t)));
    async_task_release(self->t);
    async_loop_call_soon(self->loop, &self->soon, set_event, &self->ev);
    M("event", AWAIT(async_event_wait, &self->ev));
    M("event set", AWAIT(async_event_wait, &self->ev));
    M("lock free", AWAIT(async_lock_acquire, &self->lk));
    async_loop_call_soon(self->loop, &self->soon, release_lock, &self->lk);
    M("lock contended", AWAIT(async_lock_acquire, &self->lk));
    ASYNC_QUEUE_PUT_NOWAIT(&self->q, 1);
    M("queue get item", AWAIT_QUEUE_GET_INTO(self->item, &self->q));
    async_loop_call_soon(self->loop, &self->soon, put_one, &self->q);
    M("queue get empty", AWAIT_QUEUE_GET_INTO(self->item, &self->q));
    M("queue put", AWAIT_QUEUE_PUT(&self->q, 1));
    M("taskgroup(0)", AWAIT(tg, 0));
    M("taskgroup(2 quick)", AWAIT(tg, 2));
    stopped = 1;
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
