/* link: -luv */
/* UDP: datagrams, their senders, what comes in between; and the same with
 * callbacks.  The other end is mostly a plain socket. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"
#include "../../async/uv/datagram.h"

#include "sockets.h"

/* --- helpers ------------------------------------------------------------- */

/* Plain sockets. */
static int raw_bind(int *port)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_true(fd >= 0);
    raw_bind_any(fd, port);
    return fd;
}
static void raw_send_to(int fd, int port, const char *text)
{
    place there;
    assert_int_equal(sendto(fd, text, strlen(text), 0, at(&there, port),
                            sizeof(struct sockaddr_in)),
                     strlen(text));
}
static void raw_say(int fd)
{
    char buffer[64];
    ssize_t n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
    if (n < 0)
        say("raw:%s", name_of(-errno));
    else
        say("raw:%.*s", (int)n, buffer);
}

/* A bound socket and a plain one. */
struct meet {
    ASYNC_FRAME;
    async_udp *udp;
    int *fd, *port; /* the plain one's */
    place here;
};
static ASYNC(meet)
{
    ASYNC_BEGIN(meet);
    *self->fd = raw_bind(self->port);
    AWAIT(async_udp_bind, self->udp, at(&self->here, 0));
    ASYNC_END;
}

/* A pair whose ends are a socket of Caesura's and a plain one, on which what
 * is not received holds the sender up. */
struct meet_narrow { ASYNC_FRAME; async_udp *udp; int *fd; int fds[2]; };
static ASYNC(meet_narrow)
{
    ASYNC_BEGIN(meet_narrow);
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, self->fds), 0);
    *self->fd = self->fds[1];
    AWAIT(async_udp_open, self->udp, self->fds[0]);
    ASYNC_END;
}

/* One operation each, which says what came of it, cancellation too. */
struct say_receive {
    ASYNC_FRAME;
    async_udp *udp;
    size_t size;
    size_t n;
    int error;
    char buffer[64];
};
static ASYNC(say_receive)
{
    ASYNC_BEGIN(say_receive);
    ASYNC_TRY {
        AWAIT_INTO(self->n, async_udp_receive, self->udp, self->buffer,
                   self->size ? self->size : sizeof self->buffer);
        say("receive:%.*s", (int)self->n, self->buffer);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("receive:%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct say_send {
    ASYNC_FRAME;
    async_udp *udp;
    const char *text;
    int port; /* or 0 */
    int error;
    place there;
};
static ASYNC(say_send)
{
    ASYNC_BEGIN(say_send);
    ASYNC_TRY {
        AWAIT(async_udp_send, self->udp, self->text, strlen(self->text),
              self->port ? at(&self->there, self->port) : NULL);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("send:%s", name_of(self->error));
    ASYNC_END;
}

struct say_close { ASYNC_FRAME; async_udp *udp; int error; };
static ASYNC(say_close)
{
    ASYNC_BEGIN(say_close);
    ASYNC_TRY {
        AWAIT(async_udp_close, self->udp);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("close:%s", name_of(self->error));
    ASYNC_END;
}

struct say_bind {
    ASYNC_FRAME;
    async_udp *udp;
    int port;
    unsigned flags;
    int error;
    place here;
};
static ASYNC(say_bind)
{
    ASYNC_BEGIN(say_bind);
    ASYNC_TRY {
        AWAIT(async_udp_bind, self->udp, at(&self->here, self->port),
              self->flags);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("bind:%s", name_of(self->error));
    ASYNC_END;
}

struct say_connect {
    ASYNC_FRAME;
    async_udp *udp;
    int port;
    int error;
    place there;
};
static ASYNC(say_connect)
{
    ASYNC_BEGIN(say_connect);
    ASYNC_TRY {
        AWAIT(async_udp_connect, self->udp,
              self->port ? at(&self->there, self->port) : NULL);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("connect:%s", name_of(self->error));
    ASYNC_END;
}

static char large[70000];

/* --- sending and receiving ------------------------------------------------- */

struct round_trip {
    ASYNC_FRAME;
    async_udp one, other;
    size_t n;
    struct sockaddr_storage sender;
    place there;
    char buffer[16];
};
static ASYNC(round_trip)
{
    ASYNC_BEGIN(round_trip);
    AWAIT(async_udp_bind, &self->one, at(&self->there, 0));
    AWAIT(async_udp_bind, &self->other, at(&self->there, 0));
    AWAIT(say_send, &self->one, "hello", async_udp_port(&self->other));
    AWAIT_INTO(self->n, async_udp_receive, &self->other, self->buffer,
               sizeof self->buffer, &self->sender);
    say("%.*s", (int)self->n, self->buffer);
    assert_int_equal(self->sender.ss_family, AF_INET);
    assert_int_equal(port_of(&self->sender), async_udp_port(&self->one));
    AWAIT(async_udp_send, &self->other, "world", 5,
          (const struct sockaddr *)&self->sender);
    AWAIT(say_receive, &self->one);
    say("%d", async_udp_is_open(&self->one));
    AWAIT(async_udp_close, &self->one);
    AWAIT(async_udp_close, &self->other);
    say("%d", async_udp_is_open(&self->one));
    ASYNC_END;
}

static void what_one_sends_another_receives_with_its_address(void **s)
{
    (void)s;
    run(CO(round_trip));
    assert_said("send:ok hello receive:world 1 0");
}

struct boundaries { ASYNC_FRAME; async_udp udp; int fd, port; };
static ASYNC(boundaries)
{
    ASYNC_BEGIN(boundaries);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    raw_send_to(self->fd, async_udp_port(&self->udp), "one");
    raw_send_to(self->fd, async_udp_port(&self->udp), "");
    raw_send_to(self->fd, async_udp_port(&self->udp), "three");
    AWAIT(say_receive, &self->udp);
    AWAIT(say_receive, &self->udp);
    AWAIT(say_receive, &self->udp);
    AWAIT(say_send, &self->udp, "", self->port);
    AWAIT(say_send, &self->udp, "two", self->port);
    raw_say(self->fd);
    raw_say(self->fd);
    raw_say(self->fd);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void each_datagram_comes_by_itself_also_an_empty_one(void **s)
{
    (void)s;
    run(CO(boundaries));
    assert_said("receive:one receive: receive:three send:ok send:ok raw: "
                "raw:two raw:EAGAIN");
}

struct cut {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port, error;
    size_t n;
    struct sockaddr_storage sender;
    char buffer[8];
};
static ASYNC(cut)
{
    ASYNC_BEGIN(cut);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    raw_send_to(self->fd, async_udp_port(&self->udp), "abcdefgh");
    raw_send_to(self->fd, async_udp_port(&self->udp), "ijk");
    AWAIT_CATCH_INTO(self->error, self->n, async_udp_receive, &self->udp,
                     self->buffer, 3, &self->sender);
    say("%s:%s:%d", name_of(self->error), self->buffer,
        port_of(&self->sender) == self->port);
    AWAIT(say_receive, &self->udp, 3);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void one_that_is_too_large_for_the_buffer_is_an_error(void **s)
{
    (void)s;
    run(CO(cut));
    assert_said("EMSGSIZE:abc:1 receive:ijk");
}

struct no_suspension {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port;
    async_task *other;
};
struct say_soon { ASYNC_FRAME; const char *text; };
static ASYNC(say_soon)
{
    ASYNC_BEGIN(say_soon);
    say("%s", self->text);
    ASYNC_END;
}
static ASYNC(no_suspension)
{
    ASYNC_BEGIN(no_suspension);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    async_task_release(async_create_task(CO(say_soon, "other")));
    AWAIT(say_send, &self->udp, "x", self->port);
    AWAIT(async_sleep, 0);
    raw_say(self->fd);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void sending_does_not_suspend_if_the_system_takes_it(void **s)
{
    (void)s;
    run(CO(no_suspension));
    assert_said("send:ok other raw:x");
}

/* What comes while nobody receives waits in the system, and libuv with it. */
static int rounds;
static void on_round(uv_prepare_t *prepare)
{
    (void)prepare;
    rounds++;
}
struct receive_late {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port, i;
    uv_prepare_t prepare;
};
static ASYNC(receive_late)
{
    ASYNC_BEGIN(receive_late);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    raw_send_to(self->fd, async_udp_port(&self->udp), "a");
    AWAIT(say_receive, &self->udp);
    for (self->i = 0; self->i < 20; self->i++) {
        char text[] = { (char)('b' + self->i), '\0' };
        raw_send_to(self->fd, async_udp_port(&self->udp), text);
    }
    uv_prepare_init(async_uv_loop_of(async_loop_of(co)), &self->prepare);
    uv_prepare_start(&self->prepare, on_round);
    rounds = 0;
    AWAIT(async_sleep, ASYNC_MS(20));
    uv_close((uv_handle_t *)&self->prepare, NULL);
    say("%s", rounds < 20 ? "calm" : "busy");
    for (self->i = 0; self->i < 20; self->i++) AWAIT(say_receive, &self->udp);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void
what_comes_while_nobody_receives_waits_and_nothing_is_lost(void **s)
{
    (void)s;
    run(CO(receive_late));
    assert_said("receive:a calm receive:b receive:c receive:d receive:e "
                "receive:f receive:g receive:h receive:i receive:j receive:k "
                "receive:l receive:m receive:n receive:o receive:p receive:q "
                "receive:r receive:s receive:t receive:u");
}

struct exchange {
    ASYNC_FRAME;
    async_udp one, other;
    place there;
    size_t n;
    int i;
    long before;
    char buffer[512];
};
static ASYNC(exchange)
{
    ASYNC_BEGIN(exchange);
    ASYNC_TRY {
        AWAIT(async_udp_bind, &self->other, at(&self->there, 0));
        AWAIT(async_udp_connect, &self->one,
              at(&self->there, async_udp_port(&self->other)));
        for (; self->i < 100; self->i++) {
            AWAIT(async_udp_send, &self->one, self->buffer,
                  sizeof self->buffer);
            AWAIT_INTO(self->n, async_udp_receive, &self->other, self->buffer,
                       sizeof self->buffer);
            if (self->i == 0) self->before = memory.asked;
        }
        say("%ld", memory.asked - self->before);
    } ASYNC_FINALLY {
        /* one allocation is refused, and this may be it */
        AWAIT_CATCH(self->i, async_udp_close, &self->one);
        AWAIT(async_udp_close, &self->one);
        AWAIT(async_udp_close, &self->other);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void sending_and_receiving_allocate_nothing(void **s)
{
    (void)s;
    run(CO(exchange));
    assert_said("0");
}

/* --- when the system takes no more ------------------------------------------ */

struct sends_many { ASYNC_FRAME; async_udp *udp; int *sent; char text[1000]; };
static ASYNC(sends_many)
{
    ASYNC_BEGIN(sends_many);
    for (;;) {
        AWAIT(async_udp_send, self->udp, self->text, sizeof self->text);
        ++*self->sent;
    }
    ASYNC_END;
}

struct held {
    ASYNC_FRAME;
    async_udp udp;
    int fd, sent, more, how;
    async_task *sender, *next;
    char buffer[1000];
};
static ASYNC(held)
{
    ASYNC_BEGIN(held);
    AWAIT(meet_narrow, &self->udp, &self->fd);
    self->sender = async_create_task(CO(sends_many, &self->udp, &self->sent));
    AWAIT(until_waiting, self->sender);
    self->next = async_create_task(CO(say_send, &self->udp, "next"));
    AWAIT(until_waiting, self->next);
    self->more = self->sent;
    AWAIT(async_sleep, ASYNC_MS(2));
    say("%s", self->more == self->sent ? "held" : "goes on");
    if (self->how == 0) {
        /* cancelled, it waits until it is out */
        async_task_cancel(self->sender);
        async_task_cancel(self->next);
        AWAIT(async_sleep, ASYNC_MS(2));
        say("%d", async_task_done(self->next));
        while (!async_task_done(self->next)) {
            recv(self->fd, self->buffer, sizeof self->buffer, MSG_DONTWAIT);
            AWAIT(async_sleep, 0);
        }
        for (self->more = 0; recv(self->fd, self->buffer, sizeof self->buffer,
                                  MSG_DONTWAIT) > 0;)
            self->more = self->buffer[0];
        say("%c", self->more); /* the last one is out */
        say("%d", async_udp_is_open(&self->udp));
    } else {
        AWAIT(say_close, &self->udp);
    }
    ASYNC_TRY {
        AWAIT_JOIN(self->sender);
    } ASYNC_EXCEPT_ALL(self->more) {
        say("%s", name_of(self->more));
    } ASYNC_END_TRY
    AWAIT_JOIN(self->next);
    AWAIT(async_udp_close, &self->udp);
    close(self->fd);
    ASYNC_END;
}

static void a_send_that_waits_goes_out_even_if_it_is_cancelled(void **s)
{
    (void)s;
    run(CO(held));
    assert_said("held 0 send:ASYNC_ECANCELED n 1 ASYNC_ECANCELED");
}

static void closing_tells_those_whose_datagrams_wait(void **s)
{
    (void)s;
    run(CO(held, .how = 1));
    assert_said("held send:ASYNC_ECLOSED close:ok ASYNC_ECLOSED");
}

/* --- connected --------------------------------------------------------------- */

struct connected {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port, stranger, strangers, error;
    place there;
    struct sockaddr_storage name;
};
static ASYNC(connected)
{
    ASYNC_BEGIN(connected);
    self->fd = raw_bind(&self->port);
    self->stranger = raw_bind(&self->strangers);
    AWAIT(async_udp_connect, &self->udp, at(&self->there, self->port));
    assert_int_equal(async_udp_getpeername(&self->udp, &self->name), 0);
    assert_int_equal(port_of(&self->name), self->port);
    AWAIT(say_send, &self->udp, "to you");
    raw_say(self->fd);
    AWAIT(say_send, &self->udp, "x", self->strangers);
    AWAIT(say_connect, &self->udp, self->strangers);
    raw_send_to(self->stranger, async_udp_port(&self->udp), "from a stranger");
    raw_send_to(self->fd, async_udp_port(&self->udp), "from me");
    AWAIT(say_receive, &self->udp);
    AWAIT(say_connect, &self->udp); /* no more */
    AWAIT(say_connect, &self->udp);
    AWAIT(say_send, &self->udp, "x");
    AWAIT(say_send, &self->udp, "to whom", self->strangers);
    raw_say(self->stranger);
    close(self->fd);
    close(self->stranger);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void a_connected_socket_talks_to_one_address_alone(void **s)
{
    (void)s;
    run(CO(connected));
    assert_said("send:ok raw:to you send:EISCONN connect:EISCONN "
                "receive:from me connect:ok connect:ENOTCONN "
                "send:EDESTADDRREQ send:ok raw:to whom");
}

struct unreachable { ASYNC_FRAME; async_udp udp; int fd, port; place there; };
static ASYNC(unreachable)
{
    ASYNC_BEGIN(unreachable);
    self->fd = raw_bind(&self->port);
    close(self->fd);
    AWAIT(async_udp_connect, &self->udp, at(&self->there, self->port));
    AWAIT(say_send, &self->udp, "anybody?");
    AWAIT(say_receive, &self->udp);
    /* and it goes on */
    self->fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(bind(self->fd, at(&self->there, self->port),
                          sizeof(struct sockaddr_in)),
                     0);
    AWAIT(say_send, &self->udp, "and now?");
    raw_say(self->fd);
    raw_send_to(self->fd, async_udp_port(&self->udp), "here");
    AWAIT(say_receive, &self->udp);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void that_nobody_is_there_is_an_error_of_receive_once(void **s)
{
    (void)s;
    run(CO(unreachable));
    assert_said("send:ok receive:ECONNREFUSED send:ok raw:and now? "
                "receive:here");
}

struct nobody_waits {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port;
    place there;
    uv_prepare_t prepare;
};
static ASYNC(nobody_waits)
{
    ASYNC_BEGIN(nobody_waits);
    self->fd = raw_bind(&self->port);
    AWAIT(async_udp_connect, &self->udp, at(&self->there, self->port));
    raw_send_to(self->fd, async_udp_port(&self->udp), "x");
    AWAIT(say_receive, &self->udp); /* libuv reads from now on */
    close(self->fd);
    AWAIT(say_send, &self->udp, "anybody?");
    uv_prepare_init(async_uv_loop_of(async_loop_of(co)), &self->prepare);
    uv_prepare_start(&self->prepare, on_round);
    rounds = 0;
    AWAIT(async_sleep, ASYNC_MS(20));
    uv_close((uv_handle_t *)&self->prepare, NULL);
    say("%s", rounds < 20 ? "calm" : "busy");
    AWAIT(say_receive, &self->udp);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void an_error_that_nobody_waits_for_waits_too(void **s)
{
    (void)s;
    run(CO(nobody_waits));
    assert_said("receive:x send:ok calm receive:ECONNREFUSED");
}

/* --- opening ------------------------------------------------------------------ */

struct in_use {
    ASYNC_FRAME;
    async_udp one, other;
    place there;
    struct sockaddr_storage name;
};
static ASYNC(in_use)
{
    ASYNC_BEGIN(in_use);
    AWAIT(say_bind, &self->one, 0);
    AWAIT(say_bind, &self->other, async_udp_port(&self->one));
    say("%d", async_udp_is_open(&self->other));
    AWAIT(say_bind, &self->one, 0);
    AWAIT(async_udp_close, &self->one);
    AWAIT(say_bind, &self->one, 0, UV_UDP_REUSEADDR);
    AWAIT(say_bind, &self->other, async_udp_port(&self->one),
          UV_UDP_REUSEADDR);
    AWAIT(async_udp_close, &self->one);
    AWAIT(async_udp_close, &self->other);
    ASYNC_END;
}

static void a_port_that_is_in_use_can_be_shared_if_both_say_so(void **s)
{
    (void)s;
    run(CO(in_use));
    assert_said("bind:ok bind:EADDRINUSE 0 bind:ASYNC_EBUSY bind:ok bind:ok");
}

struct unnamed {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port;
    struct sockaddr_storage name;
};
static ASYNC(unnamed)
{
    ASYNC_BEGIN(unnamed);
    AWAIT(async_udp_bind, &self->udp, NULL);
    say("%s", name_of(async_udp_getsockname(&self->udp, &self->name)));
    say("%d", async_udp_port(&self->udp));
    self->fd = raw_bind(&self->port);
    AWAIT(say_send, &self->udp, "hello", self->port);
    raw_say(self->fd);
    say("%d", async_udp_port(&self->udp) != 0);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void one_without_a_name_gets_it_when_it_sends(void **s)
{
    (void)s;
    run(CO(unnamed));
    assert_said("EBADF 0 send:ok raw:hello 1");
}

struct adopt {
    ASYNC_FRAME;
    async_udp udp, other;
    int fd, port, fds[2], error;
};
static ASYNC(adopt)
{
    ASYNC_BEGIN(adopt);
    self->fd = raw_bind(&self->port);
    AWAIT(async_udp_open, &self->udp, self->fd);
    say("%d", async_udp_port(&self->udp) == self->port);
    AWAIT_CATCH(self->error, async_udp_open, &self->udp, self->fd);
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_udp_open, &self->other, -1);
    say("%s", name_of(self->error));
    AWAIT(async_udp_close, &self->udp);
    say("%d", fcntl(self->fd, F_GETFD)); /* it went with it */
    ASYNC_END;
}

static void a_socket_of_the_systems_can_be_adopted(void **s)
{
    (void)s;
    run(CO(adopt));
    assert_said("1 ASYNC_EBUSY EBADF -1");
}

struct odd_address {
    ASYNC_FRAME;
    async_udp udp;
    struct sockaddr address;
    int error;
};
static ASYNC(odd_address)
{
    ASYNC_BEGIN(odd_address);
    self->address.sa_family = AF_UNIX;
    AWAIT_CATCH(self->error, async_udp_bind, &self->udp, &self->address);
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_udp_connect, &self->udp, &self->address);
    say("%s", name_of(self->error));
    AWAIT(async_udp_bind, &self->udp, NULL);
    AWAIT_CATCH(self->error, async_udp_send, &self->udp, "x", 1,
                &self->address);
    say("%s", name_of(self->error));
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void an_address_of_another_family_is_an_error(void **s)
{
    (void)s;
    run(CO(odd_address));
    assert_said("ASYNC_EINVAL ASYNC_EINVAL ASYNC_EINVAL");
}

static void an_address_is_made_of_numbers(void **s)
{
    struct sockaddr_storage address;
    (void)s;
    assert_int_equal(async_udp_address(&address, "127.0.0.1", 80), 0);
    assert_int_equal(address.ss_family, AF_INET);
    assert_int_equal(port_of(&address), 80);
    assert_int_equal(async_udp_address(&address, "::1", 81), 0);
    assert_int_equal(address.ss_family, AF_INET6);
    assert_int_equal(async_udp_address(&address, "localhost", 80), -EINVAL);
}

struct use_ipv6 { ASYNC_FRAME; async_udp one, other; place there; };
static ASYNC(use_ipv6)
{
    ASYNC_BEGIN(use_ipv6);
    async_udp_address(&self->there.storage, "::1", 0);
    AWAIT(async_udp_bind, &self->one,
          (const struct sockaddr *)&self->there.storage);
    async_udp_address(&self->there.storage, "::1", async_udp_port(&self->one));
    AWAIT(async_udp_connect, &self->other,
          (const struct sockaddr *)&self->there.storage);
    AWAIT(say_send, &self->other, "six");
    AWAIT(say_receive, &self->one);
    AWAIT(async_udp_close, &self->one);
    AWAIT(async_udp_close, &self->other);
    ASYNC_END;
}

static void ipv6_works_like_ipv4(void **s)
{
    struct sockaddr_storage here;
    int fd = socket(AF_INET6, SOCK_DGRAM, 0), there_is;
    (void)s;
    async_udp_address(&here, "::1", 0);
    there_is = fd >= 0 && bind(fd, (struct sockaddr *)&here,
                               sizeof(struct sockaddr_in6)) == 0;
    if (fd >= 0) close(fd);
    if (!there_is) skip();
    run(CO(use_ipv6));
    assert_said("send:ok receive:six");
}

struct use_closed { ASYNC_FRAME; async_udp udp; int times, port, fd; };
static ASYNC(use_closed)
{
    struct sockaddr_storage name;
    ASYNC_BEGIN(use_closed);
    for (; self->times < 2; self->times++) {
        AWAIT(say_receive, &self->udp);
        AWAIT(say_send, &self->udp, "x", 9);
        AWAIT(say_connect, &self->udp);
        AWAIT(say_close, &self->udp);
        say("%s", name_of(async_udp_getsockname(&self->udp, &name)));
        say("%s", name_of(async_udp_getpeername(&self->udp, &name)));
        say("%s", name_of(async_udp_set_broadcast(&self->udp, 1)));
        say("%s", name_of(async_udp_set_ttl(&self->udp, 1)));
        say("%s", name_of(async_udp_set_membership(&self->udp, "239.1.2.3",
                                                   NULL, UV_JOIN_GROUP)));
        say("%s",
            name_of(async_udp_set_source_membership(
                &self->udp, "232.1.2.3", NULL, "127.0.0.1", UV_JOIN_GROUP)));
        say("%s", name_of(async_udp_set_multicast_loop(&self->udp, 1)));
        say("%s", name_of(async_udp_set_multicast_ttl(&self->udp, 1)));
        say("%s", name_of(async_udp_set_multicast_interface(&self->udp,
                                                            "127.0.0.1")));
        if (self->times == 0) {
            AWAIT(meet, &self->udp, &self->fd, &self->port);
            close(self->fd);
            AWAIT(async_udp_close, &self->udp);
            say("|");
        }
    }
    ASYNC_END;
}

#define CLOSED "ASYNC_ECLOSED"
#define ALL_CLOSED                                                            \
    "receive:" CLOSED " send:" CLOSED " connect:" CLOSED " close:ok " CLOSED  \
    " " CLOSED " " CLOSED " " CLOSED " " CLOSED " " CLOSED " " CLOSED         \
    " " CLOSED " " CLOSED
static void what_is_not_open_can_only_be_closed(void **s)
{
    (void)s;
    run(CO(use_closed));
    assert_said(ALL_CLOSED " | " ALL_CLOSED);
}

/* --- options ------------------------------------------------------------------- */

struct many { ASYNC_FRAME; async_udp one, other; place there; int error; };
static ASYNC(many)
{
    ASYNC_BEGIN(many);
    async_udp_address(&self->there.storage, "0.0.0.0", 0);
    AWAIT(async_udp_bind, &self->one,
          (const struct sockaddr *)&self->there.storage, UV_UDP_REUSEADDR);
    AWAIT(async_udp_bind, &self->other, at(&self->there, 0));
    self->error = async_udp_set_membership(&self->one, "239.77.7.1",
                                           "127.0.0.1", UV_JOIN_GROUP);
    if (self->error) { /* a system without multicast */
        say("none");
    } else {
        assert_int_equal(
            async_udp_set_multicast_interface(&self->other, "127.0.0.1"), 0);
        assert_int_equal(async_udp_set_multicast_loop(&self->other, 1), 0);
        assert_int_equal(async_udp_set_multicast_ttl(&self->other, 1), 0);
        async_udp_address(&self->there.storage, "239.77.7.1",
                          async_udp_port(&self->one));
        AWAIT(async_udp_send, &self->other, "to all", 6,
              (const struct sockaddr *)&self->there.storage);
        AWAIT(say_receive, &self->one);
        assert_int_equal(async_udp_set_membership(&self->one, "239.77.7.1",
                                                  "127.0.0.1", UV_LEAVE_GROUP),
                         0);
        AWAIT(async_udp_send, &self->other, "to nobody", 9,
              (const struct sockaddr *)&self->there.storage);
        AWAIT_CATCH(self->error, async_wait_for,
                    CO(async_udp_receive, &self->one, large, sizeof large),
                    ASYNC_MS(20));
        say("%s", name_of(self->error));
        say("%s", name_of(async_udp_set_membership(&self->one, "not a group",
                                                   NULL, UV_JOIN_GROUP)));
    }
    AWAIT(async_udp_close, &self->one);
    AWAIT(async_udp_close, &self->other);
    ASYNC_END;
}

static void who_has_joined_a_group_receives_what_is_sent_to_it(void **s)
{
    (void)s;
    run(CO(many));
    if (strcmp(unit_said, "none") == 0) skip();
    assert_said("receive:to all ASYNC_ETIMEDOUT "
                "ASYNC_EINVAL");
}

struct broadcast { ASYNC_FRAME; async_udp udp; place there; int error; };
static ASYNC(broadcast)
{
    ASYNC_BEGIN(broadcast);
    AWAIT(async_udp_bind, &self->udp, at(&self->there, 0));
    async_udp_address(&self->there.storage, "127.255.255.255", 9);
    AWAIT_CATCH(self->error, async_udp_send, &self->udp, "x", 1,
                (const struct sockaddr *)&self->there.storage);
    say("%s", name_of(self->error));
    assert_int_equal(async_udp_set_broadcast(&self->udp, 1), 0);
    AWAIT_CATCH(self->error, async_udp_send, &self->udp, "x", 1,
                (const struct sockaddr *)&self->there.storage);
    say("%s", name_of(self->error));
    assert_int_equal(async_udp_set_ttl(&self->udp, 3), 0);
    say("%s", name_of(async_udp_set_ttl(&self->udp, 0)));
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void broadcasts_must_be_allowed(void **s)
{
    (void)s;
    run(CO(broadcast));
    assert_said("EACCES ok ASYNC_EINVAL");
}

struct too_large {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port, error;
    place there;
};
static ASYNC(too_large)
{
    ASYNC_BEGIN(too_large);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    AWAIT_CATCH(self->error, async_udp_send, &self->udp, large, 65535,
                at(&self->there, self->port));
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_udp_send, &self->udp, large, sizeof large,
                at(&self->there, self->port));
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_udp_receive, &self->udp, large, 0);
    say("%s", name_of(self->error));
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void to_send_too_much_or_receive_into_nothing_is_an_error(void **s)
{
    (void)s;
    run(CO(too_large));
    assert_said("EMSGSIZE EMSGSIZE ASYNC_EINVAL");
}

/* --- who else waits -------------------------------------------------------------- */

struct receive_twice {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port;
    async_task *receiver;
};
static ASYNC(receive_twice)
{
    ASYNC_BEGIN(receive_twice);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    self->receiver = async_create_task(CO(say_receive, &self->udp));
    AWAIT(until_waiting, self->receiver);
    AWAIT(say_receive, &self->udp);
    raw_send_to(self->fd, async_udp_port(&self->udp), "first");
    raw_send_to(self->fd, async_udp_port(&self->udp), "second");
    AWAIT(until_woken, self->receiver);
    AWAIT(say_receive, &self->udp); /* the other has not got it yet */
    AWAIT_JOIN(self->receiver);
    AWAIT(say_receive, &self->udp);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void receiving_while_another_receives_is_an_error(void **s)
{
    (void)s;
    run(CO(receive_twice));
    assert_said("receive:ASYNC_EBUSY receive:ASYNC_EBUSY receive:first "
                "receive:second");
}

struct close_under {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port;
    async_task *receiver, *closer;
};
static ASYNC(close_under)
{
    ASYNC_BEGIN(close_under);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    self->receiver = async_create_task(CO(say_receive, &self->udp));
    AWAIT(until_waiting, self->receiver);
    self->closer = async_create_task(CO(say_close, &self->udp));
    AWAIT(say_close, &self->udp);
    AWAIT_JOIN(self->receiver);
    AWAIT_JOIN(self->closer);
    close(self->fd);
    ASYNC_END;
}

static void closing_tells_who_receives_and_several_may_close(void **s)
{
    (void)s;
    run(CO(close_under));
    assert_said("receive:ASYNC_ECLOSED close:ok close:ok");
}

/* --- cancellation ---------------------------------------------------------------- */

struct cancel_receive {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port;
    async_task *receiver;
};
static ASYNC(cancel_receive)
{
    ASYNC_BEGIN(cancel_receive);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    self->receiver = async_create_task(CO(say_receive, &self->udp));
    AWAIT(until_waiting, self->receiver);
    async_task_cancel(self->receiver);
    AWAIT_JOIN(self->receiver);
    raw_send_to(self->fd, async_udp_port(&self->udp), "kept");
    AWAIT(say_receive, &self->udp);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void a_receive_can_be_cancelled_and_the_next_one_goes_on(void **s)
{
    (void)s;
    run(CO(cancel_receive));
    assert_said("receive:ASYNC_ECANCELED receive:kept");
}

struct cancel_arrived {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port, how, error;
    async_task *receiver;
    size_t n;
    struct sockaddr_storage sender;
    char buffer[16];
};
static ASYNC(cancel_arrived)
{
    ASYNC_BEGIN(cancel_arrived);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    self->receiver =
        async_create_task(CO(say_receive, &self->udp, self->how == 2 ? 3 : 0));
    AWAIT(until_waiting, self->receiver);
    raw_send_to(self->fd, async_udp_port(&self->udp),
                self->how == 1 ? "" : "first");
    AWAIT(until_woken, self->receiver);
    async_task_cancel(self->receiver);
    if (self->how == 4) memory_refuse(1);
    ASYNC_SUSPEND;
    memory_refuse(0);
    raw_send_to(self->fd, async_udp_port(&self->udp), "second");
    if (self->how != 5) {
        AWAIT_CATCH_INTO(
            self->error, self->n, async_udp_receive, &self->udp, self->buffer,
            self->how == 3 ? 2 : sizeof self->buffer, &self->sender);
        say("%s:%.*s:%d", name_of(self->error), (int)self->n, self->buffer,
            port_of(&self->sender) == self->port);
        AWAIT(say_receive, &self->udp);
    }
    AWAIT_JOIN(self->receiver);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void
one_cancelled_when_a_datagram_had_come_leaves_it_to_the_next(void **s)
{
    (void)s;
    run(CO(cancel_arrived));
    assert_said("receive:ASYNC_ECANCELED ok:first:1 receive:second");
    run(CO(cancel_arrived, .how = 1)); /* an empty one */
    assert_said("receive:ASYNC_ECANCELED ok::1 receive:second");
    run(CO(cancel_arrived, .how = 2)); /* it had been cut */
    assert_said("receive:ASYNC_ECANCELED EMSGSIZE::1 receive:second");
    run(CO(cancel_arrived, .how = 3)); /* it is cut now */
    assert_said("receive:ASYNC_ECANCELED EMSGSIZE::1 receive:second");
    run(CO(cancel_arrived, .how = 5)); /* it goes with the socket */
    assert_said("receive:ASYNC_ECANCELED");
}

/* The pool would have memory for it. */
struct cancel_large {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port, error;
    async_task *receiver;
    place there;
    size_t n;
};
struct receive_into { ASYNC_FRAME; async_udp *udp; size_t n; };
static ASYNC(receive_into)
{
    ASYNC_BEGIN(receive_into);
    AWAIT_INTO(self->n, async_udp_receive, self->udp, large, sizeof large);
    ASYNC_END;
}
static ASYNC(cancel_large)
{
    ASYNC_BEGIN(cancel_large);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    self->receiver = async_create_task(CO(receive_into, &self->udp));
    AWAIT(until_waiting, self->receiver);
    sendto(self->fd, large, 5000, 0,
           at(&self->there, async_udp_port(&self->udp)),
           sizeof(struct sockaddr_in));
    AWAIT(until_woken, self->receiver);
    async_task_cancel(self->receiver);
    memory_refuse(1);
    ASYNC_SUSPEND;
    memory_refuse(0);
    async_task_release(self->receiver);
    AWAIT(say_receive, &self->udp);
    raw_send_to(self->fd, async_udp_port(&self->udp), "next");
    AWAIT(say_receive, &self->udp);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void one_that_cannot_be_kept_is_lost_and_the_next_learns_it(void **s)
{
    (void)s;
    run(CO(cancel_large));
    assert_said("receive:ASYNC_ENOMEM receive:next");
}

struct cancel_error {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port;
    async_task *receiver;
    place there;
};
static ASYNC(cancel_error)
{
    ASYNC_BEGIN(cancel_error);
    self->fd = raw_bind(&self->port);
    close(self->fd);
    AWAIT(async_udp_connect, &self->udp, at(&self->there, self->port));
    self->receiver = async_create_task(CO(say_receive, &self->udp));
    AWAIT(until_waiting, self->receiver);
    AWAIT(say_send, &self->udp, "x");
    AWAIT(until_woken, self->receiver);
    async_task_cancel(self->receiver);
    AWAIT_JOIN(self->receiver);
    AWAIT(say_receive, &self->udp);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void
one_cancelled_when_an_error_had_come_leaves_it_to_the_next(void **s)
{
    (void)s;
    run(CO(cancel_error));
    assert_said("send:ok receive:ASYNC_ECANCELED receive:ECONNREFUSED");
}

struct cancel_close {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port;
    async_task *closer;
};
static ASYNC(cancel_close)
{
    ASYNC_BEGIN(cancel_close);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    self->closer = async_create_task(CO(say_close, &self->udp));
    AWAIT(until_waiting, self->closer);
    async_task_cancel(self->closer);
    AWAIT_JOIN(self->closer);
    /* libuv has let go of it by now */
    assert_int_equal(self->udp.resource.state, ASYNC__IS_SHUT);
    memset(&self->udp, 0, sizeof self->udp);
    close(self->fd);
    ASYNC_END;
}

static void a_cancelled_close_closes_and_then_raises(void **s)
{
    (void)s;
    run(CO(cancel_close));
    assert_said("close:ASYNC_ECANCELED");
}

struct in_time { ASYNC_FRAME; async_udp udp; int fd, port, error; char byte; };
static ASYNC(in_time)
{
    ASYNC_BEGIN(in_time);
    AWAIT(meet, &self->udp, &self->fd, &self->port);
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_udp_receive, &self->udp, &self->byte, 1),
                ASYNC_MS(2));
    say("%s", name_of(self->error));
    raw_send_to(self->fd, async_udp_port(&self->udp), "late");
    AWAIT(say_receive, &self->udp);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void receiving_can_time_out_and_nothing_is_lost(void **s)
{
    (void)s;
    run(CO(in_time));
    assert_said("ASYNC_ETIMEDOUT receive:late");
}

/* --- faults ------------------------------------------------------------------------ */

struct no_descriptors {
    ASYNC_FRAME;
    async_udp udp;
    int fd, port;
    place there;
};
static ASYNC(no_descriptors)
{
    ASYNC_BEGIN(no_descriptors);
    self->fd = raw_bind(&self->port);
    limit_descriptors(0);
    AWAIT(say_bind, &self->udp, 0);
    AWAIT(say_connect, &self->udp, self->port);
    AWAIT(async_udp_bind, &self->udp, NULL);
    AWAIT(say_send, &self->udp, "x", self->port);
    AWAIT(say_receive, &self->udp);
    unlimit_descriptors();
    AWAIT(say_send, &self->udp, "x", self->port);
    close(self->fd);
    AWAIT(async_udp_close, &self->udp);
    ASYNC_END;
}

static void without_descriptors_opening_is_an_error(void **s)
{
    (void)s;
    run(CO(no_descriptors));
    assert_said("bind:EMFILE connect:EMFILE send:EMFILE receive:EMFILE "
                "send:ok");
}

/* Everything, each allocation refused in turn. */
static void at_each_allocation_there_may_be_no_memory(void **s)
{
    long index, last;
    int error;
    (void)s;
    run(CO(exchange));
    last = memory.asked;
    for (index = 0; index < last; index++) {
        unit_said_length = 0;
        error = run_refusing(CO(exchange), index, 1);
        assert_true(error == 0 || error == ASYNC_ENOMEM);
    }
    unit_said_length = 0;
    unit_said[0] = '\0';
}

/* --- loops ---------------------------------------------------------------------------- */

static async_udp standing;
struct open_standing { ASYNC_FRAME; place there; };
static ASYNC(open_standing)
{
    ASYNC_BEGIN(open_standing);
    AWAIT(async_udp_bind, &standing, at(&self->there, 0));
    ASYNC_END;
}
struct use_standing { ASYNC_FRAME; };
static ASYNC(use_standing)
{
    ASYNC_BEGIN(use_standing);
    AWAIT(say_receive, &standing);
    AWAIT(say_send, &standing, "x", 9);
    AWAIT(say_connect, &standing, 9);
    AWAIT(say_close, &standing);
    ASYNC_END;
}

static void a_socket_belongs_to_the_loop_on_which_it_was_opened(void **s)
{
    async_uv_loop one, other;
    (void)s;
    async_uv_loop_init(&one, NULL, NULL);
    async_uv_loop_init(&other, NULL, NULL);
    async_loop_run_until_complete(&one.base, CO(open_standing));
    async_loop_run_until_complete(&other.base, CO(use_standing));
    assert_true(async_udp_is_open(&standing));
    async_loop_run_until_complete(&one.base, CO(say_close, &standing));
    async_loop_close(&one.base);
    async_loop_close(&other.base);
    assert_said("receive:ASYNC_EOTHERLOOP send:ASYNC_EOTHERLOOP "
                "connect:ASYNC_EOTHERLOOP close:ASYNC_EOTHERLOOP close:ok");
}

/* Drives each by hand, where there is no loop that could wake it. */
struct by_hand { ASYNC_FRAME; async_udp other; place there; };
static ASYNC(by_hand)
{
    async one;
    int error, i;
    ASYNC_BEGIN(by_hand);
    AWAIT(open_standing);
    for (i = 0; i < 6; i++) {
        async_new(
            &one, NULL,
            i == 0 ? CO(async_udp_receive, &standing, large, 1)
            : i == 1
                ? CO(async_udp_send, &standing, large, 1, at(&self->there, 9))
            : i == 2 ? CO(async_udp_bind, &self->other, NULL)
            : i == 3 ? CO(async_udp_connect, &self->other, at(&self->there, 9))
            : i == 4 ? CO(async_udp_open, &self->other, 0)
                     : CO(async_udp_close, &standing));
        error = async_send(&one);
        say("%s", name_of(error));
        async_close(&one);
    }
    AWAIT(say_close, &standing);
    ASYNC_END;
}

static void without_a_task_nothing_can_be_awaited(void **s)
{
    (void)s;
    run(CO(by_hand));
    assert_said("ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK "
                "ASYNC_ENOTASK ASYNC_ENOTASK close:ok");
}

static void on_a_loop_that_is_not_libuvs_nothing_can_be_opened(void **s)
{
    (void)s;
    assert_int_equal(async_virtual_run(CO(open_standing)), ASYNC_EINVAL);
}

static void a_socket_left_open_is_closed_with_its_loop(void **s)
{
    async_uv_loop loop;
    int times;
    (void)s;
    for (times = 0; times < 2; times++) {
        async_uv_loop_init(&loop, NULL, NULL);
        assert_int_equal(
            async_loop_run_until_complete(&loop.base, CO(open_standing)), 0);
        async_loop_close(&loop.base);
        assert_false(async_udp_is_open(&standing));
    }
}

static void on_a_borrowed_loop_it_is_closed_when_that_has_run(void **s)
{
    async_uv_loop *loop;
    uv_loop_t host;
    int times;
    (void)s;
    uv_loop_init(&host);
    for (times = 0; times < 2; times++) {
        loop = malloc(sizeof *loop);
        assert_non_null(loop);
        async_uv_loop_init(loop, &host, NULL);
        assert_int_equal(
            async_loop_run_until_complete(&loop->base, CO(open_standing)), 0);
        async_loop_close(&loop->base);
        free(loop);
        assert_false(async_udp_is_open(&standing));
        assert_int_equal(uv_run(&host, UV_RUN_DEFAULT), 0);
    }
    assert_int_equal(uv_loop_close(&host), 0);
}

/* Will not end when it is cancelled, and receives in its own frame. */
struct hang_on {
    ASYNC_FRAME;
    async_udp udp;
    int *ready;
    async_future never;
    place there;
};
static ASYNC(hang_on)
{
    ASYNC_BEGIN(hang_on);
    AWAIT(async_udp_bind, &self->udp, at(&self->there, 0));
    async_future_init(&self->never, async_loop_of(co));
    *self->ready = 1;
    ASYNC_TRY {
        AWAIT_FUTURE(&self->never);
    } ASYNC_FINALLY {
        AWAIT(async_sleep, ASYNC_SECONDS(1000));
        AWAIT(say_receive, &self->udp);
    } ASYNC_END_TRY
    ASYNC_END;
}
struct until_ready { ASYNC_FRAME; int *ready; };
static ASYNC(until_ready)
{
    ASYNC_BEGIN(until_ready);
    while (!*self->ready) AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void drop_a_task(uv_loop_t *host)
{
    static async_uv_loop loop;
    int ready = 0;
    async_uv_loop_init(&loop, host, NULL);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    async_task_release(
        async_loop_create_task(&loop.base, CO(hang_on, .ready = &ready)));
    async_loop_run_until_complete(&loop.base, CO(until_ready, &ready));
    async_loop_close(&loop.base);
    memset(&loop, 0xa5, sizeof loop);
    assert_said("[Task was destroyed but it is pending!]");
}

static void a_task_that_is_dropped_has_its_sockets_closed_first(void **s)
{
    uv_loop_t host;
    (void)s;
    drop_a_task(NULL);
    uv_loop_init(&host);
    drop_a_task(&host);
    uv_run(&host, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&host), 0);
}

/* --- with callbacks -------------------------------------------------------------------- */

static void say_made(async_datagram_transport *transport)
{
    say("made:%s", (const char *)transport->argument);
}
static int heard; /* how often the next two have been called */
static void say_received(async_datagram_transport *transport, const void *data,
                         size_t size, const struct sockaddr *sender)
{
    (void)transport, (void)sender;
    heard++;
    say("received:%.*s", (int)size, (const char *)data);
}
static void say_error(async_datagram_transport *transport, int error)
{
    (void)transport;
    heard++;
    say("error:%s", name_of(error));
}
static void say_lost(async_datagram_transport *transport, int error)
{
    say("lost:%s:%d", name_of(error), async_udp_is_open(&transport->udp));
}
static const async_datagram_protocol talker = { say_made, say_received,
                                                say_error, say_lost };

struct endpoint {
    ASYNC_FRAME;
    async_datagram_transport transport;
    int fd, port, how, error;
    place here, there;
};
static ASYNC(endpoint)
{
    ASYNC_BEGIN(endpoint);
    heard = 0;
    self->fd = raw_bind(&self->port);
    AWAIT(async_create_datagram_endpoint, &self->transport, &talker,
          (void *)(uintptr_t) "me", at(&self->here, 0),
          at(&self->there, self->port));
    raw_send_to(self->fd, async_udp_port(&self->transport.udp), "one");
    raw_send_to(self->fd, async_udp_port(&self->transport.udp), "");
    raw_send_to(self->fd, async_udp_port(&self->transport.udp), "three");
    while (heard < 3) AWAIT(async_sleep, ASYNC_US(100));
    assert_int_equal(
        async_datagram_sendto(&self->transport, "answer", 6, NULL), 0);
    raw_say(self->fd);
    assert_int_equal(async_datagram_sendto(&self->transport, "x", 1,
                                           at(&self->there, self->port)),
                     0);
    close(self->fd);
    assert_int_equal(async_datagram_sendto(&self->transport, "x", 1, NULL), 0);
    while (heard < 5) AWAIT(async_sleep, ASYNC_US(100));
    if (self->how == 0) async_datagram_close(&self->transport);
    if (self->how == 1) async_datagram_abort(&self->transport);
    async_datagram_close(&self->transport);
    async_datagram_abort(&self->transport);
    say("%d", async_datagram_is_closing(&self->transport));
    say("%s", name_of(async_datagram_sendto(&self->transport, "x", 1, NULL)));
    while (self->transport.buffer != NULL) AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void callbacks_are_made_received_error_and_lost(void **s)
{
    (void)s;
    run(CO(endpoint));
    assert_said("made:me received:one received: received:three raw:answer "
                "error:EISCONN error:ECONNREFUSED 1 ASYNC_ECLOSED lost:ok:0");
    run(CO(endpoint, .how = 1));
    assert_said("made:me received:one received: received:three raw:answer "
                "error:EISCONN error:ECONNREFUSED 1 ASYNC_ECLOSED lost:ok:0");
}

/* A transport that has something queued, for the program has sent by itself:
 * libuv keeps what comes behind that until it polls. */
struct endpoint_queued {
    ASYNC_FRAME;
    async_datagram_transport transport;
    int fd, port, how;
    uv_udp_send_t request;
    place here, there;
};
static ASYNC(endpoint_queued)
{
    uv_buf_t first = uv_buf_init((char *)(uintptr_t) "first", 5);
    ASYNC_BEGIN(endpoint_queued);
    heard = 0;
    self->fd = raw_bind(&self->port);
    AWAIT(async_create_datagram_endpoint, &self->transport, &talker,
          (void *)(uintptr_t) "me", at(&self->here, 0));
    assert_int_equal(uv_udp_send(&self->request,
                                 &self->transport.udp.handle.udp, &first, 1,
                                 at(&self->there, self->port), NULL),
                     0);
    assert_int_equal(async_datagram_sendto(&self->transport, "second", 6,
                                           at(&self->there, self->port)),
                     0);
    assert_int_equal(async_datagram_sendto(&self->transport, "", 0,
                                           at(&self->there, self->port)),
                     0);
    assert_int_equal(async_datagram_sendto(&self->transport, large, 65535,
                                           at(&self->there, self->port)),
                     0);
    memory_refuse(1);
    say("%s", name_of(async_datagram_sendto(&self->transport, large, 60000,
                                            at(&self->there, self->port))));
    memory_refuse(0);
    assert_int_equal(self->transport.queued, 3);
    if (self->how == 0) async_datagram_close(&self->transport);
    if (self->how == 1) async_datagram_abort(&self->transport);
    say("%d%d", async_datagram_is_closing(&self->transport),
        async_udp_is_open(&self->transport.udp));
    if (self->how == 2)
        while (heard < 1) AWAIT(async_sleep, ASYNC_US(100));
    else
        while (self->transport.buffer != NULL) AWAIT(async_sleep, 0);
    raw_say(self->fd);
    raw_say(self->fd);
    raw_say(self->fd);
    if (self->how == 2) {
        async_datagram_close(&self->transport);
        while (self->transport.buffer != NULL) AWAIT(async_sleep, 0);
    }
    close(self->fd);
    ASYNC_END;
}

static void a_transport_that_is_closed_sends_what_is_queued_first(void **s)
{
    (void)s;
    run(CO(endpoint_queued));
    assert_said("made:me ASYNC_ENOMEM 11 lost:ok:0 raw:first raw:second raw:");
}

static void one_that_is_aborted_does_not(void **s)
{
    (void)s;
    run(CO(endpoint_queued, .how = 1));
    assert_said("made:me ASYNC_ENOMEM 10 lost:ok:0 raw:first raw:EAGAIN "
                "raw:EAGAIN");
}

static void an_error_of_what_was_queued_is_received(void **s)
{
    (void)s;
    run(CO(endpoint_queued, .how = 2));
    assert_said("made:me ASYNC_ENOMEM 01 error:EMSGSIZE raw:first raw:second "
                "raw: lost:ok:0");
}

static async_datagram_transport standing_transport;
struct endpoint_left { ASYNC_FRAME; int fails; int error; place here; };
static ASYNC(endpoint_left)
{
    ASYNC_BEGIN(endpoint_left);
    AWAIT(async_create_datagram_endpoint, &standing_transport, &talker,
          (void *)(uintptr_t) "me", at(&self->here, 0));
    AWAIT_CATCH(self->error, async_create_datagram_endpoint,
                &standing_transport, &talker, NULL, at(&self->here, 0));
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_create_datagram_endpoint,
                &standing_transport, &talker, NULL);
    say("%s", name_of(self->error));
    AWAIT_CATCH(self->error, async_create_datagram_endpoint,
                &standing_transport, &talker, NULL, NULL, at(&self->here, 9));
    say("%s", name_of(self->error));
    ASYNC_END;
}

static void one_that_is_left_open_is_closed_when_the_run_ends(void **s)
{
    (void)s;
    assert_int_equal(async_run(CO(endpoint_left)), 0);
    assert_said("made:me ASYNC_EBUSY ASYNC_EINVAL ASYNC_EBUSY "
                "lost:ASYNC_ECANCELED:0");
}

struct endpoint_brief {
    ASYNC_FRAME;
    async_datagram_transport transport;
    int done;
    place here;
};
static ASYNC(endpoint_brief)
{
    ASYNC_BEGIN(endpoint_brief);
    AWAIT(async_create_datagram_endpoint, &self->transport, &talker,
          (void *)(uintptr_t) "me", at(&self->here, 0));
    async_datagram_close(&self->transport);
    while (self->transport.buffer != NULL) AWAIT(async_sleep, 0);
    ASYNC_END;
}

static void opening_one_may_find_no_memory(void **s)
{
    long index, last;
    int error, failed = 0;
    (void)s;
    run(CO(endpoint_brief));
    assert_said("made:me lost:ok:0");
    last = memory.asked;
    for (index = 0; index < last; index++) {
        error = run_refusing(CO(endpoint_brief), index, 1);
        assert_true(error == 0 || error == ASYNC_ENOMEM);
        failed += error != 0;
    }
    assert_true(failed > 0);
    unit_said_length = 0;
    unit_said[0] = '\0';
}

UNIT_MAIN(TEST(what_one_sends_another_receives_with_its_address),
          TEST(each_datagram_comes_by_itself_also_an_empty_one),
          TEST(one_that_is_too_large_for_the_buffer_is_an_error),
          TEST(sending_does_not_suspend_if_the_system_takes_it),
          TEST(what_comes_while_nobody_receives_waits_and_nothing_is_lost),
          TEST(sending_and_receiving_allocate_nothing),
          TEST(a_send_that_waits_goes_out_even_if_it_is_cancelled),
          TEST(closing_tells_those_whose_datagrams_wait),
          TEST(a_connected_socket_talks_to_one_address_alone),
          TEST(that_nobody_is_there_is_an_error_of_receive_once),
          TEST(an_error_that_nobody_waits_for_waits_too),
          TEST(a_port_that_is_in_use_can_be_shared_if_both_say_so),
          TEST(one_without_a_name_gets_it_when_it_sends),
          TEST(a_socket_of_the_systems_can_be_adopted),
          TEST(an_address_of_another_family_is_an_error),
          TEST(an_address_is_made_of_numbers), TEST(ipv6_works_like_ipv4),
          TEST(what_is_not_open_can_only_be_closed),
          TEST(who_has_joined_a_group_receives_what_is_sent_to_it),
          TEST(broadcasts_must_be_allowed),
          TEST(to_send_too_much_or_receive_into_nothing_is_an_error),
          TEST(receiving_while_another_receives_is_an_error),
          TEST(closing_tells_who_receives_and_several_may_close),
          TEST(a_receive_can_be_cancelled_and_the_next_one_goes_on),
          TEST(one_cancelled_when_a_datagram_had_come_leaves_it_to_the_next),
          TEST(one_that_cannot_be_kept_is_lost_and_the_next_learns_it),
          TEST(one_cancelled_when_an_error_had_come_leaves_it_to_the_next),
          TEST(a_cancelled_close_closes_and_then_raises),
          TEST(receiving_can_time_out_and_nothing_is_lost),
          TEST(without_descriptors_opening_is_an_error),
          TEST(at_each_allocation_there_may_be_no_memory),
          TEST(a_socket_belongs_to_the_loop_on_which_it_was_opened),
          TEST(without_a_task_nothing_can_be_awaited),
          TEST(on_a_loop_that_is_not_libuvs_nothing_can_be_opened),
          TEST(a_socket_left_open_is_closed_with_its_loop),
          TEST(on_a_borrowed_loop_it_is_closed_when_that_has_run),
          TEST(a_task_that_is_dropped_has_its_sockets_closed_first),
          TEST(callbacks_are_made_received_error_and_lost),
          TEST(a_transport_that_is_closed_sends_what_is_queued_first),
          TEST(one_that_is_aborted_does_not),
          TEST(an_error_of_what_was_queued_is_received),
          TEST(one_that_is_left_open_is_closed_when_the_run_ends),
          TEST(opening_one_may_find_no_memory))
