#include "conformance.h"

#include "../../async/channel.h"
#include "../../async/limiter.h"

typedef ASYNC_CHANNEL(int, 2) channel;
typedef ASYNC_CHANNEL(int, 0) no_room;
typedef ASYNC_SENDER(int) sender;
typedef ASYNC_RECEIVER(int) receiver;

struct program {
    ASYNC_FRAME;
    channel c;
    no_room c0;
    sender s;
    receiver r;
    ASYNC_LIMITER(1) lim;
    int x;
    const char *before;
};
static ASYNC(program)
{
    int place;
    ASYNC_BEGIN(program);
    ASYNC_CHANNEL_OPEN(&self->c, &self->s, &self->r);
    ASYNC_CHANNEL_SEND_NOWAIT(&self->s, 1);
    AWAIT_CHANNEL_SEND(&self->s, 2);
    if (ASYNC_CHANNEL_SEND_NOWAIT(&self->s, 3) == ASYNC_EWOULDBLOCK)
        puts("WouldBlock");
    printf("%d\n", (int)async_channel_get_statistics(&self->c.channel)
                       .current_buffer_used);
    async_sender_close(&self->s.sender);
    self->before = "[";
    ASYNC_TRY {
        for (;;) {
            AWAIT_CHANNEL_RECEIVE_INTO(self->x, &self->r);
            printf("%s%d", self->before, self->x);
            self->before = ", ";
        }
    } ASYNC_EXCEPT(ASYNC_EENDOFCHANNEL) {
        puts("]");
    } ASYNC_END_TRY
    if (ASYNC_CHANNEL_RECEIVE_NOWAIT(&self->r, &place) == ASYNC_EENDOFCHANNEL)
        puts("EndOfStream");
    ASYNC_CHANNEL_OPEN(&self->c0, &self->s, &self->r);
    async_receiver_close(&self->r.receiver);
    ASYNC_TRY {
        AWAIT_CHANNEL_SEND(&self->s, 1);
    } ASYNC_EXCEPT(ASYNC_EBROKENRESOURCE) {
        puts("BrokenResourceError");
    } ASYNC_END_TRY
    ASYNC_LIMITER_INIT(&self->lim, 1);
    ASYNC_WITH(async_limiter, &self->lim.limiter) {
        printf("%ld %ld\n", async_limiter_borrowed_tokens(&self->lim.limiter),
               async_limiter_available_tokens(&self->lim.limiter));
        if (async_limiter_acquire_nowait(&self->lim.limiter) ==
            ASYNC_EBORROWED)
            puts("RuntimeError");
    } ASYNC_END_WITH
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
