/* What caesura-lint finds: each line that is wrong says what. */
#include <async/queue.h>
#include <async/uv/loop.h>
#include <async/uv/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct answer { ASYNC_RETURNS(int); int n; };
ASYNC(answer);
ASYNC(answer)
{
    ASYNC_BEGIN(answer);
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_RETURN(self->n);
    ASYNC_END;
}

/* An array, which no compiler warns of. */
struct array { ASYNC_FRAME; int n; };
ASYNC(array);
ASYNC(array)
{
    char text[64];
    ASYNC_BEGIN(array);
    snprintf(text, sizeof text, "%d", self->n);
    AWAIT(async_sleep, ASYNC_MS(1));
    puts(text); /* finds: lost-local */
    ASYNC_END;
}

struct point { int x, y; };
struct structure { ASYNC_RETURNS(int); int n; };
ASYNC(structure);
ASYNC(structure)
{
    struct point p;
    ASYNC_BEGIN(structure);
    p.x = self->n;
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_RETURN(p.x); /* finds: lost-local */
    ASYNC_END;
}

struct again { ASYNC_FRAME; };
ASYNC(again);
ASYNC(again)
{
    int tries = 3; /* finds: above-begin */
    ASYNC_BEGIN(again);
    while (tries-- > 0) AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}

static ASYNC_QUEUE(int, 4) items;
struct taker { ASYNC_FRAME; async_stream *peer; size_t got; int sum; };
ASYNC(taker);
ASYNC(taker)
{
    int item;
    char buffer[100];
    ASYNC_BEGIN(taker);
    AWAIT(ASYNC_QUEUE_GET(&items, &item)); /* finds: local-in-await */
    AWAIT_INTO(self->got, async_stream_read, self->peer, /* finds: local-in-await */
               buffer, sizeof buffer);
    AWAIT_INTO(item, answer, 3);
    self->sum += item;
    ASYNC_END;
}

struct drops { ASYNC_FRAME; };
ASYNC(drops);
ASYNC(drops)
{
    ASYNC_BEGIN(drops);
    AWAIT(answer, 1); /* finds: dropped-result */
    CO(answer, 2); /* finds: dropped-object */
    async_create_task(CO(again)); /* finds: dropped-task */
    sleep(1); /* finds: blocks */
    ASYNC_END;
}
