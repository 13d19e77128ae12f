/* error: the_items_of_this_channel_are_of_another_type */

/* An item received into a place of another type. */
#include <async/channel.h>

typedef ASYNC_RECEIVER(int) int_receiver;

struct wrong { ASYNC_FRAME; int_receiver *from; long n; };
ASYNC(wrong)
{
    ASYNC_BEGIN(wrong);
    AWAIT(ASYNC_CHANNEL_RECEIVE(self->from, &self->n));
    ASYNC_END;
}
