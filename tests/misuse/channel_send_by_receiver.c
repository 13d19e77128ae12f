/* gcc: has no member named 'sender' */
/* clang: no member named 'sender' */

/* Sending by the end that receives. */
#include <async/channel.h>

typedef ASYNC_RECEIVER(int) int_receiver;

struct wrong { ASYNC_FRAME; int_receiver *from; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_CHANNEL_SEND(self->from, 1);
    ASYNC_END;
}
