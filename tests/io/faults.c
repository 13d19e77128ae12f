/* The wrappers: see faults.h.
 *
 * A function of libuv that the headers begin to call gets a line here, or the
 * script says that it is forgotten: FAILS for one that returns an error, a
 * wrapper by hand for one whose callback can bring one too, or a line
 *     never: uv_xyz    and why it cannot fail
 * (those that return void need none):
 *     never: uv_async_send     it writes to what uv_async_init has opened
 *     never: uv_timer_start    only when it is closing, or without a callback
 *     never: uv_timer_stop     "
 *     never: uv_timer_init     it only fills the handle in
 *     never: uv_prepare_init   "
 *     never: uv_check_init     "
 *     never: uv_idle_init      "
 *     never: uv_prepare_start  only without a callback
 *     never: uv_check_start    "
 *     never: uv_idle_start     "
 *     never: uv_idle_stop      it only takes it off a list
 *     never: uv_signal_stop    "
 *     never: uv_read_stop      "
 *     never: uv_run            what it returns is no error
 *     never: uv_is_closing     "
 *     never: uv_fileno         only of what is closed
 *     never: uv_ip4_name       only when there is no room
 *     never: uv_ip6_name       "
 *     never: uv_queue_work     only without a function
 *     never: uv_fs_event_init  it only fills the handle in
 *     never: uv_fs_poll_init   "
 *     never: uv_fs_event_stop  it only takes it off a list
 *     never: uv_fs_poll_stop   "
 *     never: uv_udp_recv_stop  "
 *     never: uv_fs_scandir_next      the end is no error
 *     never: uv_thread_join    only of what is no thread
 *     never: uv_thread_equal   what it returns is no error
 *     never: uv_cpu_info       without it there is one processor
 *     never: uv_available_parallelism      "
 *     never: uv_translate_sys_error  what it returns is the result
 */
#define _POSIX_C_SOURCE 200809L
#include <uv.h>

#include "faults.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

faults_state faults;

enum {
    KINDS = 128,
    OFTEN = 6 /* of a function that is called in a loop, the first calls */
};
static struct {
    const char *name;
    long failed;
    int calls; /* in this run */
} known[KINDS];
static uv_mutex_t mutex;
static uv_once_t once = UV_ONCE_INIT;

int __real_uv_mutex_init(uv_mutex_t *mutex);

static void prepare(void)
{
    if (__real_uv_mutex_init(&mutex) != 0) abort();
}

void faults_begin(long at, int choice)
{
    int i;
    uv_once(&once, prepare);
    memset(&faults, 0, sizeof faults);
    faults.at = at;
    faults.choice = choice;
    for (i = 0; i < KINDS; i++) known[i].calls = 0;
}

static int find(const char *name)
{
    int i = 0;
    while (known[i].name != NULL && strcmp(known[i].name, name) != 0) i++;
    if (i == KINDS - 1) abort();
    known[i].name = name;
    return i;
}

long faults_of(const char *name)
{
    return known[find(name)].failed;
}

enum { UNTOLD, TOLD };

/* Called in every wrapper: 0, or how it fails now.  `errors` ends in 0. */
static int fault(const char *name, int told, const int *errors)
{
    int error = 0, i, choices = 0;
    if (faults.paused) return 0;
    uv_mutex_lock(&mutex);
    i = find(name);
    if (known[i].calls++ < OFTEN && ++faults.seen == faults.at) {
        while (errors[choices]) choices++;
        error = errors[faults.choice];
        faults.failed = known[i].name;
        faults.error = error;
        faults.choices = choices;
        /* A full connection is nothing wrong, and is waited for. */
        faults.harmless =
            error > 0 || (error == UV_EAGAIN && strstr(name, "_try_") != NULL);
        faults.told = told && !faults.harmless;
        known[i].failed++;
    }
    uv_mutex_unlock(&mutex);
    return error;
}

/* The connection of which an error says that it is gone. */
static void break_off(void *handle)
{
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)handle, &fd) == 0) shutdown(fd, SHUT_RDWR);
}

/* --- who must be called back --------------------------------------------- */

typedef union callback {
    uv_write_cb write;
    uv_shutdown_cb shutdown;
    uv_connect_cb connect;
    uv_connection_cb connection;
    uv_poll_cb poll;
    uv_udp_recv_cb receive;
    uv_udp_send_cb send;
    uv_getaddrinfo_cb addresses;
    uv_getnameinfo_cb names;
    uv_read_cb read;
} callback;
enum { REQUEST, CONNECTION, READ, POLL };
enum { SLOTS = 256 };
static struct {
    const void *key;
    int kind;
    callback callback;
} slots[SLOTS];

static int slot_of(const void *key, int kind)
{
    int i = 0;
    while (i < SLOTS && (slots[i].key != key || slots[i].kind != kind)) i++;
    return i;
}
static void remember(const void *key, int kind, callback call)
{
    int i = slot_of(key, kind);
    if (i == SLOTS) i = slot_of(NULL, REQUEST);
    if (i == SLOTS) abort();
    slots[i].key = key;
    slots[i].kind = kind;
    slots[i].callback = call;
}
static callback recall(const void *key, int kind)
{
    int i = slot_of(key, kind);
    if (i == SLOTS) abort();
    return slots[i].callback;
}
static void forget(const void *key, int kind)
{
    int i = slot_of(key, kind);
    if (i == SLOTS) return;
    slots[i].key = NULL;
    slots[i].kind = REQUEST;
}

void __real_uv_close(uv_handle_t *handle, uv_close_cb close_cb);
void __wrap_uv_close(uv_handle_t *handle, uv_close_cb close_cb);
void __wrap_uv_close(uv_handle_t *handle, uv_close_cb close_cb)
{
    forget(handle, CONNECTION);
    forget(handle, READ);
    forget(handle, POLL);
    __real_uv_close(handle, close_cb);
}

/* --- those that return an error ------------------------------------------ */

#define FAILS(name, told, parameters, arguments, ...)                         \
    int __real_##name parameters;                                             \
    int __wrap_##name parameters;                                             \
    int __wrap_##name parameters                                              \
    {                                                                         \
        static const int errors[] = { __VA_ARGS__, 0 };                       \
        int error = fault(#name, told, errors);                               \
        return error ? error : __real_##name arguments;                       \
    }

/* loop.h, request.h */
FAILS(uv_loop_init, TOLD, (uv_loop_t * l), (l), UV_EMFILE, UV_ENOMEM)
FAILS(uv_async_init, TOLD, (uv_loop_t * l, uv_async_t *h, uv_async_cb c),
      (l, h, c), UV_EMFILE)
FAILS(uv_signal_init, UNTOLD, (uv_loop_t * l, uv_signal_t *h), (l, h),
      UV_EMFILE)
FAILS(uv_signal_start, UNTOLD, (uv_signal_t * h, uv_signal_cb c, int n),
      (h, c, n), UV_EINVAL)
FAILS(uv_loop_close, UNTOLD, (uv_loop_t * l), (l), UV_EBUSY)
FAILS(uv_cancel, UNTOLD, (uv_req_t * r), (r), UV_EBUSY)

/* tcp.h */
FAILS(uv_tcp_init, TOLD, (uv_loop_t * l, uv_tcp_t *h), (l, h), UV_EMFILE)
FAILS(uv_tcp_bind, TOLD, (uv_tcp_t * h, const struct sockaddr *a, unsigned f),
      (h, a, f), UV_EADDRNOTAVAIL)
FAILS(uv_tcp_open, TOLD, (uv_tcp_t * h, uv_os_sock_t s), (h, s), UV_EEXIST)
FAILS(uv_tcp_nodelay, UNTOLD, (uv_tcp_t * h, int on), (h, on), UV_EINVAL)
FAILS(uv_tcp_keepalive, TOLD, (uv_tcp_t * h, int on, unsigned s), (h, on, s),
      UV_EINVAL)
FAILS(uv_tcp_simultaneous_accepts, TOLD, (uv_tcp_t * h, int on), (h, on),
      UV_EINVAL)
FAILS(uv_tcp_getsockname, TOLD,
      (const uv_tcp_t *h, struct sockaddr *a, int *n), (h, a, n), UV_ENOBUFS)
FAILS(uv_tcp_getpeername, TOLD,
      (const uv_tcp_t *h, struct sockaddr *a, int *n), (h, a, n), UV_ENOTCONN)
FAILS(uv_ip4_addr, UNTOLD, (const char *t, int p, struct sockaddr_in *a),
      (t, p, a), UV_EINVAL)
FAILS(uv_ip6_addr, UNTOLD, (const char *t, int p, struct sockaddr_in6 *a),
      (t, p, a), UV_EINVAL)

/* pipe.h */
FAILS(uv_pipe_init, TOLD, (uv_loop_t * l, uv_pipe_t *h, int ipc), (l, h, ipc),
      UV_ENOMEM)
FAILS(uv_pipe_bind, TOLD, (uv_pipe_t * h, const char *n), (h, n), UV_EACCES)
FAILS(uv_pipe_open, TOLD, (uv_pipe_t * h, uv_file fd), (h, fd), UV_EBADF)
FAILS(uv_pipe_getsockname, TOLD, (const uv_pipe_t *h, char *t, size_t *n),
      (h, t, n), UV_ENOBUFS)
FAILS(uv_pipe_getpeername, TOLD, (const uv_pipe_t *h, char *t, size_t *n),
      (h, t, n), UV_ENOTCONN)
FAILS(uv_socketpair, TOLD, (int t, int p, uv_os_sock_t s[2], int f, int g),
      (t, p, s, f, g), UV_EMFILE)

/* tty.h */
FAILS(uv_tty_init, TOLD, (uv_loop_t * l, uv_tty_t *h, uv_file fd, int r),
      (l, h, fd, r), UV_EINVAL, UV_EBADF)
FAILS(uv_tty_set_mode, UNTOLD, (uv_tty_t * h, uv_tty_mode_t m), (h, m), UV_EIO)
FAILS(uv_tty_get_winsize, TOLD, (uv_tty_t * h, int *x, int *y), (h, x, y),
      UV_ENOTTY)
FAILS(uv_tty_reset_mode, TOLD, (void), (), UV_EBUSY)

/* threads.h.  A wait may end too early. */
FAILS(uv_mutex_init, TOLD, (uv_mutex_t * m), (m), UV_ENOMEM)
FAILS(uv_cond_init, TOLD, (uv_cond_t * c), (c), UV_ENOMEM)
FAILS(uv_cond_timedwait, UNTOLD, (uv_cond_t * c, uv_mutex_t *m, uint64_t t),
      (c, m, t), UV_ETIMEDOUT)

/* poll.h */
FAILS(uv_poll_init_socket, TOLD, (uv_loop_t * l, uv_poll_t *h, uv_os_sock_t s),
      (l, h, s), UV_EPERM, UV_EEXIST)

/* It says what a descriptor is, and of a broken one that it knows not. */
uv_handle_type __real_uv_guess_handle(uv_file fd);
uv_handle_type __wrap_uv_guess_handle(uv_file fd);
uv_handle_type __wrap_uv_guess_handle(uv_file fd)
{
    static const int errors[] = { UV_EINVAL, 0 };
    if (fault("uv_guess_handle", TOLD, errors)) return UV_UNKNOWN_HANDLE;
    return __real_uv_guess_handle(fd);
}

/* --- connecting and accepting -------------------------------------------- */

static void on_connect(uv_connect_t *request, int status)
{
    static const int errors[] = { UV_ETIMEDOUT, UV_ECONNREFUSED, 0 };
    uv_connect_cb call = recall(request, REQUEST).connect;
    int error = status == UV_ECANCELED
                    ? 0
                    : fault("uv_connect callback", TOLD, errors);
    forget(request, REQUEST);
    call(request, error ? error : status);
}

int __real_uv_tcp_connect(uv_connect_t *r, uv_tcp_t *h,
                          const struct sockaddr *a, uv_connect_cb c);
int __wrap_uv_tcp_connect(uv_connect_t *r, uv_tcp_t *h,
                          const struct sockaddr *a, uv_connect_cb c);
int __wrap_uv_tcp_connect(uv_connect_t *r, uv_tcp_t *h,
                          const struct sockaddr *a, uv_connect_cb c)
{
    static const int errors[] = { UV_ENETUNREACH, UV_EMFILE, 0 };
    int error = fault("uv_tcp_connect", TOLD, errors);
    callback call;
    call.connect = c;
    if (error) return error;
    error = __real_uv_tcp_connect(r, h, a, on_connect);
    if (!error) remember(r, REQUEST, call);
    return error;
}

void __real_uv_pipe_connect(uv_connect_t *r, uv_pipe_t *h, const char *n,
                            uv_connect_cb c);
void __wrap_uv_pipe_connect(uv_connect_t *r, uv_pipe_t *h, const char *n,
                            uv_connect_cb c);
void __wrap_uv_pipe_connect(uv_connect_t *r, uv_pipe_t *h, const char *n,
                            uv_connect_cb c)
{
    callback call;
    call.connect = c;
    remember(r, REQUEST, call);
    __real_uv_pipe_connect(r, h, n, on_connect);
}

/* Takes a connection that has come, and drops it, as libuv does that cannot
 * open it. */
int __real_uv_accept(uv_stream_t *server, uv_stream_t *client);
int __wrap_uv_accept(uv_stream_t *server, uv_stream_t *client);
int __real_uv_tcp_init(uv_loop_t *l, uv_tcp_t *h);
int __real_uv_pipe_init(uv_loop_t *l, uv_pipe_t *h, int ipc);

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}
static void drop_connection(uv_stream_t *server)
{
    union {
        uv_handle_t any;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } *dropped = malloc(sizeof *dropped);
    if (dropped == NULL) abort();
    if (server->type == UV_TCP)
        __real_uv_tcp_init(server->loop, &dropped->tcp);
    else
        __real_uv_pipe_init(server->loop, &dropped->pipe, 0);
    __real_uv_accept(server, &dropped->stream);
    __real_uv_close(&dropped->any, free_handle);
}
int __wrap_uv_accept(uv_stream_t *server, uv_stream_t *client)
{
    static const int errors[] = { UV_ECONNABORTED, 0 };
    int error = fault("uv_accept", TOLD, errors);
    if (!error) return __real_uv_accept(server, client);
    drop_connection(server);
    return error;
}

static void on_connection(uv_stream_t *server, int status)
{
    static const int errors[] = { UV_EMFILE, UV_ENOMEM, 0 };
    int error = status < 0 ? 0 : fault("uv_listen callback", TOLD, errors);
    if (error) drop_connection(server);
    recall(server, CONNECTION).connection(server, error ? error : status);
}

int __real_uv_listen(uv_stream_t *s, int backlog, uv_connection_cb c);
int __wrap_uv_listen(uv_stream_t *s, int backlog, uv_connection_cb c);
int __wrap_uv_listen(uv_stream_t *s, int backlog, uv_connection_cb c)
{
    static const int errors[] = { UV_EADDRINUSE, 0 };
    int error = fault("uv_listen", TOLD, errors);
    callback call;
    call.connection = c;
    if (error) return error;
    remember(s, CONNECTION, call);
    return __real_uv_listen(s, backlog, on_connection);
}

/* --- reading and writing ------------------------------------------------- */

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    static const int errors[] = { UV_ECONNRESET, UV_ETIMEDOUT, 0 };
    uv_read_cb call = recall(stream, READ).read;
    int error = got <= 0 ? 0 : fault("uv_read callback", TOLD, errors);
    if (error) break_off(stream);
    call(stream, error ? error : got, buffer);
}

int __real_uv_read_start(uv_stream_t *s, uv_alloc_cb a, uv_read_cb c);
int __wrap_uv_read_start(uv_stream_t *s, uv_alloc_cb a, uv_read_cb c);
int __wrap_uv_read_start(uv_stream_t *s, uv_alloc_cb a, uv_read_cb c)
{
    static const int errors[] = { UV_EINVAL, 0 };
    int error = fault("uv_read_start", TOLD, errors);
    callback call;
    call.read = c;
    if (error) return error;
    remember(s, READ, call);
    return __real_uv_read_start(s, a, on_read);
}

int __real_uv_try_write(uv_stream_t *s, const uv_buf_t b[], unsigned n);
int __wrap_uv_try_write(uv_stream_t *s, const uv_buf_t b[], unsigned n);
int __wrap_uv_try_write(uv_stream_t *s, const uv_buf_t b[], unsigned n)
{
    enum { ONE_BYTE = 1 };
    static const int errors[] = { UV_EAGAIN, ONE_BYTE, UV_EPIPE, 0 };
    int error = fault("uv_try_write", TOLD, errors);
    if (error == ONE_BYTE) {
        uv_buf_t one = b[0];
        if (one.len > 1) one.len = 1;
        return __real_uv_try_write(s, &one, 1);
    }
    if (error == UV_EPIPE) break_off(s);
    return error ? error : __real_uv_try_write(s, b, n);
}

static void on_write(uv_write_t *request, int status)
{
    static const int errors[] = { UV_EPIPE, UV_ECONNRESET, 0 };
    uv_write_cb call = recall(request, REQUEST).write;
    int error = status < 0 ? 0 : fault("uv_write callback", TOLD, errors);
    forget(request, REQUEST);
    if (error) break_off(request->handle);
    call(request, error ? error : status);
}

int __real_uv_write(uv_write_t *r, uv_stream_t *s, const uv_buf_t b[],
                    unsigned n, uv_write_cb c);
int __wrap_uv_write(uv_write_t *r, uv_stream_t *s, const uv_buf_t b[],
                    unsigned n, uv_write_cb c);
int __wrap_uv_write(uv_write_t *r, uv_stream_t *s, const uv_buf_t b[],
                    unsigned n, uv_write_cb c)
{
    static const int errors[] = { UV_EPIPE, UV_ENOMEM, 0 };
    int error = fault("uv_write", TOLD, errors);
    callback call;
    call.write = c;
    if (error) {
        if (error == UV_EPIPE) break_off(s);
        return error;
    }
    error = __real_uv_write(r, s, b, n, on_write);
    if (!error) remember(r, REQUEST, call);
    return error;
}

/* Of a connection that has gone, it is no news that nothing more can be sent:
 * who reads hears of it. */
static void on_shutdown(uv_shutdown_t *request, int status)
{
    static const int errors[] = { UV_ENOTCONN, UV_EPIPE, 0 };
    uv_shutdown_cb call = recall(request, REQUEST).shutdown;
    int error = status < 0 ? 0 : fault("uv_shutdown callback", UNTOLD, errors);
    forget(request, REQUEST);
    if (error) break_off(request->handle);
    call(request, error ? error : status);
}

int __real_uv_shutdown(uv_shutdown_t *r, uv_stream_t *s, uv_shutdown_cb c);
int __wrap_uv_shutdown(uv_shutdown_t *r, uv_stream_t *s, uv_shutdown_cb c);
int __wrap_uv_shutdown(uv_shutdown_t *r, uv_stream_t *s, uv_shutdown_cb c)
{
    static const int errors[] = { UV_ENOTCONN, 0 };
    int error = fault("uv_shutdown", UNTOLD, errors);
    callback call;
    call.shutdown = c;
    if (error) {
        break_off(s);
        return error;
    }
    error = __real_uv_shutdown(r, s, on_shutdown);
    if (!error) remember(r, REQUEST, call);
    return error;
}

/* --- poll ----------------------------------------------------------------- */

int __real_uv_poll_start(uv_poll_t *h, int events, uv_poll_cb c);
int __wrap_uv_poll_start(uv_poll_t *h, int events, uv_poll_cb c);

/* libuv stops one that has an error. */
static void on_poll(uv_poll_t *handle, int status, int events)
{
    static const int errors[] = { UV_EBADF, 0 };
    uv_poll_cb call = recall(handle, POLL).poll;
    int error = status < 0 ? 0 : fault("uv_poll callback", UNTOLD, errors);
    if (error) uv_poll_stop(handle);
    call(handle, error ? error : status, error ? 0 : events);
}
int __wrap_uv_poll_start(uv_poll_t *h, int events, uv_poll_cb c)
{
    static const int errors[] = { UV_EEXIST, 0 };
    int error = fault("uv_poll_start", TOLD, errors);
    callback call;
    call.poll = c;
    if (error) return error;
    remember(h, POLL, call);
    return __real_uv_poll_start(h, events, on_poll);
}

/* --- udp ------------------------------------------------------------------- */

FAILS(uv_tcp_init_ex, TOLD, (uv_loop_t * l, uv_tcp_t *h, unsigned f),
      (l, h, f), UV_EMFILE)
FAILS(uv_udp_init, TOLD, (uv_loop_t * l, uv_udp_t *h), (l, h), UV_EMFILE)
FAILS(uv_udp_bind, TOLD, (uv_udp_t * h, const struct sockaddr *a, unsigned f),
      (h, a, f), UV_EADDRINUSE)
FAILS(uv_udp_connect, TOLD, (uv_udp_t * h, const struct sockaddr *a), (h, a),
      UV_ENETUNREACH)
FAILS(uv_udp_open, TOLD, (uv_udp_t * h, uv_os_sock_t s), (h, s), UV_EEXIST)
FAILS(uv_udp_getsockname, TOLD,
      (const uv_udp_t *h, struct sockaddr *a, int *n), (h, a, n), UV_ENOBUFS)
FAILS(uv_udp_getpeername, TOLD,
      (const uv_udp_t *h, struct sockaddr *a, int *n), (h, a, n), UV_ENOTCONN)
FAILS(uv_udp_set_broadcast, TOLD, (uv_udp_t * h, int on), (h, on), UV_EINVAL)
FAILS(uv_udp_set_ttl, TOLD, (uv_udp_t * h, int n), (h, n), UV_EINVAL)
FAILS(uv_udp_set_multicast_loop, TOLD, (uv_udp_t * h, int on), (h, on),
      UV_EINVAL)
FAILS(uv_udp_set_multicast_ttl, TOLD, (uv_udp_t * h, int n), (h, n), UV_EINVAL)
FAILS(uv_udp_set_multicast_interface, TOLD, (uv_udp_t * h, const char *t),
      (h, t), UV_EINVAL)
FAILS(uv_udp_set_membership, TOLD,
      (uv_udp_t * h, const char *g, const char *i, uv_membership m),
      (h, g, i, m), UV_ENODEV)
FAILS(uv_udp_set_source_membership, TOLD,
      (uv_udp_t * h, const char *g, const char *i, const char *s,
       uv_membership m),
      (h, g, i, s, m), UV_ENODEV)

int __real_uv_udp_try_send(uv_udp_t *h, const uv_buf_t b[], unsigned n,
                           const struct sockaddr *a);
int __wrap_uv_udp_try_send(uv_udp_t *h, const uv_buf_t b[], unsigned n,
                           const struct sockaddr *a);
int __wrap_uv_udp_try_send(uv_udp_t *h, const uv_buf_t b[], unsigned n,
                           const struct sockaddr *a)
{
    static const int errors[] = { UV_EAGAIN, UV_ENETUNREACH, 0 };
    int error =
        faults.full ? UV_EAGAIN : fault("uv_udp_try_send", TOLD, errors);
    return error ? error : __real_uv_udp_try_send(h, b, n, a);
}

static void on_send(uv_udp_send_t *request, int status)
{
    static const int errors[] = { UV_ENETUNREACH, 0 };
    uv_udp_send_cb call = recall(request, REQUEST).send;
    int error = status < 0 ? 0 : fault("uv_udp_send callback", TOLD, errors);
    forget(request, REQUEST);
    call(request, error ? error : status);
}
int __real_uv_udp_send(uv_udp_send_t *r, uv_udp_t *h, const uv_buf_t b[],
                       unsigned n, const struct sockaddr *a, uv_udp_send_cb c);
int __wrap_uv_udp_send(uv_udp_send_t *r, uv_udp_t *h, const uv_buf_t b[],
                       unsigned n, const struct sockaddr *a, uv_udp_send_cb c);
int __wrap_uv_udp_send(uv_udp_send_t *r, uv_udp_t *h, const uv_buf_t b[],
                       unsigned n, const struct sockaddr *a, uv_udp_send_cb c)
{
    static const int errors[] = { UV_ENOMEM, 0 };
    int error = fault("uv_udp_send", TOLD, errors);
    callback call;
    call.send = c;
    if (error) return error;
    remember(r, REQUEST, call); /* it may call back before it returns */
    error = __real_uv_udp_send(r, h, b, n, a, on_send);
    if (error) forget(r, REQUEST);
    return error;
}

static void on_receive(uv_udp_t *handle, ssize_t got, const uv_buf_t *buffer,
                       const struct sockaddr *sender, unsigned flags)
{
    static const int errors[] = { UV_ECONNREFUSED, 0 };
    uv_udp_recv_cb call = recall(handle, READ).receive;
    int error = got <= 0 ? 0 : fault("uv_udp_recv callback", TOLD, errors);
    call(handle, error ? error : got, buffer, error ? NULL : sender, flags);
}
int __real_uv_udp_recv_start(uv_udp_t *h, uv_alloc_cb a, uv_udp_recv_cb c);
int __wrap_uv_udp_recv_start(uv_udp_t *h, uv_alloc_cb a, uv_udp_recv_cb c);
int __wrap_uv_udp_recv_start(uv_udp_t *h, uv_alloc_cb a, uv_udp_recv_cb c)
{
    static const int errors[] = { UV_ENOMEM, 0 };
    int error = fault("uv_udp_recv_start", TOLD, errors);
    callback call;
    call.receive = c;
    if (error) return error;
    remember(h, READ, call);
    return __real_uv_udp_recv_start(h, a, on_receive);
}

/* --- names ------------------------------------------------------------------ */

static void on_addresses(uv_getaddrinfo_t *request, int status,
                         struct addrinfo *found)
{
    static const int errors[] = { UV_EAI_AGAIN, 0 };
    uv_getaddrinfo_cb call = recall(request, REQUEST).addresses;
    int error =
        status < 0 ? 0 : fault("uv_getaddrinfo callback", TOLD, errors);
    forget(request, REQUEST);
    if (error) {
        uv_freeaddrinfo(found);
        found = NULL;
    }
    call(request, error ? error : status, found);
}
int __real_uv_getaddrinfo(uv_loop_t *l, uv_getaddrinfo_t *r,
                          uv_getaddrinfo_cb c, const char *node,
                          const char *service, const struct addrinfo *hints);
int __wrap_uv_getaddrinfo(uv_loop_t *l, uv_getaddrinfo_t *r,
                          uv_getaddrinfo_cb c, const char *node,
                          const char *service, const struct addrinfo *hints);
int __wrap_uv_getaddrinfo(uv_loop_t *l, uv_getaddrinfo_t *r,
                          uv_getaddrinfo_cb c, const char *node,
                          const char *service, const struct addrinfo *hints)
{
    static const int errors[] = { UV_ENOMEM, 0 };
    int error = fault("uv_getaddrinfo", TOLD, errors);
    callback call;
    call.addresses = c;
    if (error) return error;
    error = __real_uv_getaddrinfo(l, r, on_addresses, node, service, hints);
    if (!error) remember(r, REQUEST, call);
    return error;
}

static void on_names(uv_getnameinfo_t *request, int status, const char *host,
                     const char *service)
{
    static const int errors[] = { UV_EAI_AGAIN, 0 };
    uv_getnameinfo_cb call = recall(request, REQUEST).names;
    int error =
        status < 0 ? 0 : fault("uv_getnameinfo callback", TOLD, errors);
    forget(request, REQUEST);
    call(request, error ? error : status, error ? NULL : host,
         error ? NULL : service);
}
int __real_uv_getnameinfo(uv_loop_t *l, uv_getnameinfo_t *r,
                          uv_getnameinfo_cb c, const struct sockaddr *a,
                          int f);
int __wrap_uv_getnameinfo(uv_loop_t *l, uv_getnameinfo_t *r,
                          uv_getnameinfo_cb c, const struct sockaddr *a,
                          int f);
int __wrap_uv_getnameinfo(uv_loop_t *l, uv_getnameinfo_t *r,
                          uv_getnameinfo_cb c, const struct sockaddr *a, int f)
{
    static const int errors[] = { UV_ENOMEM, 0 };
    int error = fault("uv_getnameinfo", TOLD, errors);
    callback call;
    call.names = c;
    if (error) return error;
    error = __real_uv_getnameinfo(l, r, on_names, a, f);
    if (!error) remember(r, REQUEST, call);
    return error;
}

/* --- processes, threads, signals --------------------------------------------- */

FAILS(uv_pipe, TOLD, (uv_file fds[2], int f, int g), (fds, f, g), UV_EMFILE)
FAILS(uv_process_kill, UNTOLD, (uv_process_t * h, int n), (h, n), UV_ESRCH)
FAILS(uv_thread_create, TOLD, (uv_thread_t * t, uv_thread_cb f, void *a),
      (t, f, a), UV_EAGAIN)

/* It has the handle all the same, so it must be libuv's own failure. */
int __real_uv_spawn(uv_loop_t *l, uv_process_t *h,
                    const uv_process_options_t *o);
int __wrap_uv_spawn(uv_loop_t *l, uv_process_t *h,
                    const uv_process_options_t *o);
int __wrap_uv_spawn(uv_loop_t *l, uv_process_t *h,
                    const uv_process_options_t *o)
{
    static const int errors[] = { UV_ENOENT, 0 };
    uv_process_options_t none = *o;
    if (!fault("uv_spawn", TOLD, errors)) return __real_uv_spawn(l, h, o);
    none.file = "/there is none";
    return __real_uv_spawn(l, h, &none);
}

/* --- files --------------------------------------------------------------------
 *
 * One that fails in the thread is another one, which does: so it comes when it
 * should, and has done nothing.  Some do less than they were asked for. */
int __real_uv_fs_access(uv_loop_t *l, uv_fs_t *r, const char *p, int m,
                        uv_fs_cb c);
int __real_uv_fs_close(uv_loop_t *l, uv_fs_t *r, uv_file f, uv_fs_cb c);

static const int file_errors[] = { UV_ENOENT, UV_ENOMEM, 0 };

#define FILES(name, parameters, arguments)                                    \
    int __real_##name parameters;                                             \
    int __wrap_##name parameters;                                             \
    int __wrap_##name parameters                                              \
    {                                                                         \
        int error = c == NULL ? 0 : fault(#name, TOLD, file_errors);          \
        if (error == UV_ENOENT)                                               \
            return __real_uv_fs_access(l, r, "/there is none", 0, c);         \
        return error ? error : __real_##name arguments;                       \
    }
#define OF_FILE uv_loop_t *l, uv_fs_t *r, uv_file f
#define OF_PATH uv_loop_t *l, uv_fs_t *r, const char *p

FILES(uv_fs_open, (OF_PATH, int n, int m, uv_fs_cb c), (l, r, p, n, m, c))
FILES(uv_fs_fsync, (OF_FILE, uv_fs_cb c), (l, r, f, c))
FILES(uv_fs_fdatasync, (OF_FILE, uv_fs_cb c), (l, r, f, c))
FILES(uv_fs_ftruncate, (OF_FILE, int64_t n, uv_fs_cb c), (l, r, f, n, c))
FILES(uv_fs_access, (OF_PATH, int m, uv_fs_cb c), (l, r, p, m, c))
FILES(uv_fs_rename, (OF_PATH, const char *q, uv_fs_cb c), (l, r, p, q, c))
FILES(uv_fs_unlink, (OF_PATH, uv_fs_cb c), (l, r, p, c))
FILES(uv_fs_copyfile, (OF_PATH, const char *q, int m, uv_fs_cb c),
      (l, r, p, q, m, c))
FILES(uv_fs_link, (OF_PATH, const char *q, uv_fs_cb c), (l, r, p, q, c))
FILES(uv_fs_symlink, (OF_PATH, const char *q, int m, uv_fs_cb c),
      (l, r, p, q, m, c))
FILES(uv_fs_chmod, (OF_PATH, int m, uv_fs_cb c), (l, r, p, m, c))
FILES(uv_fs_fchmod, (OF_FILE, int m, uv_fs_cb c), (l, r, f, m, c))
FILES(uv_fs_utime, (OF_PATH, double a, double m, uv_fs_cb c),
      (l, r, p, a, m, c))
FILES(uv_fs_futime, (OF_FILE, double a, double m, uv_fs_cb c),
      (l, r, f, a, m, c))
FILES(uv_fs_mkdir, (OF_PATH, int m, uv_fs_cb c), (l, r, p, m, c))
FILES(uv_fs_rmdir, (OF_PATH, uv_fs_cb c), (l, r, p, c))
FILES(uv_fs_stat, (OF_PATH, uv_fs_cb c), (l, r, p, c))
FILES(uv_fs_lstat, (OF_PATH, uv_fs_cb c), (l, r, p, c))
FILES(uv_fs_fstat, (OF_FILE, uv_fs_cb c), (l, r, f, c))
FILES(uv_fs_readlink, (OF_PATH, uv_fs_cb c), (l, r, p, c))
FILES(uv_fs_realpath, (OF_PATH, uv_fs_cb c), (l, r, p, c))
FILES(uv_fs_mkdtemp, (OF_PATH, uv_fs_cb c), (l, r, p, c))
FILES(uv_fs_scandir, (OF_PATH, int m, uv_fs_cb c), (l, r, p, m, c))

/* Closed it is, whatever comes of it. */
int __wrap_uv_fs_close(uv_loop_t *l, uv_fs_t *r, uv_file f, uv_fs_cb c);
int __wrap_uv_fs_close(uv_loop_t *l, uv_fs_t *r, uv_file f, uv_fs_cb c)
{
    static const int errors[] = { UV_ENOENT, 0 };
    uv_fs_t closing;
    if (c == NULL || !fault("uv_fs_close", TOLD, errors))
        return __real_uv_fs_close(l, r, f, c);
    __real_uv_fs_close(NULL, &closing, f, NULL);
    return __real_uv_fs_access(l, r, "/there is none", 0, c);
}

#define TRANSFERS(name)                                                       \
    int __real_##name(OF_FILE, const uv_buf_t b[], unsigned n, int64_t at,    \
                      uv_fs_cb c);                                            \
    int __wrap_##name(OF_FILE, const uv_buf_t b[], unsigned n, int64_t at,    \
                      uv_fs_cb c);                                            \
    int __wrap_##name(OF_FILE, const uv_buf_t b[], unsigned n, int64_t at,    \
                      uv_fs_cb c)                                             \
    {                                                                         \
        static const int errors[] = { UV_ENOENT, UV_ENOMEM, 1, 0 };           \
        int error = c == NULL ? 0 : fault(#name, TOLD, errors);               \
        uv_buf_t one = b[0];                                                  \
        one.len = 1;                                                          \
        if (error == UV_ENOENT)                                               \
            return __real_uv_fs_access(l, r, "/there is none", 0, c);         \
        if (error == 1) return __real_##name(l, r, f, &one, 1, at, c);        \
        return error ? error : __real_##name(l, r, f, b, n, at, c);           \
    }
TRANSFERS(uv_fs_read)
TRANSFERS(uv_fs_write)

FAILS(uv_fs_event_start, TOLD,
      (uv_fs_event_t * h, uv_fs_event_cb c, const char *p, unsigned f),
      (h, c, p, f), UV_ENOSPC)
FAILS(uv_fs_poll_start, TOLD,
      (uv_fs_poll_t * h, uv_fs_poll_cb c, const char *p, unsigned i),
      (h, c, p, i), UV_ENOMEM)
