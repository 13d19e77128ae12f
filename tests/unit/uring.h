/* What stands before a unit test that is compiled for io_uring once more: the
 * loops that it makes have a ring.  A kernel that gives none ends the test with
 * the reason. */
#ifndef UNIT_URING_H
#define UNIT_URING_H

#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/uring/loop.h"

#include <stdio.h>

__attribute__((constructor)) static void unit_uring_begin(void)
{
    int error = async_uring_enable();
    if (error) {
        printf("1..0 # SKIP the kernel gives no ring: %s\n",
               uv_err_name(error));
        exit(0);
    }
}

#endif
