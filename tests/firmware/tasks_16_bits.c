/* flags: -DASYNC_TIME_BITS=16 */
/* The same on a clock of 16 bits. */
#include "tasks.c"
