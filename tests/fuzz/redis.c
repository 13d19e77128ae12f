/* What a Redis server says, as the fuzzer has it, in pieces: to those who wait
 * for replies of each kind, some of whom give up meanwhile, and to one who hears
 * messages.  The first byte of the input says who waits, the second how long
 * the pieces are.  hiredis parses; what it makes its replies of, and who gets
 * them, is ours. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/net/redis.h"
#include "../../async/test/virtual.h"

#include "target.h"

enum { WAITING = 12 };

/* Every byte of it can be read. */
static size_t look(const async_redis_reply *reply)
{
    size_t i, sum = reply->size;
    CHECK(reply->type >= ASYNC_REDIS_NIL && reply->type <= ASYNC_REDIS_ERROR);
    if (reply->text != NULL) CHECK(reply->text[reply->size] == '\0');
    for (i = 0; i < reply->size; i++) sum += (unsigned char)reply->text[i];
    for (i = 0; i < reply->count; i++) sum += look(reply->elements[i]);
    return sum;
}

static void converse(async_loop *loop, const uint8_t *data, size_t size)
{
    static async_redis redis;
    static async__redis_request requests[WAITING];
    static async_redis_reply replies[WAITING];
    static struct async_redis_messages hears;
    async__redis_link *link;
    async co;
    uint8_t who = data[0], piece = data[1] ? data[1] : 255;
    int i, step;
    data += 2;
    size -= 2;
    memset(&redis, 0, sizeof redis);
    memset(requests, 0, sizeof requests);
    memset(replies, 0, sizeof replies);
    memset(&co, 0, sizeof co);
    redis.loop = loop;
    redis.state = ASYNC__REDIS_OPEN;
    redis.limit = who & 1 ? 2000 : 0;
    async__list_init(&redis.requests);
    redis.reader = async__redis_reader(&redis);
    link = (async__redis_link *)async__allocate_large(loop, sizeof *link);
    CHECK(redis.reader != NULL && link != NULL);
    memset(link, 0, sizeof *link);
    link->redis = &redis;
    link->allocator = loop->allocator;
    redis.link = link;
    for (i = 0; i < WAITING; i++) {
        int kind = (who >> 1) % 4;
        size_t wanted = kind == ASYNC__REDIS_ONE ? 1 : 1 + (size_t)(i % 3);
        if (who & 64 && i == WAITING / 2) {
            redis.confirm_from = redis.sent;
            redis.confirming = 4;
        }
        if (kind == ASYNC__REDIS_MANY)
            CHECK(async__redis_prepare_many(&redis, &replies[i], wanted) == 0);
        async__redis_stand(&redis, &requests[i], &replies[i], kind, wanted);
        who = (uint8_t)(who << 1 | who >> 7);
    }
    while (size > 0) {
        size_t n = piece < size ? piece : size;
        (void)async__redis_received(&link->protocol, data, n);
        data += n;
        size -= n;
        if (redis.link == NULL) break;
        /* One of them gives up. */
        i = (int)(data[-1] % WAITING);
        if (who & 128 && requests[i].link.prev != NULL) {
            async__redis_waited(&redis, &requests[i]);
            async_redis_free(&replies[i]);
        }
        piece = (uint8_t)(piece * 5 + 1);
        if (piece == 0) piece = 1;
    }
    for (i = 0; i < WAITING; i++) {
        (void)look(&replies[i]);
        async_redis_free(&replies[i]);
    }
    hears.redis = &redis;
    while ((step = async__redis_step(&hears, &co)) == 0)
        CHECK(hears.frame.value.channel[hears.frame.value.channel_size] ==
                  '\0' &&
              hears.frame.value.text[hears.frame.value.size] == '\0');
    CHECK(step < 0 || redis.link != NULL);
    for (i = 0; i < WAITING; i++)
        if (requests[i].link.prev != NULL)
            async__redis_waited(&redis, &requests[i]);
    async__redis_end(&redis);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    async_virtual_loop loop;
    if (size < 3) return 0;
    async_virtual_loop_init(&loop, &counted);
    converse(&loop.base, data, size);
    CHECK(async_loop_close(&loop.base) == 0);
    CHECK(live == 0);
    return 0;
}
