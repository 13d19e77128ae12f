/* error: the_items_of_this_channel_are_of_another_type */

/* A channel whose ends are of other types. */
#include <async/channel.h>

typedef ASYNC_CHANNEL(int, 4) int_channel;
typedef ASYNC_SENDER(int) int_sender;
typedef ASYNC_RECEIVER(long) long_receiver;

void wrong(int_channel *channel, int_sender *to, long_receiver *from);
void wrong(int_channel *channel, int_sender *to, long_receiver *from)
{
    ASYNC_CHANNEL_OPEN(channel, to, from);
}
