/* A coroutine that other files may await: its struct and its prototype. */
#ifndef FETCH_H
#define FETCH_H

#include "../../task.h"

struct fetch { ASYNC_RETURNS(int); int n; };
ASYNC(fetch);

/* What this file of the program sees of the library's state. */
async_loop *fetch_sees_loop(void);

#endif
