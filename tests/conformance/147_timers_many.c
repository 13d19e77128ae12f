#include "conformance.h"

enum { N = 2000 };

static int out[N], length;
static async_handle handles[N];

static int append(void *handle)
{
    out[length++] = (int)((async_handle *)handle - handles);
    return 0;
}

struct program { ASYNC_FRAME; async_time base; };
static ASYNC(program)
{
    int i, k, sorted = 1;
    ASYNC_BEGIN(program);
    self->base = async_loop_time(async_loop_of(co));
    for (i = 0; i < N; i++) {
        k = (i * 7919) % N;
        async_loop_call_at(async_loop_of(co), &handles[k],
                           self->base + ASYNC_MS(50) + k * ASYNC_US(10),
                           append, &handles[k]);
    }
    for (k = 0; k < N; k += 2) async_handle_cancel(&handles[k]);
    AWAIT(async_sleep, ASYNC_MS(150));
    sorted = 1;
    for (i = 1; i < length; i++) sorted &= out[i - 1] < out[i];
    printf("%d %s [%d, %d, %d] %d\n", length, boolean(sorted), out[0], out[1],
           out[2], out[length - 1]);
    ASYNC_END;
}

int main(void)
{
    return run(CO(program));
}
