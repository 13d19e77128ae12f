/* Errors that are raised while others are handled: the first one is printed
 * first. */
#define ASYNC_IMPLEMENTATION
#define ASYNC_USER_ERRORS(X)                                                  \
    X(EPARSE, -10001, "bad syntax")                                           \
    X(ECONFIG, -10002, "no configuration")
#include "../../async/test/virtual.h"

struct parse { ASYNC_FRAME; };
static ASYNC(parse)
{
    ASYNC_BEGIN(parse);
    ASYNC_RAISE(EPARSE);
    ASYNC_END;
}

struct in_except { ASYNC_FRAME; };
static ASYNC(in_except)
{
    ASYNC_BEGIN(in_except);
    ASYNC_TRY {
        AWAIT(parse);
    } ASYNC_EXCEPT(EPARSE) {
        ASYNC_RAISE(ECONFIG);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct in_finally { ASYNC_FRAME; };
static ASYNC(in_finally)
{
    ASYNC_BEGIN(in_finally);
    ASYNC_TRY {
        AWAIT(parse);
    } ASYNC_FINALLY {
        ASYNC_RAISE(ECONFIG);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* Handled, and over: what comes later is about something else. */
struct after { ASYNC_FRAME; };
static ASYNC(after)
{
    ASYNC_BEGIN(after);
    ASYNC_TRY {
        AWAIT(parse);
    } ASYNC_EXCEPT(EPARSE) {
        AWAIT(async_sleep, 0);
    } ASYNC_END_TRY
    ASYNC_RAISE(ECONFIG);
    ASYNC_END;
}

struct three { ASYNC_FRAME; };
static ASYNC(three)
{
    ASYNC_BEGIN(three);
    ASYNC_TRY {
        AWAIT(in_except);
    } ASYNC_EXCEPT(ECONFIG) {
        ASYNC_RAISE(ASYNC_EINVAL);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(in_except)) != ECONFIG ||
           async_virtual_run(CO(in_finally)) != ECONFIG ||
           async_virtual_run(CO(after)) != ECONFIG ||
           async_virtual_run(CO(three)) != ASYNC_EINVAL;
}
