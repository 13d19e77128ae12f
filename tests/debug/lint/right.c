/* In which caesura-lint finds nothing. */
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

static ASYNC_QUEUE(int, 4) items;
struct right {
    ASYNC_FRAME;
    int port;
    int item, i;
    char text[64];
    async_task *task;
    async_listener listener;
};
ASYNC(right);
ASYNC(right)
{
    static const char word[] = "static is no local";
    struct sockaddr_storage address;
    char now[16];
    int n;
    ASYNC_BEGIN(right);
    snprintf(self->text, sizeof self->text, "%s", word);
    AWAIT(ASYNC_QUEUE_GET(&items, &self->item));
    AWAIT_INTO(self->i, answer, 1);
    /* Set and read between two awaits. */
    snprintf(now, sizeof now, "%d", self->i);
    puts(now);
    for (n = 0; n < 3; n++) self->item += n;
    async_task_release(async_create_task(CO(answer, 2)));
    self->task = async_create_task(CO(answer, 3));
    AWAIT_JOIN(self->task);
    async_tcp_address(&address, "127.0.0.1", self->port);
    AWAIT(async_tcp_listen, &self->listener,
          (struct sockaddr *)&address, 10, 0);
    puts(self->text);
    ASYNC_END;
}
