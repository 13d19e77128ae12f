/* redis_counter - counts in Redis, from many tasks at once.
 *
 * Twenty tasks count to fifty each, through a pool of four connections, while
 * another one hears of every hundredth by a channel.
 *
 *     redis_counter [HOST | /PATH/OF/SOCKET]      127.0.0.1
 *
 * tests/scripts/redis runs it.
 */
#define ASYNC_IMPLEMENTATION
#include "../async/net/redis.h"

#include <stdio.h>

enum { TASKS = 20, TIMES = 50 };

static async_redis_options server;

struct count {
    ASYNC_FRAME;
    async_redis_pool *pool;
    async_redis *redis;
    int i;
    async_redis_reply reply;
    char text[32];
};
static ASYNC(count)
{
    ASYNC_BEGIN(count);
    for (; self->i < TIMES; self->i++) {
        ASYNC_TRY {
            AWAIT_INTO(self->redis, async_redis_acquire, self->pool);
            AWAIT(async_redis_command, self->redis, &self->reply,
                  ASYNC_REDIS("INCR", "caesura:visits"));
            if (self->reply.integer % 100 == 0) {
                snprintf(self->text, sizeof self->text, "%lld visits",
                         self->reply.integer);
                AWAIT(async_redis_command, self->redis, NULL,
                      ASYNC_REDIS("PUBLISH", "caesura:news", self->text));
            }
        } ASYNC_FINALLY {
            async_redis_free(&self->reply);
            async_redis_release(self->pool, self->redis);
            self->redis = NULL;
        } ASYNC_END_TRY
    }
    ASYNC_END;
}

/* Messages have a connection of their own. */
struct listen_to {
    ASYNC_FRAME;
    async_redis *redis;
    int heard;
    struct async_redis_messages news;
    async_redis_message message;
};
static ASYNC(listen_to)
{
    ASYNC_BEGIN(listen_to);
    self->news = ASYNC_GENERATOR(async_redis_messages, self->redis);
    ASYNC_FOR(self->message, &self->news) {
        printf("%s\n", self->message.text);
        if (++self->heard == TASKS * TIMES / 100) break;
    } ASYNC_END_FOR
    ASYNC_END;
}

struct program {
    ASYNC_FRAME;
    async_redis ear;
    async_redis_pool pool;
    async_net_pool_options limits;
    async_gathering all;
    int i;
};
static ASYNC(program)
{
    int error;
    ASYNC_BEGIN(program);
    ASYNC_TRY {
        self->limits.max_size = 4;
        error = async_redis_pool_open(&self->pool, async_loop_of(co), &server,
                                      &self->limits);
        if (error) ASYNC_RAISE(error);
        AWAIT(async_redis_connect, &self->ear, server);
        AWAIT(async_redis_subscribe, &self->ear, ASYNC_REDIS("caesura:news"));
        async_gather_add(&self->all, CO(listen_to, &self->ear));
        for (self->i = 0; self->i < TASKS; self->i++)
            async_gather_add(&self->all, CO(count, &self->pool));
        AWAIT(async_gather, &self->all);
        printf("by %d tasks and %d connections\n", TASKS,
               (int)async_net_pool_size(&self->pool.pool));
    } ASYNC_FINALLY {
        async_gather_clear(&self->all);
        async_redis_close(&self->ear);
        async_redis_pool_close(&self->pool);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] == '/')
        server.path = argv[1];
    else if (argc > 1)
        server.host = argv[1];
    return async_run(CO(program)) != 0;
}
