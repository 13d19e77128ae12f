/* gcc: initialization of 'int' from 'char *' makes integer from pointer */
/* clang: incompatible pointer to integer conversion initializing */

/* An item of another type than the channel's. */
#include <async/channel.h>

typedef ASYNC_SENDER(int) int_sender;

struct wrong { ASYNC_FRAME; int_sender *to; char *text; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT_CHANNEL_SEND(self->to, self->text);
    ASYNC_END;
}
