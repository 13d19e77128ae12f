/* What stands before the headers of a test of libuv's streams that is compiled
 * for io_uring once more: the loops that it makes have a ring.  A kernel that
 * gives none ends it with the reason. */
#ifndef UNIT_URING_H
#define UNIT_URING_H

#include "../../async/uring/loop.h"

#include <stdio.h>

#define ON_RING 1

__attribute__((constructor)) static void unit_uring_begin(void)
{
    int error = async_uring_enable();
    if (error) {
        printf("skip: the kernel gives no ring: %s\n", uv_err_name(error));
        exit(0);
    }
}

#endif
