/* link: -luv */
/* Starting and stopping the inspector; tests/scripts/inspector asks it. */
#define ASYNC_IMPLEMENTATION
#include "../../async/uv/loop.h"

#include "../../async/debug/inspector.h"
#include "../../async/uv/poll.h"

#include "uv.h"

#ifndef _WIN32
#include <netinet/in.h>
#include <sys/socket.h>
#define closesocket close
#endif

static async_inspector *inspector;
static int start(async_loop *loop, const char *token)
{
    async_inspector_options options = { NULL, NULL, 0 };
    options.token = token;
    return async_inspector_start(&inspector, loop, &options);
}

struct starts { ASYNC_FRAME; int error; };
static ASYNC(starts)
{
    ASYNC_BEGIN(starts);
    self->error = start(async_loop_of(co), "sesame open");
    if (self->error) ASYNC_RAISE(self->error);
    assert_true(async_inspector_port(inspector) > 0);
    AWAIT(async_sleep, ASYNC_MS(1));
    async_inspector_stop(inspector);
    AWAIT(async_sleep, ASYNC_MS(1));
    assert_null(async_loop_of(co)->onlooker);
    ASYNC_END;
}
static void it_starts_and_stops(void **state)
{
    (void)state;
    run(CO(starts));
}

static void without_memory_it_does_not_start(void **state)
{
    long at;
    (void)state;
    for (at = 0; at < 12; at++) {
        int error = run_refusing(CO(starts), at, 1);
        assert_true(error == 0 || error == ASYNC_ENOMEM);
    }
}

struct wants_token { ASYNC_FRAME; };
static ASYNC(wants_token)
{
    ASYNC_BEGIN(wants_token);
    assert_int_equal(start(async_loop_of(co), NULL), ASYNC_EINVAL);
    assert_int_equal(start(async_loop_of(co), ""), ASYNC_EINVAL);
    assert_int_equal(start(async_loop_of(co), "1234567"), ASYNC_EINVAL);
    ASYNC_END;
}
static void it_wants_a_token(void **state)
{
    (void)state;
    run(CO(wants_token));
}

struct second { ASYNC_FRAME; async_inspector *first; };
static ASYNC(second)
{
    async_inspector_options options = { NULL, NULL,
                                        0 }; /* lint: above-begin */
    ASYNC_BEGIN(second);
    assert_int_equal(start(async_loop_of(co), "sesame open"), 0);
    self->first = inspector;
    options.token = "sesame open";
    options.port = async_inspector_port(inspector);
    assert_int_equal(
        async_inspector_start(&inspector, async_loop_of(co), &options),
        UV_EADDRINUSE);
    async_inspector_stop(self->first);
    AWAIT(async_sleep, ASYNC_MS(1));
    ASYNC_END;
}
static void a_port_that_is_taken(void **state)
{
    (void)state;
    run(CO(second));
}

/* Asks for a trace, whose end is far. */
static uv_os_sock_t asks(int port)
{
    static const char request[] = "GET /trace?seconds=50&token=sesame%open "
                                  "HTTP/1.0\r\n\r\n";
    struct sockaddr_in address;
    uv_os_sock_t asker = socket(AF_INET, SOCK_STREAM, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(asker != (uv_os_sock_t)-1);
    assert_int_equal(
        connect(asker, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(asker, request, sizeof request - 1, 0),
                     sizeof request - 1);
    return asker;
}
struct is_asked { ASYNC_FRAME; uv_os_sock_t asker; int stops; };
static ASYNC(is_asked)
{
    ASYNC_BEGIN(is_asked);
    assert_int_equal(start(async_loop_of(co), "sesame%open"), 0);
    self->asker = asks(async_inspector_port(inspector));
    while (!inspector->traces) AWAIT(async_sleep, ASYNC_MS(1));
    if (self->stops) async_inspector_stop(inspector);
    AWAIT(async_sleep, ASYNC_MS(5));
    if (self->stops) closesocket(self->asker);
    ASYNC_END;
}
static void it_may_be_stopped_while_somebody_waits_for_an_answer(void **state)
{
    (void)state;
    run(CO(is_asked, .stops = 1));
}
static void the_loop_may_be_closed_meanwhile(void **state)
{
    async_uv_loop loop;
    (void)state;
    memory_begin();
    assert_int_equal(async_uv_loop_init(&loop, NULL, &counting_allocator), 0);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(is_asked, .stops = 0)),
        0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(memory.live, 0);
}

static void on_a_borrowed_loop(void **state)
{
    uv_loop_t uv;
    async_uv_loop loop;
    (void)state;
    memory_begin();
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(async_uv_loop_init(&loop, &uv, &counting_allocator), 0);
    assert_int_equal(
        async_loop_run_until_complete(&loop.base, CO(is_asked, .stops = 0)),
        0);
    assert_int_equal(async_loop_close(&loop.base), 0);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&uv), 0);
    assert_int_equal(memory.live, 0);
}

UNIT_MAIN(TEST(it_starts_and_stops), TEST(without_memory_it_does_not_start),
          TEST(it_wants_a_token), TEST(a_port_that_is_taken),
          TEST(it_may_be_stopped_while_somebody_waits_for_an_answer),
          TEST(the_loop_may_be_closed_meanwhile), TEST(on_a_borrowed_loop))
