/* link: -luv */
/* Names: looking them up, both ways, and connecting by name.
 *
 * No network but this machine: addresses in numbers, localhost, and a name
 * that does not exist. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/test/virtual.h"
#include "../../async/uv/connect.h"

#include "sockets.h"

/* --- helpers ------------------------------------------------------------- */

/* Addresses on this machine, in a list as async_getaddrinfo() makes it. */
enum { PLACES = 6 };
typedef struct places {
    struct addrinfo list[PLACES];
    struct sockaddr_storage storage[PLACES];
    int count;
} places;
static const struct addrinfo *add(places *p, const char *ip, int port)
{
    struct addrinfo *one = &p->list[p->count];
    assert_int_equal(async_tcp_address(&p->storage[p->count], ip, port), 0);
    one->ai_family = p->storage[p->count].ss_family;
    one->ai_addr = (struct sockaddr *)&p->storage[p->count];
    if (p->count > 0) p->list[p->count - 1].ai_next = one;
    p->count++;
    return p->list;
}

static int raw_listen_at(const char *ip, int backlog, int *port)
{
    struct sockaddr_storage here;
    socklen_t size;
    int fd;
    async_tcp_address(&here, ip, *port);
    size = here.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                     : sizeof(struct sockaddr_in6);
    fd = socket(here.ss_family, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    if (bind(fd, (struct sockaddr *)&here, size) != 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&here, &size), 0);
    *port = port_of(&here);
    return fd;
}
static int refused_port(void)
{
    int port;
    close(raw_listen(1, &port));
    return port;
}

/* The port that a stream is connected to, or 0. */
static int peer_of(async_stream *stream)
{
    struct sockaddr_storage name;
    int size = sizeof name;
    if (!async_stream_is_open(stream) ||
        uv_tcp_getpeername(&stream->handle.tcp, (struct sockaddr *)&name,
                           &size) != 0)
        return 0;
    return port_of(&name);
}

/* One operation each, which says what came of it, cancellation too. */
struct say_lookup {
    ASYNC_FRAME;
    const char *node, *service;
    struct addrinfo hints;
    int error;
    struct addrinfo *found, *a;
};
static ASYNC(say_lookup)
{
    char text[64];
    ASYNC_BEGIN(say_lookup);
    ASYNC_TRY {
        AWAIT_INTO(self->found, async_getaddrinfo, self->node, self->service,
                   &self->hints);
        for (self->a = self->found; self->a != NULL;
             self->a = self->a->ai_next) {
            if (self->a->ai_family == AF_INET)
                uv_ip4_name((struct sockaddr_in *)(void *)self->a->ai_addr,
                            text, sizeof text);
            else
                uv_ip6_name((struct sockaddr_in6 *)(void *)self->a->ai_addr,
                            text, sizeof text);
            say("%s:%d", text,
                ntohs(((struct sockaddr_in *)(void *)self->a->ai_addr)
                          ->sin_port));
        }
        async_freeaddrinfo(self->found);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct say_name {
    ASYNC_FRAME;
    const char *ip;
    int port, flags;
    int error;
    struct sockaddr_storage address;
    async_names names;
};
static ASYNC(say_name)
{
    ASYNC_BEGIN(say_name);
    async_tcp_address(&self->address, self->ip, self->port);
    ASYNC_TRY {
        AWAIT(async_getnameinfo, (const struct sockaddr *)&self->address,
              self->flags, &self->names);
        say("%s:%s", self->names.host, self->names.service);
    } ASYNC_EXCEPT_ALL(self->error) {
        say("%s", name_of(self->error));
    } ASYNC_END_TRY
    ASYNC_END;
}

struct say_any {
    ASYNC_FRAME;
    async_stream *stream;
    const struct addrinfo *addresses;
    async_duration delay;
    int error;
};
static ASYNC(say_any)
{
    ASYNC_BEGIN(say_any);
    ASYNC_TRY {
        AWAIT(async_tcp_connect_any, self->stream, self->addresses,
              self->delay);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("connect:%s", name_of(self->error));
    ASYNC_END;
}

struct say_host {
    ASYNC_FRAME;
    async_stream *stream;
    const char *host;
    int port;
    int error;
};
static ASYNC(say_host)
{
    ASYNC_BEGIN(say_host);
    ASYNC_TRY {
        AWAIT(async_tcp_connect_host, self->stream, self->host, self->port);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    say("connect:%s", name_of(self->error));
    ASYNC_END;
}

/* Work that keeps all of libuv's threads busy until it is told, so that what
 * comes behind it does not begin. */
enum { THREADS = 4 };
static struct {
    uv_sem_t go, begun;
    uv_work_t works[THREADS];
} busy;
static void busy_work(uv_work_t *work)
{
    (void)work;
    uv_sem_post(&busy.begun);
    uv_sem_wait(&busy.go);
}
static void busy_begin(uv_loop_t *loop)
{
    int i;
    uv_sem_init(&busy.go, 0);
    uv_sem_init(&busy.begun, 0);
    for (i = 0; i < THREADS; i++)
        uv_queue_work(loop, &busy.works[i], busy_work, NULL);
    for (i = 0; i < THREADS; i++) uv_sem_wait(&busy.begun);
}
static void busy_end(void)
{
    int i;
    for (i = 0; i < THREADS; i++) uv_sem_post(&busy.go);
}

/* --- names to addresses ------------------------------------------------------ */

static void numbers_are_looked_up_as_what_they_say(void **s)
{
    struct addrinfo hints;
    (void)s;
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST;
    run(CO(say_lookup, "127.0.0.1", "80", hints));
    assert_said("127.0.0.1:80");
    run(CO(say_lookup, "::1", "81", hints));
    assert_said("::1:81");
    run(CO(say_lookup, "127.0.0.1", NULL, hints));
    assert_said("127.0.0.1:0");
}

static void localhost_is_this_machine(void **s)
{
    struct addrinfo hints;
    (void)s;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    run(CO(say_lookup, "localhost", "80", hints));
    assert_said("127.0.0.1:80");
    run(CO(say_lookup, NULL, "80", hints));
    assert_said("127.0.0.1:80");
}

struct lookup_all { ASYNC_FRAME; struct addrinfo *found, *a; int streams; };
static ASYNC(lookup_all)
{
    ASYNC_BEGIN(lookup_all);
    AWAIT_INTO(self->found, async_getaddrinfo, "127.0.0.1", "80");
    for (self->a = self->found; self->a != NULL; self->a = self->a->ai_next)
        self->streams += self->a->ai_socktype == SOCK_STREAM;
    say("%d", self->streams);
    async_freeaddrinfo(self->found);
    async_freeaddrinfo(NULL);
    ASYNC_END;
}

static void without_hints_each_type_of_socket_is_listed(void **s)
{
    (void)s;
    run(CO(lookup_all));
    assert_said("1");
}

static void what_cannot_be_looked_up_is_an_error(void **s)
{
    struct addrinfo hints;
    char long_name[2000];
    (void)s;
    memset(&hints, 0, sizeof hints);
    hints.ai_flags = AI_NUMERICHOST;
    run(CO(say_lookup, "name.invalid", "80", hints));
    assert_said("EAI_NONAME");
    run(CO(say_lookup, NULL, NULL, hints));
    assert_said("ASYNC_EINVAL");
    hints.ai_flags = 0;
    hints.ai_socktype = SOCK_STREAM;
    run(CO(say_lookup, "127.0.0.1", "no-such-service", hints));
    assert_true(strcmp(unit_said, "EAI_SERVICE") == 0 ||
                strcmp(unit_said, "EAI_NONAME") == 0);
    unit_said_length = 0;
    hints.ai_family = 12345;
    run(CO(say_lookup, "127.0.0.1", "80", hints));
    assert_said("EAI_FAMILY");
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    hints.ai_family = 0;
    run(CO(say_lookup, long_name, "80", hints));
    assert_true(unit_said_length > 0 && unit_said[0] != 'o');
    unit_said_length = 0;
}

/* By the system's own resolver, which may have no name server to ask. */
static void a_name_that_does_not_exist_is_an_error(void **s)
{
    struct addrinfo hints;
    (void)s;
    memset(&hints, 0, sizeof hints);
    run(CO(say_lookup, "name.invalid", "80", hints));
    assert_true(strcmp(unit_said, "EAI_NONAME") == 0 ||
                strcmp(unit_said, "EAI_AGAIN") == 0 ||
                strcmp(unit_said, "EAI_NODATA") == 0 ||
                strcmp(unit_said, "EAI_FAIL") == 0);
    unit_said_length = 0;
}

static void all_its_errors_have_libuvs_names_and_texts(void **s)
{
    static const int errors[] = {
        UV_EAI_ADDRFAMILY, UV_EAI_AGAIN,   UV_EAI_BADFLAGS, UV_EAI_BADHINTS,
        UV_EAI_CANCELED,   UV_EAI_FAIL,    UV_EAI_FAMILY,   UV_EAI_MEMORY,
        UV_EAI_NODATA,     UV_EAI_NONAME,  UV_EAI_OVERFLOW, UV_EAI_PROTOCOL,
        UV_EAI_SERVICE,    UV_EAI_SOCKTYPE
    };
    size_t i;
    (void)s;
    for (i = 0; i < sizeof errors / sizeof *errors; i++) {
        assert_non_null(async_error_name(errors[i]));
        assert_string_equal(async_error_name(errors[i]),
                            uv_err_name(errors[i]));
        assert_string_equal(async_strerror(errors[i]), uv_strerror(errors[i]));
    }
}

struct many {
    ASYNC_FRAME;
    async_gathering all;
    int i;
    struct addrinfo hints;
};
static ASYNC(many)
{
    ASYNC_BEGIN(many);
    self->hints.ai_flags = AI_NUMERICHOST;
    self->hints.ai_socktype = SOCK_STREAM;
    for (; self->i < 20; self->i++)
        async_gather_add(&self->all,
                         CO(say_lookup, "127.0.0.1", "1", self->hints));
    AWAIT(async_gather, &self->all);
    async_gather_clear(&self->all);
    ASYNC_END;
}

static void many_are_looked_up_at_once(void **s)
{
    (void)s;
    run(CO(many));
    assert_int_equal(unit_said_length, 20 * strlen("127.0.0.1:1 ") - 1);
    unit_said_length = 0;
}

/* --- addresses to names -------------------------------------------------------- */

static void addresses_have_names_and_numbers(void **s)
{
    (void)s;
    run(CO(say_name, "127.0.0.1", 80, NI_NUMERICHOST | NI_NUMERICSERV));
    assert_said("127.0.0.1:80");
    run(CO(say_name, "::1", 81, NI_NUMERICHOST | NI_NUMERICSERV));
    assert_said("::1:81");
    run(CO(say_name, "127.0.0.1", 80, NI_NUMERICSERV));
    assert_said("localhost:80");
}

struct odd_name {
    ASYNC_FRAME;
    struct sockaddr address;
    async_names names;
    int error;
};
static ASYNC(odd_name)
{
    ASYNC_BEGIN(odd_name);
    self->address.sa_family = AF_UNIX;
    AWAIT_CATCH(self->error, async_getnameinfo, &self->address, 0,
                &self->names);
    say("%s", name_of(self->error));
    ASYNC_END;
}

static void an_address_of_another_family_has_none(void **s)
{
    (void)s;
    run(CO(odd_name));
    assert_said("ASYNC_EINVAL");
}

/* --- cancellation ---------------------------------------------------------------- */

struct cancel_lookup {
    ASYNC_FRAME;
    int how, name;
    async_task *task;
    struct addrinfo hints;
};
static ASYNC(cancel_lookup)
{
    ASYNC_BEGIN(cancel_lookup);
    self->hints.ai_socktype = SOCK_STREAM;
    if (self->how == 0) busy_begin(async_uv_loop_of(async_loop_of(co)));
    self->task = async_create_task(
        self->name ? CO(say_name, "127.0.0.1", 1, NI_NUMERICHOST)
                   : CO(say_lookup, "127.0.0.1", "1", self->hints));
    AWAIT(until_waiting, self->task);
    if (self->how == 2) AWAIT(until_woken, self->task);
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    if (self->how == 0) {
        say("|");
        busy_end();
    }
    /* it has no say any more when it comes */
    AWAIT(async_sleep, ASYNC_MS(5));
    ASYNC_END;
}

static void one_that_has_not_begun_is_taken_back_at_once(void **s)
{
    (void)s;
    run(CO(cancel_lookup));
    assert_said("ASYNC_ECANCELED |");
    run(CO(cancel_lookup, .name = 1));
    assert_said("ASYNC_ECANCELED |");
}

static void one_that_has_begun_is_left_behind_at_once(void **s)
{
    int i;
    (void)s;
    for (i = 0; i < 20; i++) {
        run(CO(cancel_lookup, 1, i % 2));
        assert_said("ASYNC_ECANCELED");
    }
}

static void one_cancelled_when_it_was_through_leaks_nothing(void **s)
{
    (void)s;
    run(CO(cancel_lookup, 2, 0));
    assert_said("ASYNC_ECANCELED");
    run(CO(cancel_lookup, 2, 1));
    assert_said("ASYNC_ECANCELED");
}

struct in_time { ASYNC_FRAME; int error; };
static ASYNC(in_time)
{
    ASYNC_BEGIN(in_time);
    busy_begin(async_uv_loop_of(async_loop_of(co)));
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_getaddrinfo, "127.0.0.1", "1"), ASYNC_MS(2));
    say("%s", name_of(self->error));
    busy_end();
    ASYNC_END;
}

static void a_lookup_can_time_out(void **s)
{
    (void)s;
    run(CO(in_time));
    assert_said("ASYNC_ETIMEDOUT");
}

/* --- the first of several addresses -------------------------------------------- */

struct any_one {
    ASYNC_FRAME;
    async_stream stream;
    int fd, port, peer;
    size_t n;
    places there;
    char buffer[8];
};
static ASYNC(any_one)
{
    int on = 0;
    socklen_t size = sizeof on;
    uv_os_fd_t socket;
    ASYNC_BEGIN(any_one);
    self->fd = raw_listen(8, &self->port);
    add(&self->there, "127.0.0.1", refused_port());
    add(&self->there, "127.0.0.1", refused_port());
    AWAIT(say_any, &self->stream, add(&self->there, "127.0.0.1", self->port));
    say("%d", peer_of(&self->stream) == self->port);
    uv_fileno(&self->stream.handle.any, &socket);
    getsockopt(socket, IPPROTO_TCP, 1 /* TCP_NODELAY */, &on, &size);
    say("%d%d", on != 0, (fcntl(socket, F_GETFD) & FD_CLOEXEC) != 0);
    say("%u", (unsigned)async_uv_loop_count_handles(async_loop_of(co)));
    self->peer = accept(self->fd, NULL, NULL);
    AWAIT(async_stream_write, &self->stream, "hello", 5);
    assert_int_equal(recv(self->peer, self->buffer, 8, 0), 5);
    assert_int_equal(send(self->peer, "world", 5, 0), 5);
    AWAIT_INTO(self->n, async_stream_read, &self->stream, self->buffer, 8);
    say("%.5s", self->buffer);
    AWAIT(async_stream_close, &self->stream);
    assert_int_equal(recv(self->peer, self->buffer, 8, 0), 0);
    close(self->peer);
    close(self->fd);
    ASYNC_END;
}

static void when_one_is_refused_the_next_is_tried(void **s)
{
    (void)s;
    run(CO(any_one));
    assert_said("connect:ok 1 11 1 world");
}

struct beside {
    ASYNC_FRAME;
    async_stream stream;
    deaf deaf;
    async_duration delay;
    int fd, port;
    places there;
    async_time began;
    async_duration took;
};
static ASYNC(beside)
{
    ASYNC_BEGIN(beside);
    deaf_open(&self->deaf);
    self->fd = raw_listen(8, &self->port);
    add(&self->there, "127.0.0.1", self->deaf.port);
    add(&self->there, "127.0.0.1", self->port);
    add(&self->there, "127.0.0.1", refused_port()); /* which nobody asks */
    self->began = async_loop_time(async_loop_of(co));
    AWAIT(say_any, &self->stream, self->there.list, self->delay);
    self->took = async_loop_time(async_loop_of(co)) - self->began;
    say("%d", peer_of(&self->stream) == self->port);
    say("%s", self->took >= (self->delay ? self->delay : ASYNC_MS(250))
                  ? "late"
                  : "early");
    say("%u", (unsigned)async_uv_loop_count_handles(async_loop_of(co)));
    AWAIT(async_stream_close, &self->stream);
    close(self->fd);
    deaf_close(&self->deaf);
    ASYNC_END;
}

static void when_one_does_not_answer_the_next_is_tried_beside_it(void **s)
{
    (void)s;
    run(CO(beside, .delay = ASYNC_MS(10)));
    assert_said("connect:ok 1 late 1");
}

static void by_default_that_is_a_quarter_of_a_second_later(void **s)
{
    (void)s;
    run(CO(beside));
    assert_said("connect:ok 1 late 1");
}

/* The first answers, though late: after the second has begun, and failed. */
struct slow_first {
    ASYNC_FRAME;
    async_stream stream;
    deaf deaf;
    places there;
    async_task *task;
    int fds[4], i;
};
static ASYNC(slow_first)
{
    ASYNC_BEGIN(slow_first);
    deaf_open(&self->deaf);
    add(&self->there, "127.0.0.1", self->deaf.port);
    add(&self->there, "127.0.0.1", refused_port());
    self->task = async_create_task(
        CO(say_any, &self->stream, self->there.list, ASYNC_MS(5)));
    AWAIT(async_sleep, ASYNC_MS(20));
    say("waits");
    /* now it has room, and hears the next time that it is asked */
    for (self->i = 0; self->i < 4; self->i++) close(self->deaf.full[self->i]);
    for (self->i = 0; self->i < 2; self->i++)
        self->fds[self->i] = accept(self->deaf.listener, NULL, NULL);
    AWAIT_JOIN(self->task);
    say("%d", peer_of(&self->stream) == self->deaf.port);
    AWAIT(async_stream_close, &self->stream);
    for (self->i = 0; self->i < 2; self->i++) close(self->fds[self->i]);
    close(self->deaf.listener);
    ASYNC_END;
}

static void the_first_may_still_win_when_the_others_have_failed(void **s)
{
    (void)s;
    run(CO(slow_first));
    assert_said("waits connect:ok 1");
}

struct one_by_one {
    ASYNC_FRAME;
    async_stream stream;
    deaf deaf;
    places there;
    int fd, port, error;
};
static ASYNC(one_by_one)
{
    ASYNC_BEGIN(one_by_one);
    deaf_open(&self->deaf);
    self->fd = raw_listen(8, &self->port);
    add(&self->there, "127.0.0.1", refused_port());
    add(&self->there, "127.0.0.1", self->deaf.port);
    add(&self->there, "127.0.0.1", self->port);
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_tcp_connect_any, &self->stream, self->there.list,
                   ASYNC_FOREVER),
                ASYNC_MS(50));
    say("%s", name_of(self->error));
    self->there.list[0].ai_next = &self->there.list[2];
    AWAIT(say_any, &self->stream, self->there.list, ASYNC_FOREVER);
    say("%d", peer_of(&self->stream) == self->port);
    AWAIT(async_stream_close, &self->stream);
    close(self->fd);
    deaf_close(&self->deaf);
    ASYNC_END;
}

static void without_a_delay_they_are_tried_one_after_the_other(void **s)
{
    (void)s;
    run(CO(one_by_one));
    assert_said("ASYNC_ETIMEDOUT connect:ok 1");
}

/* The families take turns, so the second address that is tried is the last of
 * the list. */
struct in_turn {
    ASYNC_FRAME;
    async_stream stream;
    int forever, four, six, port, ports;
    places there;
};
static ASYNC(in_turn)
{
    ASYNC_BEGIN(in_turn);
    self->four = raw_listen(8, &self->port);
    self->six = raw_listen_at("::1", 8, &self->ports);
    add(&self->there, "127.0.0.1", refused_port());
    add(&self->there, "127.0.0.1", self->port);
    add(&self->there, "::1", self->ports);
    AWAIT(say_any, &self->stream, self->there.list,
          self->forever ? ASYNC_FOREVER : 0);
    say("%s", peer_of(&self->stream) == self->ports ? "six" : "four");
    AWAIT(async_stream_close, &self->stream);
    close(self->four);
    close(self->six);
    ASYNC_END;
}

static void families_take_turns_unless_they_are_tried_one_by_one(void **s)
{
    int port = 0, fd = raw_listen_at("::1", 1, &port);
    (void)s;
    if (fd < 0) skip();
    close(fd);
    run(CO(in_turn));
    assert_said("connect:ok six");
    run(CO(in_turn, .forever = 1));
    assert_said("connect:ok four");
}

/* In what order the addresses of a list are tried. */
static void the_order_is_that_of_rfc_8305(void **s)
{
    struct async_tcp_connect_any any;
    places there;
    const struct addrinfo *next;
    int forever;
    (void)s;
    memset(&there, 0, sizeof there);
    add(&there, "::1", 1);
    add(&there, "::1", 2);
    add(&there, "127.0.0.1", 3);
    add(&there, "::1", 4);
    add(&there, "127.0.0.1", 5);
    add(&there, "::1", 6);
    there.list[3].ai_addr = NULL; /* what has no address is passed over */
    for (forever = 0; forever < 2; forever++) {
        memset(&any, 0, sizeof any);
        any.addresses = there.list;
        any.delay = forever ? ASYNC_FOREVER : 0;
        async__race_begin_turns(&any);
        while ((next = async__race_take_turn(&any)) != NULL)
            say("%d", (int)(next - there.list) + 1);
        assert_null(async__race_take_turn(&any));
        say("|");
    }
    assert_said("1 3 2 5 6 | 1 2 3 5 6 |");
}

/* --- all have failed --------------------------------------------------------------- */

struct none {
    ASYNC_FRAME;
    async_stream stream;
    places there;
    struct sockaddr_storage odd;
    int fd, port, error;
};
static ASYNC(none)
{
    ASYNC_BEGIN(none);
    add(&self->there, "127.0.0.1", refused_port());
    add(&self->there, "127.0.0.1", refused_port());
    AWAIT(say_any, &self->stream, self->there.list);
    AWAIT(say_any, &self->stream, self->there.list, ASYNC_FOREVER);
    AWAIT(say_any, &self->stream, NULL);
    /* the first error, if it says nothing of this machine alone */
    memset(&self->there, 0, sizeof self->there);
    self->odd.ss_family = AF_UNIX;
    self->there.list[0].ai_addr = (struct sockaddr *)&self->odd;
    self->there.list[0].ai_family = AF_UNIX;
    self->there.count = 1;
    add(&self->there, "127.0.0.1", refused_port());
    AWAIT(say_any, &self->stream, self->there.list);
    say("%d", async_stream_is_open(&self->stream));
    say("%u", (unsigned)async_uv_loop_count_handles(async_loop_of(co)));
    /* and it can be used */
    self->fd = raw_listen(8, &self->port);
    memset(&self->there, 0, sizeof self->there);
    AWAIT(say_any, &self->stream, add(&self->there, "127.0.0.1", self->port));
    AWAIT(say_any, &self->stream, self->there.list);
    AWAIT(async_stream_close, &self->stream);
    close(self->fd);
    ASYNC_END;
}

static void when_all_have_failed_the_first_error_is_raised(void **s)
{
    (void)s;
    run(CO(none));
    assert_said("connect:ECONNREFUSED connect:ECONNREFUSED "
                "connect:ASYNC_EINVAL connect:ASYNC_EINVAL 0 0 "
                "connect:ok connect:ASYNC_EBUSY");
}

static void errors_of_this_machine_alone_give_way_to_any_other(void **s)
{
    async__race race;
    (void)s;
    memset(&race, 0, sizeof race);
    async__race_failed(&race, UV_ENETUNREACH, 3);
    assert_int_equal(race.failure, UV_ENETUNREACH);
    async__race_failed(&race, UV_EADDRNOTAVAIL, 1);
    assert_int_equal(race.failure, UV_EADDRNOTAVAIL);
    async__race_failed(&race, UV_EAFNOSUPPORT, 2);
    assert_int_equal(race.failure, UV_EADDRNOTAVAIL);
    async__race_failed(&race, UV_ETIMEDOUT, 7);
    assert_int_equal(race.failure, UV_ETIMEDOUT);
    async__race_failed(&race, UV_ENETUNREACH, 0);
    assert_int_equal(race.failure, UV_ETIMEDOUT);
    async__race_failed(&race, UV_ECONNREFUSED, 6);
    assert_int_equal(race.failure, UV_ECONNREFUSED);
    async__race_failed(&race, UV_ECONNRESET, 8);
    assert_int_equal(race.failure, UV_ECONNREFUSED);
}

struct cancel_any {
    ASYNC_FRAME;
    async_stream stream;
    deaf deaf;
    places there;
    async_task *task;
    int how;
};
static ASYNC(cancel_any)
{
    ASYNC_BEGIN(cancel_any);
    deaf_open(&self->deaf);
    add(&self->there, "127.0.0.1", self->deaf.port);
    add(&self->there, "127.0.0.1", self->deaf.port);
    self->task = async_create_task(
        CO(say_any, &self->stream, self->there.list, ASYNC_MS(5)));
    AWAIT(until_waiting, self->task);
    if (self->how > 0) AWAIT(async_sleep, ASYNC_MS(7));
    async_task_cancel(self->task);
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    say("%d%u", async_stream_is_open(&self->stream),
        (unsigned)async_uv_loop_count_handles(async_loop_of(co)));
    deaf_close(&self->deaf);
    ASYNC_END;
}

static void one_that_is_cancelled_closes_all_its_attempts(void **s)
{
    (void)s;
    run(CO(cancel_any));
    assert_said("connect:ASYNC_ECANCELED 00");
    run(CO(cancel_any, .how = 1));
    assert_said("connect:ASYNC_ECANCELED 00");
}

/* Step by step: as soon as the task has been woken, or some iterations later,
 * when it waits for its handles, or is through. */
struct cancel_late {
    ASYNC_FRAME;
    int steps;
    async_stream stream;
    places there;
    async_task *task;
    int fd, port;
};
static ASYNC(cancel_late)
{
    ASYNC_BEGIN(cancel_late);
    self->fd = raw_listen(8, &self->port);
    self->task = async_create_task(CO(
        say_any, &self->stream, add(&self->there, "127.0.0.1", self->port)));
    AWAIT(until_woken, self->task);
    while (self->steps-- > 0) ASYNC_SUSPEND;
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    say("%d", async_stream_is_open(&self->stream));
    AWAIT(async_stream_close, &self->stream);
    close(self->fd);
    ASYNC_END;
}

static void one_that_is_cancelled_when_it_has_won_is_closed_too(void **s)
{
    int steps, through = 0;
    (void)s;
    for (steps = 0; !through; steps++) {
        assert_true(steps < 10000);
        run(CO(cancel_late, steps));
        through = strcmp(unit_said, "connect:ok 1") == 0;
        if (!through) assert_said("connect:ASYNC_ECANCELED 0");
        unit_said_length = 0;
        if (steps > 3) steps += steps / 2; /* polls come in their own time */
    }
    assert_true(steps > 1);
}

struct no_descriptors {
    ASYNC_FRAME;
    async_stream stream;
    places there;
    int more, fd, port;
};
static ASYNC(no_descriptors)
{
    ASYNC_BEGIN(no_descriptors);
    self->fd = raw_listen(8, &self->port);
    add(&self->there, "127.0.0.1", self->port);
    add(&self->there, "127.0.0.1", self->port);
    limit_descriptors(self->more);
    AWAIT(say_any, &self->stream, self->there.list);
    unlimit_descriptors();
    say("%d", async_stream_is_open(&self->stream));
    AWAIT(async_stream_close, &self->stream);
    close(self->fd);
    ASYNC_END;
}
static void without_descriptors_connecting_is_an_error(void **s)
{
    (void)s;
    run(CO(no_descriptors));
    assert_said("connect:EMFILE 0");
    run(CO(no_descriptors, .more = 1)); /* which libuv takes */
    assert_said("connect:EMFILE 0");
    run(CO(no_descriptors, .more = 2)); /* none for the winner's copy */
    assert_said("connect:EMFILE 0");
    run(CO(no_descriptors, .more = 3));
    assert_said("connect:ok 1");
}

/* --- by name -------------------------------------------------------------------------- */

struct by_name { ASYNC_FRAME; async_stream stream; int fd, port; };
static ASYNC(by_name)
{
    ASYNC_BEGIN(by_name);
    self->fd = raw_listen(8, &self->port);
    AWAIT(say_host, &self->stream, "localhost", self->port);
    say("%d", peer_of(&self->stream) == self->port);
    AWAIT(say_host, &self->stream, "localhost", self->port);
    AWAIT(async_stream_close, &self->stream);
    AWAIT(say_host, &self->stream, "127.0.0.1", self->port);
    AWAIT(async_stream_close, &self->stream);
    AWAIT(say_host, &self->stream, NULL, self->port);
    AWAIT(async_stream_close, &self->stream);
    close(self->fd);
    AWAIT(say_host, &self->stream, "localhost", self->port);
    AWAIT(say_host, &self->stream, "127.0.0.1", self->port);
    AWAIT(say_host, &self->stream, "localhost", 65536);
    AWAIT(say_host, &self->stream, "localhost", -1);
    say("%d", async_stream_is_open(&self->stream));
    ASYNC_END;
}

static void a_host_is_connected_to_by_its_name(void **s)
{
    (void)s;
    run(CO(by_name));
    assert_said("connect:ok 1 connect:ASYNC_EBUSY connect:ok connect:ok "
                "connect:ECONNREFUSED connect:ECONNREFUSED "
                "connect:ASYNC_EINVAL connect:ASYNC_EINVAL 0");
}

struct cancel_host { ASYNC_FRAME; async_stream stream; async_task *task; };
static ASYNC(cancel_host)
{
    ASYNC_BEGIN(cancel_host);
    busy_begin(async_uv_loop_of(async_loop_of(co)));
    self->task =
        async_create_task(CO(say_host, &self->stream, "localhost", 9));
    AWAIT(until_waiting, self->task);
    async_task_cancel(self->task);
    AWAIT_JOIN(self->task);
    say("%d", async_stream_is_open(&self->stream));
    busy_end();
    ASYNC_END;
}

static void that_can_be_cancelled_while_it_looks_up(void **s)
{
    (void)s;
    run(CO(cancel_host));
    assert_said("connect:ASYNC_ECANCELED 0");
}

/* --- memory ----------------------------------------------------------------------------- */

struct with_memory {
    ASYNC_FRAME;
    async_stream stream;
    int fd, port, error;
    async_names names;
    struct sockaddr_storage there;
};
static ASYNC(with_memory)
{
    ASYNC_BEGIN(with_memory);
    self->fd = raw_listen(8, &self->port);
    ASYNC_TRY {
        AWAIT(async_tcp_connect_host, &self->stream, "localhost", self->port);
        async_tcp_address(&self->there, "127.0.0.1", 1);
        AWAIT(async_getnameinfo, (const struct sockaddr *)&self->there,
              NI_NUMERICHOST, &self->names);
    } ASYNC_FINALLY {
        close(self->fd);
        /* one allocation is refused, and this may be it */
        AWAIT_CATCH(self->error, async_stream_close, &self->stream);
        AWAIT(async_stream_close, &self->stream);
    } ASYNC_END_TRY
    ASYNC_END;
}

static void at_each_allocation_there_may_be_no_memory(void **s)
{
    long index, last;
    int error, failed = 0;
    (void)s;
    run(CO(with_memory));
    last = memory.asked;
    for (index = 0; index < last; index++) {
        error = run_refusing(CO(with_memory), index, 1);
        assert_true(error == 0 || error == ASYNC_ENOMEM);
        failed += error != 0;
    }
    assert_true(failed >= 3); /* of the lookups, and the attempt */
}

/* --- loops --------------------------------------------------------------------------- */

/* Drives each by hand, where there is no loop that could wake it. */
struct by_hand {
    ASYNC_FRAME;
    async_stream stream;
    places there;
    async_names names;
};
static ASYNC(by_hand)
{
    async one;
    int error, i;
    ASYNC_BEGIN(by_hand);
    add(&self->there, "127.0.0.1", 9);
    for (i = 0; i < 4; i++) {
        async_new(
            &one, NULL,
            i == 0   ? CO(async_getaddrinfo, "127.0.0.1", "1")
            : i == 1 ? CO(async_getnameinfo, self->there.list->ai_addr, 0,
                          &self->names)
            : i == 2
                ? CO(async_tcp_connect_any, &self->stream, self->there.list)
                : CO(async_tcp_connect_host, &self->stream, "localhost", 9));
        error = async_send(&one);
        say("%s", name_of(error));
        async_close(&one);
    }
    ASYNC_END;
}

static void without_a_task_nothing_can_be_awaited(void **s)
{
    (void)s;
    run(CO(by_hand));
    assert_said("ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK ASYNC_ENOTASK");
}

static void on_a_loop_that_is_not_libuvs_nothing_can_be_looked_up(void **s)
{
    struct addrinfo hints;
    (void)s;
    memset(&hints, 0, sizeof hints);
    assert_int_equal(
        async_virtual_run(CO(say_lookup, "127.0.0.1", "1", hints)), 0);
    assert_said("ASYNC_EINVAL");
}

/* Looks up, or connects to what does not answer, when it should end. */
struct hang_on {
    ASYNC_FRAME;
    int connects, *ready;
    async_future never;
    async_stream stream;
    places there;
    deaf *deaf;
    struct addrinfo *found;
};
static ASYNC(hang_on)
{
    ASYNC_BEGIN(hang_on);
    async_future_init(&self->never, async_loop_of(co));
    *self->ready = 1;
    ASYNC_TRY {
        AWAIT_FUTURE(&self->never);
    } ASYNC_FINALLY {
        if (self->connects) {
            add(&self->there, "127.0.0.1", self->deaf->port);
            add(&self->there, "127.0.0.1", self->deaf->port);
            AWAIT(say_any, &self->stream, self->there.list);
        } else {
            AWAIT_INTO(self->found, async_getaddrinfo, "127.0.0.1", "1");
            say("found");
            async_freeaddrinfo(self->found);
        }
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

static void close_under(uv_loop_t *host, int connects, deaf *d)
{
    static async_uv_loop loop;
    int ready = 0;
    async_uv_loop_init(&loop, host, NULL);
    async_loop_set_exception_handler(&loop.base, say_report, NULL);
    async_task_release(async_loop_create_task(
        &loop.base, CO(hang_on, connects, &ready, .deaf = d)));
    async_loop_run_until_complete(&loop.base, CO(until_ready, &ready));
    async_loop_close(&loop.base);
    memset(&loop, 0xa5, sizeof loop);
}

static void closing_the_loop_waits_for_lookups_but_not_for_peers(void **s)
{
    uv_loop_t host;
    deaf d;
    int connects;
    (void)s;
    deaf_open(&d);
    for (connects = 0; connects < 2; connects++) {
        close_under(NULL, connects, &d);
        uv_loop_init(&host);
        close_under(&host, connects, &d);
        uv_run(&host, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&host), 0);
        say("|");
    }
    deaf_close(&d);
    assert_said("[Task was destroyed but it is pending!] found "
                "[Task was destroyed but it is pending!] found | "
                "[Task was destroyed but it is pending!] "
                "[Task was destroyed but it is pending!] |");
}

/* A lookup that was left behind outlives a borrowed loop. */
struct leave_behind { ASYNC_FRAME; int error; };
static ASYNC(leave_behind)
{
    ASYNC_BEGIN(leave_behind);
    busy_begin(async_uv_loop_of(async_loop_of(co)));
    AWAIT_CATCH(self->error, async_wait_for,
                CO(async_getaddrinfo, "127.0.0.1", "1"), ASYNC_MS(2));
    say("%s", name_of(self->error));
    ASYNC_END;
}

static void one_left_behind_may_outlive_a_borrowed_loop(void **s)
{
    async_uv_loop *loop = malloc(sizeof *loop);
    uv_loop_t host;
    (void)s;
    assert_non_null(loop);
    uv_loop_init(&host);
    memory_begin();
    async_uv_loop_init(loop, &host, &counting_allocator);
    assert_int_equal(
        async_loop_run_until_complete(&loop->base, CO(leave_behind)), 0);
    async_loop_close(&loop->base);
    free(loop);
    assert_true(memory.live > 0);
    busy_end();
    uv_run(&host, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&host), 0);
    assert_int_equal(memory.live, 0);
    assert_said("ASYNC_ETIMEDOUT");
}

UNIT_MAIN(TEST(numbers_are_looked_up_as_what_they_say),
          TEST(localhost_is_this_machine),
          TEST(without_hints_each_type_of_socket_is_listed),
          TEST(what_cannot_be_looked_up_is_an_error),
          TEST(a_name_that_does_not_exist_is_an_error),
          TEST(all_its_errors_have_libuvs_names_and_texts),
          TEST(many_are_looked_up_at_once),
          TEST(addresses_have_names_and_numbers),
          TEST(an_address_of_another_family_has_none),
          TEST(one_that_has_not_begun_is_taken_back_at_once),
          TEST(one_that_has_begun_is_left_behind_at_once),
          TEST(one_cancelled_when_it_was_through_leaks_nothing),
          TEST(a_lookup_can_time_out),
          TEST(when_one_is_refused_the_next_is_tried),
          TEST(when_one_does_not_answer_the_next_is_tried_beside_it),
          TEST(by_default_that_is_a_quarter_of_a_second_later),
          TEST(the_first_may_still_win_when_the_others_have_failed),
          TEST(without_a_delay_they_are_tried_one_after_the_other),
          TEST(families_take_turns_unless_they_are_tried_one_by_one),
          TEST(the_order_is_that_of_rfc_8305),
          TEST(when_all_have_failed_the_first_error_is_raised),
          TEST(errors_of_this_machine_alone_give_way_to_any_other),
          TEST(one_that_is_cancelled_closes_all_its_attempts),
          TEST(one_that_is_cancelled_when_it_has_won_is_closed_too),
          TEST(without_descriptors_connecting_is_an_error),
          TEST(a_host_is_connected_to_by_its_name),
          TEST(that_can_be_cancelled_while_it_looks_up),
          TEST(at_each_allocation_there_may_be_no_memory),
          TEST(without_a_task_nothing_can_be_awaited),
          TEST(on_a_loop_that_is_not_libuvs_nothing_can_be_looked_up),
          TEST(closing_the_loop_waits_for_lookups_but_not_for_peers),
          TEST(one_left_behind_may_outlive_a_borrowed_loop))
