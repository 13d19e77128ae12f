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

/* Raised in what an arm awaits, or in a task that it awaits. */
struct configure { ASYNC_FRAME; };
static ASYNC(configure)
{
    ASYNC_BEGIN(configure);
    AWAIT(async_sleep, 0);
    ASYNC_RAISE(ECONFIG);
    ASYNC_END;
}
struct awaits_in_except { ASYNC_FRAME; };
static ASYNC(awaits_in_except)
{
    ASYNC_BEGIN(awaits_in_except);
    ASYNC_TRY {
        AWAIT(parse);
    } ASYNC_EXCEPT(EPARSE) {
        AWAIT(configure);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct awaits_in_finally { ASYNC_FRAME; };
static ASYNC(awaits_in_finally)
{
    ASYNC_BEGIN(awaits_in_finally);
    ASYNC_TRY {
        AWAIT(parse);
    } ASYNC_FINALLY {
        AWAIT(configure);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct awaits_a_task { ASYNC_FRAME; async_task *task; };
static ASYNC(awaits_a_task)
{
    ASYNC_BEGIN(awaits_a_task);
    self->task = async_create_task(CO(configure));
    ASYNC_TRY {
        AWAIT(parse);
    } ASYNC_EXCEPT(EPARSE) {
        AWAIT_JOIN(self->task);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* What the arm, or what it awaits, has caught itself is not it. */
struct catches_and_configures { ASYNC_FRAME; int error; };
static ASYNC(catches_and_configures)
{
    ASYNC_BEGIN(catches_and_configures);
    AWAIT_CATCH(self->error, in_finally);
    AWAIT(configure);
    ASYNC_END;
}
struct catches_in_between { ASYNC_FRAME; int error; };
static ASYNC(catches_in_between)
{
    ASYNC_BEGIN(catches_in_between);
    ASYNC_TRY {
        AWAIT(parse);
    } ASYNC_EXCEPT(EPARSE) {
        AWAIT_CATCH(self->error, in_finally);
        AWAIT(catches_and_configures);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* A FINALLY that nothing went wrong before handles nothing. */
struct only_cleans_up { ASYNC_FRAME; };
static ASYNC(only_cleans_up)
{
    ASYNC_BEGIN(only_cleans_up);
    ASYNC_TRY {
        AWAIT(async_sleep, 0);
    } ASYNC_FINALLY {
        AWAIT(configure);
    } ASYNC_END_TRY
    ASYNC_END;
}

int main(void)
{
    return async_virtual_run(CO(in_except)) != ECONFIG ||
           async_virtual_run(CO(in_finally)) != ECONFIG ||
           async_virtual_run(CO(after)) != ECONFIG ||
           async_virtual_run(CO(three)) != ASYNC_EINVAL ||
           async_virtual_run(CO(awaits_in_except)) != ECONFIG ||
           async_virtual_run(CO(awaits_in_finally)) != ECONFIG ||
           async_virtual_run(CO(awaits_a_task)) != ECONFIG ||
           async_virtual_run(CO(catches_in_between)) != ECONFIG ||
           async_virtual_run(CO(only_cleans_up)) != ECONFIG;
}
