/* http_client.h - HTTP requests, by libcurl on the loop
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     AWAIT(async_http_session_open, &self->session);
 *     ASYNC_TRY {
 *         AWAIT(async_http_get, &self->session, "https://example.org/",
 *               &self->response);
 *         AWAIT(async_http_read_all, &self->response, &self->text);
 *         printf("%d\n", self->response.status);
 *         fwrite(self->text.data, 1, self->text.size, stdout);
 *     } ASYNC_FINALLY {
 *         async_buffer_free(&self->text);
 *         async_http_close(&self->response);
 *         async_http_session_close(&self->session);
 *     } ASYNC_END_TRY
 *
 * The model is aiohttp's: a session has the connections, which it keeps for
 * the next request, and the cookies; a request gives a response whose head is
 * there and whose body is read as it comes.
 *
 *   SESSION     open, close, limits
 *   REQUESTS    get, post, request; what can be said of each
 *   RESPONSE    status, headers, body, close
 *   SENDING     a request body that is written as it comes
 *   ERRORS      libcurl's, by names of ours
 *   PRIVATE
 *
 * http and https alone, also after a redirect; certificates are verified; no
 * proxy, unless one is given: the environment is not asked.  HTTP/2 where
 * libcurl has it, from 8.0, and the server agrees; one before, when HTTP/2 is
 * asked for, asks for no compression, with which it may stall.  Names are
 * looked up by libcurl.
 *
 * Needs libcurl 7.61 or later, linked by the program (pkg-config libcurl).
 * One before 7.84 wants curl_global_init() called before there are threads;
 * one before 7.87 blocks the loop when a request is given up while a name is
 * being looked up, until that has come to its end.
 *
 * Threads: belongs to the loop's thread, on a loop of async/uv/loop.h.
 */
#ifndef CAESURA_NET_HTTP_CLIENT_H
#define CAESURA_NET_HTTP_CLIENT_H

#include "../uv/buffer.h" /* first: uv.h needs POSIX */
#include "../uv/handle.h"

#include "../transport.h"

#if defined(__has_include)
#if !__has_include(<curl/curl.h>)
#error "async/net/http_client.h needs libcurl: install libcurl4-openssl-dev \
(Debian), curl (brew, pacman) or libcurl-devel (dnf)"
#endif
#endif
#include <curl/curl.h>

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * SESSION
 * ------------------------------------------------------------------------ */

/* A struct of the caller's, zeroed, which must neither move nor go until it is
 * closed: in the frame, and async_http_session_close() in a FINALLY. */
typedef struct async_http_session async_http_session;

/* What is 0 has its default.  Texts are in use until the session is closed. */
typedef struct async_http_session_options {
    size_t max_connections;  /* at a time: 100.  Requests beyond wait. */
    size_t max_per_host;     /* of these: no limit */
    async_duration timeout;  /* of a request: see there */
    const char *ca_file;     /* certificates to trust: libcurl's */
    const char *user_agent;  /* "caesura/" and the version */
    const char *proxy;       /* "http://proxy:3128": none */
    unsigned char no_verify; /* 1: who is at the other end is not checked */
    unsigned char no_cookies; /* 1: none are kept */
} async_http_session_options;

/* AWAIT(async_http_session_open, session, { options }): does not suspend.
 * Errors   ASYNC_EBUSY when it is open; ASYNC_ENOMEM; ASYNC_ENOTASK;
 *          ASYNC_EINVAL on a loop that is not libuv's
 * Counterpart: aiohttp.ClientSession(). */
struct async_http_session_open {
    ASYNC_FRAME;
    async_http_session *session;
    async_http_session_options options;
};
ASYNC(async_http_session_open);

/* Closes its connections and, at once, what responses are open: who waits for
 * one gets ASYNC_ECLOSED.  One that was never opened, or is closed: nothing.
 * Closing the loop closes it.  Counterpart: ClientSession.close(). */
void async_http_session_close(async_http_session *session);

/* ------------------------------------------------------------------------
 * REQUESTS
 * ------------------------------------------------------------------------ */

/* A struct of the caller's, zeroed, which must neither move nor go until it is
 * closed; then it can be used again. */
typedef struct async_http_response async_http_response;

/* Gives the next bytes of a request's body, which must stay until it is called
 * again or the response is closed; none is the end.  Called by the loop, as a
 * callback is; it must not wait, nor close the response.
 * Returns  0, or an error, with which the request then fails */
typedef int async_http_source(void *argument, async_bytes *chunk);

/* Sets further options of libcurl's, as curl_easy_setopt() has them, but for
 * CURLOPT_PRIVATE, callbacks and the error buffer, which are taken.
 * Returns  0, or an error, which is raised */
typedef int async_http_configure(CURL *easy, void *argument);

/* What is 0 has its default. */
typedef struct async_http_options {
    const char *const *headers; /* "Name: value" ..., and a NULL behind.  (Of
                                 * libcurl: "Name:" leaves out a header that it
                                 * would send, "Name;" sends an empty one.) */
    const void *body;        /* in use until the response is closed */
    size_t body_size;
    async_http_source *source; /* instead of the body: what gives it */
    void *source_argument;
    int64_t length;          /* of what a source gives, or is written; unknown:
                              * it goes out in chunks */
    async_duration timeout;  /* until the body has come: the session's, and if
                              * that has none 5 minutes, as aiohttp has it;
                              * ASYNC_FOREVER: none.  With it counts the wait
                              * for a connection, and for who reads. */
    async_duration connect_timeout; /* of that, until it is connected */
    int max_redirects;       /* 10; negative: a redirect is not followed, but
                              * is the response */
    int http_version;        /* ASYNC_HTTP_ANY ... */
    size_t max_headers;      /* bytes of the response's: 65536 */
    const char *ca_file;     /* certificates to trust: the session's */
    unsigned char no_verify; /* 1: who is at the other end is not checked */
    unsigned char expect_continue; /* 1: asks before it sends a body */
    unsigned char raw;       /* 1: the server is not asked to compress */
    async_http_configure *configure;
    void *configure_argument;
} async_http_options;
enum {
    ASYNC_HTTP_ANY,  /* HTTP/2 if the server says so in TLS, else HTTP/1.1;
                      * with a libcurl before 8.0, always that */
    ASYNC_HTTP_1_1,
    ASYNC_HTTP_2,    /* also asks a server without TLS, by an Upgrade */
    ASYNC_HTTP_2_AT_ONCE /* speaks it without asking */
};

/* AWAIT(async_http_get, session, url, response, { options }): waits until the
 * head of the response is there; of redirects, that of the last.  Any status
 * is a success.  async_http_close() it, in a FINALLY.
 *
 * Errors   those below, and then the response is closed; ASYNC_EBUSY when the
 *          response is in use; ASYNC_ECLOSED; ASYNC_ENOTASK; ASYNC_EOTHERLOOP
 * Cancel   at once.  The request is given up, with its connection, and the
 *          response is closed; other requests go on.
 * Counterpart: session.get(). */
struct async_http_get {
    ASYNC_FRAME;
    async_http_session *session;
    const char *url;
    async_http_response *response;
    async_http_options options;
    async_operation arrival;
};
ASYNC(async_http_get);

/* AWAIT(async_http_post, session, url, response, body, size, { options }): the
 * same, sending `size` bytes, which are in use until the response is closed.
 * Without a header that says otherwise they are a form's, as libcurl has it.
 * A redirect with 301, 302 or 303 is followed by a GET, as browsers do.
 * Counterpart: session.post(). */
struct async_http_post {
    ASYNC_FRAME;
    async_http_session *session;
    const char *url;
    async_http_response *response;
    const void *body;
    size_t size;
    async_http_options options;
    async_operation arrival;
};
ASYNC(async_http_post);

/* AWAIT(async_http_request, session, method, url, response, { options }): the
 * same with any method.
 * Errors   ASYNC_EINVAL, too, when the method is none, or when a header has a
 *          line break in it
 * Counterpart: session.request(). */
struct async_http_request {
    ASYNC_FRAME;
    async_http_session *session;
    const char *method;
    const char *url;
    async_http_response *response;
    async_http_options options;
    async_operation arrival;
};
ASYNC(async_http_request);

/* ------------------------------------------------------------------------
 * RESPONSE
 *
 *     int status;     200, 404 ...
 *     int version;    of HTTP, 10 times: 10, 11, 20
 * ------------------------------------------------------------------------ */

/* The value of the first header of that name, whatever its case; NULL when
 * there is none.  Valid until the response is closed. */
const char *async_http_header(const async_http_response *response,
                              const char *name);

/* One after the other, as they came: begin with { NULL, NULL }.
 * Returns  whether there was one more */
typedef struct async_http_field {
    const char *name, *value;
} async_http_field;
int async_http_next_header(const async_http_response *response,
                           async_http_field *field);

/* The address that has answered, behind the redirects; NULL when the response
 * is closed.  Valid until then. */
const char *async_http_url(const async_http_response *response);

/* AWAIT_INTO(bytes, async_http_read, response, most): what has come of the
 * body, at most so many bytes (0, or left out: all of it), or waits for it.
 * They lie in the response until the next read begins.  Nothing is the end.
 * When ASYNC_HTTP_WINDOW bytes wait to be read, the server is held back.
 * Errors   ASYNC_EBUSY when another task waits for this response;
 *          ASYNC_ECLOSED; ASYNC_EINVALSTATE before its head is there; those
 *          below, behind what had come, again and again
 * Cancel   at once; nothing is lost
 * Counterpart: response.content.readany(). */
#ifndef ASYNC_HTTP_WINDOW
#define ASYNC_HTTP_WINDOW 65536
#endif
struct async_http_read {
    ASYNC_RETURNS(async_bytes);
    async_http_response *response;
    size_t most;
    async_operation arrival;
};
ASYNC(async_http_read);

/* AWAIT(async_http_read_all, response, buffer, limit): the rest of the body.
 * limit    bytes; 0, or left out: ASYNC_HTTP_LIMIT
 * Errors   UV_EMSGSIZE when it is longer; ASYNC_ENOMEM; those of a read
 * Cancel   at once; what had been read is lost
 * Counterpart: response.read(). */
#ifndef ASYNC_HTTP_LIMIT
#define ASYNC_HTTP_LIMIT (64 * 1024 * 1024)
#endif
struct async_http_read_all {
    ASYNC_FRAME;
    async_http_response *response;
    async_buffer *buffer;
    size_t limit;
    int error;
    async_bytes some;
};
ASYNC(async_http_read_all);

/* Closes it, and gives its memory back; status, version and error stay.  If
 * the body has not come to its end, its connection is closed as well (of
 * HTTP/2, the stream), else that goes back to the session.  Who waits for it
 * gets ASYNC_ECLOSED.  One that is closed: nothing.
 * Counterpart: response.release(), the end of async with. */
void async_http_close(async_http_response *response);

/* libcurl's own handle, for curl_easy_getinfo(); NULL when it is closed. */
static inline CURL *async_http_easy(const async_http_response *response);

/* ------------------------------------------------------------------------
 * SENDING
 *
 *     AWAIT(async_http_begin, &self->session, "PUT", url, &self->response);
 *     ASYNC_TRY {
 *         while (...) AWAIT(async_http_write, &self->response, data, size);
 *         AWAIT(async_http_end, &self->response);
 *         ...
 * ------------------------------------------------------------------------ */

/* AWAIT(async_http_begin, session, method, url, response, { options }): begins
 * a request whose body is written.  Does not suspend; after an error there is
 * nothing to close.  Errors as for async_http_request. */
struct async_http_begin {
    ASYNC_FRAME;
    async_http_session *session;
    const char *method;
    const char *url;
    async_http_response *response;
    async_http_options options;
};
ASYNC(async_http_begin);

/* AWAIT(async_http_write, response, data, size): waits until libcurl has taken
 * all of it, as fast as the server reads.
 * Errors   those below; UV_EPIPE when the server has answered and wants no
 *          more of it: go on with async_http_end; ASYNC_EBUSY when another
 *          task writes; ASYNC_EINVALSTATE when nothing is to be written;
 *          ASYNC_ECLOSED
 * Cancel   at once.  If a part of it was taken, the request fails with
 *          ASYNC_ECLOSED, for the server would see half a message. */
struct async_http_write {
    ASYNC_FRAME;
    async_http_response *response;
    const void *data;
    size_t size;
    async_operation taken;
};
ASYNC(async_http_write);

/* AWAIT(async_http_end, response): that was all of it.  Waits for the head of
 * the response, as async_http_get does, with its errors; after one the
 * response is closed. */
struct async_http_end {
    ASYNC_FRAME;
    async_http_response *response;
    async_operation arrival;
};
ASYNC(async_http_end);

/* ------------------------------------------------------------------------
 * ERRORS
 *
 *   ASYNC_EINVAL         no URL
 *   UV_EPROTONOSUPPORT   neither http nor https
 *   UV_EAI_NONAME        no such name, or no answer: libcurl does not tell
 *   UV_ECONNREFUSED, UV_ENETUNREACH ...     what the system says
 *   UV_ECONNRESET        the server closed, and had not begun to answer; or
 *                        the connection broke
 *   ASYNC_EINCOMPLETE    it closed in the middle
 *   ASYNC_ETIMEDOUT      the timeout, or that of connecting
 *   ASYNC_ETLSVERIFY     the server is not who it should be; no certificates
 *   UV_EPROTO            that is not HTTP, or not TLS; cannot be decoded
 *   UV_ELOOP             too many redirects
 *   UV_EMSGSIZE          more headers, or a longer body, than the limit
 *   UV_ESPIPE            the body would have to be sent once more, and cannot
 *   UV_ENOTSUP           this libcurl cannot do that
 *   ASYNC_ENOMEM         here, or in libcurl
 *   UV_EIO               any other of libcurl's
 * ------------------------------------------------------------------------ */

/* What libcurl says of it: its number (CURLE_OK if it is none of libcurl's),
 * and its text.  Until the response is used again. */
static inline CURLcode async_http_code(const async_http_response *response);
const char *async_http_strerror(const async_http_response *response);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async_http_session {
    async_node resource; /* among those that are closed with the loop */
    async_loop *loop;
    CURLM *multi;
    CURLSH *share;
    async_handle timer; /* libcurl's one */
    async_link responses;
    async_http_session_options options;
    unsigned char open, doomed, came;
};

typedef struct async__http_bytes {
    char *data;
    size_t size, room;
} async__http_bytes;

struct async_http_response {
    int status;
    int version;
    /* The rest is private. */
    async_link link; /* among the session's */
    async_http_session *session; /* NULL: closed */
    CURL *easy;
    struct curl_slist *lines; /* of the request */
    async_handle deadline;
    async_operation *reader, *writer;
    async__http_bytes head; /* names and values, each with its '\0' */
    /* What comes is put into the one while the other is read. */
    async__http_bytes coming, given;
    size_t given_at, max_headers;
    /* The request's body: all of it, or what is being written. */
    const char *body;
    size_t body_at, body_size;
    async_http_source *source;
    void *source_argument;
    async_handle pull;
    int error;
    CURLcode code;
    char text[CURL_ERROR_SIZE];
    unsigned char headed;   /* the head is there */
    unsigned char finished; /* libcurl has done with it; `error` */
    unsigned char doomed;   /* to be failed outside of libcurl's callbacks */
    unsigned char follows, streamed, ended, sends;
    unsigned char came; /* something, by HTTP/2, in this call */
    unsigned char holds_back, starved; /* paused: receiving, sending */
};

static inline CURL *async_http_easy(const async_http_response *response)
{
    return response->easy;
}
static inline CURLcode async_http_code(const async_http_response *response)
{
    return response->code;
}

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_NET_HTTP_CLIENT_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * libcurl has the descriptors, and says which of them to watch and when to
 * call it.  It is called from libuv's callback of a descriptor, from the
 * loop's timer, and from the tasks.  Its own callbacks run no code of the
 * user's: they move bytes and finish operations.  What may not be done inside
 * of them, to take a transfer out, is done behind: async__http_settle().
 *
 * A descriptor that is watched has a block of its own, which libuv may keep
 * for longer than there is a session; all else is in the caller's structs.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) &&                                          \
    !defined(CAESURA_NET_HTTP_CLIENT_IMPLEMENTED)
#define CAESURA_NET_HTTP_CLIENT_IMPLEMENTED

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- errors -------------------------------------------------------------- */

static int async__http_system_error(const async_http_response *response,
                                    int otherwise)
{
    long number = 0;
    curl_easy_getinfo(response->easy, CURLINFO_OS_ERRNO, &number);
    return number > 0 ? uv_translate_sys_error((int)number) : otherwise;
}

/* Libcurl says the same of what is no HTTP as of a scheme that it does not
 * know; but then it has sent something, and not gone on to another address. */
static int async__http_has_asked(const async_http_response *response)
{
    const char *url = async_http_url(response);
    long size = 0;
    curl_easy_getinfo(response->easy, CURLINFO_REQUEST_SIZE, &size);
    return size > 0 && url != NULL &&
           (curl_strnequal(url, "http:", 5) ||
            curl_strnequal(url, "https:", 6));
}

static int async__http_error(const async_http_response *response,
                             CURLcode code)
{
    switch ((int)code) {
    case CURLE_OK:
        return 0;
    case CURLE_URL_MALFORMAT:
        return ASYNC_EINVAL;
    case CURLE_UNSUPPORTED_PROTOCOL:
        return async__http_has_asked(response) ? UV_EPROTO
                                               : UV_EPROTONOSUPPORT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return UV_EAI_NONAME;
    case CURLE_COULDNT_CONNECT:
        return async__http_system_error(response, UV_ECONNREFUSED);
    case CURLE_GOT_NOTHING:
        return UV_ECONNRESET;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        return async__http_system_error(response, UV_ECONNRESET);
    case CURLE_PARTIAL_FILE:
        return ASYNC_EINCOMPLETE;
    case CURLE_OPERATION_TIMEDOUT:
        return ASYNC_ETIMEDOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
        return ASYNC_ETLSVERIFY;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_BAD_CONTENT_ENCODING:
        return UV_EPROTO;
    case CURLE_TOO_MANY_REDIRECTS:
        return UV_ELOOP;
    case CURLE_FILESIZE_EXCEEDED:
        return UV_EMSGSIZE;
    case CURLE_SEND_FAIL_REWIND:
        return UV_ESPIPE;
    case CURLE_NOT_BUILT_IN:
    case CURLE_UNKNOWN_OPTION:
        return UV_ENOTSUP;
    case CURLE_OUT_OF_MEMORY:
        return ASYNC_ENOMEM;
    default:
        return UV_EIO;
    }
}

const char *async_http_strerror(const async_http_response *response)
{
    if (response->text[0] != '\0') return response->text;
    return response->code == CURLE_OK ? "" : curl_easy_strerror(response->code);
}

/* --- bytes --------------------------------------------------------------- */

/* Makes room for so many more.  Returns 0 or ASYNC_ENOMEM. */
static int async__http_room(async_loop *loop, async__http_bytes *bytes,
                            size_t more)
{
    size_t room = bytes->room < 512 ? 512 : bytes->room;
    char *data;
    if (more <= bytes->room - bytes->size) return 0;
    while (room - bytes->size < more) room *= 2;
    data = (char *)async__allocate(loop, room);
    if (data == NULL) return ASYNC_ENOMEM;
    if (bytes->size > 0) memcpy(data, bytes->data, bytes->size);
    if (bytes->data != NULL) async__release(loop, bytes->data, bytes->room);
    bytes->data = data;
    bytes->room = room;
    return 0;
}

static void async__http_free(async_loop *loop, async__http_bytes *bytes)
{
    if (bytes->data != NULL) async__release(loop, bytes->data, bytes->room);
    memset(bytes, 0, sizeof *bytes);
}

static void async__http_put(async__http_bytes *bytes, const char *data,
                            size_t size)
{
    if (size > 0) memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

/* --- the end of a transfer ----------------------------------------------- */

/* Takes it out of libcurl's hands.  Not from inside of a callback of its. */
static void async__http_finish(async_http_response *response, int error)
{
    if (response->finished) return;
    response->finished = 1;
    response->error = error;
    async_handle_cancel(&response->deadline);
    async_handle_cancel(&response->pull);
    curl_multi_remove_handle(response->session->multi, response->easy);
    if (!error) response->headed = 1;
    async__arrived(response->reader, 0);
    async__arrived(response->writer, 0);
}

/* What it ends with, if it has not ended otherwise before that is asked. */
static void async__http_doom(async_http_response *response, int error)
{
    if (!response->doomed) response->error = error;
    response->doomed = 1;
    response->session->doomed = 1;
}

static void async__http_resume(async_http_response *response);

/* Libcurl 7.88 may keep a part of what it has read of HTTP/2, and neither the
 * descriptor nor its timer would bring it back to that.  To be paused and to go
 * on does; as long as this brings something, there may be more. */
static void async__http_nudge(async_http_session *session)
{
    async_link *link;
    session->came = 0;
    for (link = session->responses.next; link != &session->responses;
         link = link->next) {
        async_http_response *response =
            (async_http_response *)(void *)((char *)link -
                offsetof(async_http_response, link));
        if (!response->came) continue;
        response->came = 0;
        if (response->finished || response->holds_back) continue;
        (void)curl_easy_pause(response->easy,
                              CURLPAUSE_RECV |
                                  (response->starved ? CURLPAUSE_SEND : 0));
        async__http_resume(response);
    }
}

/* Behind each call of libcurl's that moves transfers. */
static void async__http_settle(async_http_session *session, CURLMcode code)
{
    async_link *link, *next;
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(session->multi, &left)) != NULL) {
        async_http_response *response = NULL;
        CURLcode result = message->data.result;
        if (message->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
                          (char **)&response);
        response->code = result;
        async__http_finish(response,
                           response->doomed
                               ? response->error
                               : async__http_error(response, result));
    }
    if (session->came) async__http_nudge(session);
    if (code == CURLM_OK && !session->doomed) return;
    session->doomed = 0;
    for (link = session->responses.next; link != &session->responses;
         link = next) {
        async_http_response *response =
            (async_http_response *)(void *)((char *)link -
                offsetof(async_http_response, link));
        next = link->next;
        if (code != CURLM_OK)
            async__http_finish(response, code == CURLM_OUT_OF_MEMORY
                                             ? (int)ASYNC_ENOMEM
                                             : (int)UV_EIO);
        else if (response->doomed)
            async__http_finish(response, response->error);
    }
}

void async_http_close(async_http_response *response)
{
    async_http_session *session = response->session;
    async_loop *loop;
    if (session == NULL) return;
    loop = session->loop;
    async__http_finish(response, ASYNC_ECLOSED);
    response->session = NULL;
    async__unlink(&response->link);
    curl_easy_cleanup(response->easy);
    response->easy = NULL;
    curl_slist_free_all(response->lines);
    response->lines = NULL;
    async__http_free(loop, &response->head);
    async__http_free(loop, &response->coming);
    async__http_free(loop, &response->given);
}

static int async__http_on_deadline(void *argument)
{
    async_http_response *response = (async_http_response *)argument;
    async__http_finish(response, ASYNC_ETIMEDOUT);
    response->code = CURLE_OPERATION_TIMEDOUT;
    return 0;
}

/* --- pausing ------------------------------------------------------------- */

/* Goes on with what is not held up any more.  Libcurl may call back at once
 * with what it has kept, and the rest is done from its timer. */
static void async__http_resume(async_http_response *response)
{
    CURLcode code;
    if (response->finished) return;
    code = curl_easy_pause(response->easy,
                           (response->holds_back ? CURLPAUSE_RECV : 0) |
                               (response->starved ? CURLPAUSE_SEND : 0));
    if (code == CURLE_OK && !response->doomed) return;
    response->code = code;
    async__http_finish(response, response->doomed
                                     ? response->error
                                     : async__http_error(response, code));
}

/* --- libcurl's callbacks: a response ------------------------------------- */

static int async__http_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Without the spaces at its ends. */
static void async__http_trim(const char **text, size_t *size)
{
    while (*size > 0 && async__http_is_space(**text)) (*text)++, (*size)--;
    while (*size > 0 && async__http_is_space((*text)[*size - 1])) (*size)--;
}

static int async__http_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1.1 200 OK", or "HTTP/2 200"; libcurl is content with less.  Returns 0,
 * or an error. */
static int async__http_begin_head(async_http_response *response,
                                  const char *line, size_t size)
{
    size_t i = 5, digits = 0;
    response->head.size = response->coming.size = 0;
    response->version = response->status = 0;
    if (i >= size || !async__http_is_digit(line[i])) return UV_EPROTO;
    response->version = (line[i++] - '0') * 10;
    if (i < size && line[i] == '.') {
        if (++i >= size || !async__http_is_digit(line[i])) return UV_EPROTO;
        response->version += line[i++] - '0';
    }
    if (i >= size || line[i] != ' ') return UV_EPROTO;
    while (i < size && line[i] == ' ') i++;
    for (; i < size && async__http_is_digit(line[i]) && digits < 4; i++) {
        response->status = response->status * 10 + (line[i] - '0');
        digits++;
    }
    if (digits == 3 && (i == size || line[i] == ' ')) return 0;
    response->status = 0;
    return UV_EPROTO;
}

/* Whether no other head will come behind this one. */
static int async__http_is_last(const async_http_response *response)
{
    const char *location;
    switch (response->status) {
    case 401: /* libcurl may ask again, and has not decided yet: the body, or */
    case 407: /* the end, tells */
    case 417: return 0;
    default: break;
    }
    if (response->status / 100 == 1) return response->status == 101;
    if (response->status / 100 != 3 || !response->follows) return 1;
    location = async_http_header(response, "Location");
    return location == NULL || location[0] == '\0';
}

/* Adds a line; an obsolete one, which begins with a space, belongs to the one
 * before. */
static int async__http_add_header(async_http_response *response,
                                  const char *line, size_t size)
{
    async__http_bytes *head = &response->head;
    const char *colon = (const char *)memchr(line, ':', size), *value;
    size_t name_size, value_size;
    int folded = async__http_is_space(line[0]), error;
    if (folded ? head->size == 0 : colon == NULL) return 0;
    if (head->size + size + 2 > response->max_headers) return UV_EMSGSIZE;
    error = async__http_room(response->session->loop, head, size + 2);
    if (error) return error;
    value = folded ? line : colon + 1;
    value_size = size - (size_t)(value - line);
    async__http_trim(&value, &value_size);
    if (folded) {
        head->data[head->size - 1] = ' ';
    } else {
        name_size = (size_t)(colon - line);
        async__http_trim(&line, &name_size);
        async__http_put(head, line, name_size);
        async__http_put(head, "", 1);
    }
    async__http_put(head, value, value_size);
    async__http_put(head, "", 1);
    return 0;
}

/* What libcurl takes for a failure: another number than it gave. */
static size_t async__http_refuse(async_http_response *response, int error)
{
    async__http_doom(response, error);
    return 0;
}

static void async__http_came(async_http_response *response)
{
    if (response->version < 20) return;
    response->came = 1;
    response->session->came = 1;
}

static size_t async__http_on_header(char *line, size_t one, size_t size,
                                    void *argument)
{
    async_http_response *response = (async_http_response *)argument;
    size_t length = one * size, whole = length;
    int error;
    async__http_came(response);
    if (response->headed) return whole; /* a trailer */
    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == '\n'))
        length--;
    /* libcurl lets a carriage return stand in a line, which others take for the
     * line's end. */
    if (memchr(line, '\r', length) != NULL)
        return async__http_refuse(response, UV_EPROTO);
    if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        error = async__http_begin_head(response, line, length);
        if (error) return async__http_refuse(response, error);
    } else if (length > 0) {
        error = async__http_add_header(response, line, length);
        if (error) return async__http_refuse(response, error);
    } else if (async__http_is_last(response)) {
        response->headed = 1;
        async__arrived(response->reader, 0);
    }
    return whole;
}

static size_t async__http_on_body(char *data, size_t one, size_t size,
                                  void *argument)
{
    async_http_response *response = (async_http_response *)argument;
    size_t length = one * size;
    if (length == 0) return 0;
    async__http_came(response);
    if (response->coming.size >= ASYNC_HTTP_WINDOW) {
        /* Nobody would read what may still turn out not to be the response. */
        response->headed = 1;
        response->holds_back = 1;
        async__arrived(response->reader, 0);
        return CURL_WRITEFUNC_PAUSE;
    }
    if (async__http_room(response->session->loop, &response->coming, length))
        return async__http_refuse(response, ASYNC_ENOMEM);
    async__http_put(&response->coming, data, length);
    if (response->status != 417 || !response->sends) response->headed = 1;
    if (response->headed) async__arrived(response->reader, 0);
    return length;
}

/* --- libcurl's callbacks: the body of a request -------------------------- */

static int async__http_on_pull(void *argument);

static size_t async__http_on_send(char *buffer, size_t one, size_t size,
                                  void *argument)
{
    async_http_response *response = (async_http_response *)argument;
    size_t length = one * size, left = response->body_size - response->body_at;
    if (left == 0 && response->streamed && !response->ended) {
        response->starved = 1;
        if (response->source != NULL &&
            async_loop_call_soon(response->session->loop, &response->pull,
                                 async__http_on_pull, response))
            return CURL_READFUNC_ABORT;
        return CURL_READFUNC_PAUSE;
    }
    if (length > left) length = left;
    if (length > 0) memcpy(buffer, response->body + response->body_at, length);
    response->body_at += length;
    if (length == left) async__arrived(response->writer, 0);
    return length;
}

/* To the beginning again, when a connection turns out to be dead, or behind a
 * redirect. */
static int async__http_on_seek(void *argument, curl_off_t offset, int origin)
{
    async_http_response *response = (async_http_response *)argument;
    if (response->streamed || origin != SEEK_SET || offset < 0 ||
        (size_t)offset > response->body_size)
        return CURL_SEEKFUNC_FAIL;
    response->body_at = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* What is to be sent next. */
static void async__http_feed(async_http_response *response, const void *data,
                             size_t size)
{
    response->body = (const char *)data;
    response->body_size = size;
    response->body_at = 0;
    if (!response->starved) return;
    response->starved = 0;
    async__http_resume(response);
}

static int async__http_on_pull(void *argument)
{
    async_http_response *response = (async_http_response *)argument;
    async_bytes chunk = { NULL, 0 };
    int error = response->source(response->source_argument, &chunk);
    if (error < 0) {
        async__http_finish(response, error);
        return 0;
    }
    if (chunk.size == 0) response->ended = 1;
    async__http_feed(response, chunk.data, chunk.size);
    return 0;
}

/* --- libcurl's callbacks: descriptors and time --------------------------- */

typedef struct async__http_poll {
    uv_poll_t handle;
    async_http_session *session;
    const async_allocator *allocator;
    curl_socket_t fd;
    int events;
    unsigned failed; /* times on end */
} async__http_poll;

/* The loop may be gone by now. */
static void async__http_poll_closed(uv_handle_t *handle)
{
    async__http_poll *poll = (async__http_poll *)handle->data;
    poll->allocator->release(poll->allocator->context, poll, sizeof *poll);
}

/* After an error libuv has stopped.  Libcurl may find out by itself what it is,
 * behind what came before it: an answer, and then the reset.  If it does not,
 * it is told. */
static void async__http_on_ready(uv_poll_t *handle, int status, int events)
{
    async__http_poll *poll = (async__http_poll *)handle->data;
    async_http_session *session = poll->session;
    int ready = 0, running;
    if (status < 0) {
        events = UV_READABLE | UV_WRITABLE;
        if (poll->failed++ > 0 ||
            uv_poll_start(handle, poll->events, async__http_on_ready))
            ready = CURL_CSELECT_ERR;
    } else {
        poll->failed = 0;
    }
    if (events & UV_READABLE) ready |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE) ready |= CURL_CSELECT_OUT;
    async__http_settle(session,
                       curl_multi_socket_action(session->multi, poll->fd,
                                                ready, &running));
}

static async__http_poll *async__http_poll_make(async_http_session *session,
                                               curl_socket_t fd, int *error)
{
    async__http_poll *poll = (async__http_poll *)async__allocate_large(
        session->loop, sizeof *poll);
    *error = ASYNC_ENOMEM;
    if (poll == NULL) return NULL;
    *error = uv_poll_init_socket(async_uv_loop_of(session->loop),
                                 &poll->handle, fd);
    if (*error) {
        async__release_large(session->loop, poll, sizeof *poll);
        return NULL;
    }
    poll->handle.data = poll;
    poll->session = session;
    poll->allocator = session->loop->allocator;
    poll->fd = fd;
    poll->failed = 0;
    curl_multi_assign(session->multi, fd, poll);
    return poll;
}

/* A transfer whose descriptor cannot be watched would wait for ever. */
static int async__http_on_socket(CURL *easy, curl_socket_t fd, int what,
                                 void *argument, void *known)
{
    async_http_session *session = (async_http_session *)argument;
    async__http_poll *poll = (async__http_poll *)known;
    async_http_response *response = NULL;
    int events = 0, error = 0;
    if (what == CURL_POLL_REMOVE) {
        if (poll == NULL) return 0;
        curl_multi_assign(session->multi, fd, NULL);
        uv_close((uv_handle_t *)&poll->handle, async__http_poll_closed);
        return 0;
    }
    if (what & CURL_POLL_IN) events |= UV_READABLE;
    if (what & CURL_POLL_OUT) events |= UV_WRITABLE;
    if (poll == NULL) poll = async__http_poll_make(session, fd, &error);
    if (poll != NULL) {
        poll->events = events;
        error = uv_poll_start(&poll->handle, events, async__http_on_ready);
    }
    if (!error) return 0;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&response);
    if (response != NULL) async__http_doom(response, error);
    return 0;
}

static int async__http_on_timer(void *argument)
{
    async_http_session *session = (async_http_session *)argument;
    int running;
    async__http_settle(session,
                       curl_multi_socket_action(session->multi,
                                                CURL_SOCKET_TIMEOUT, 0,
                                                &running));
    return 0;
}

/* (To schedule a handle of one's own takes no memory.) */
static int async__http_on_timeout(CURLM *multi, long milliseconds,
                                  void *argument)
{
    async_http_session *session = (async_http_session *)argument;
    (void)multi;
    async_handle_cancel(&session->timer);
    if (milliseconds >= 0 && session->open)
        (void)async_loop_call_later(session->loop, &session->timer,
                                    ASYNC_MS((async_duration)milliseconds),
                                    async__http_on_timer, session);
    return 0;
}

/* --- the session --------------------------------------------------------- */

void async_http_session_close(async_http_session *session)
{
    if (!session->open) return;
    session->open = 0;
    async__unlink(&session->resource.link);
    while (!async__list_empty(&session->responses))
        async_http_close(
            (async_http_response *)(void *)((char *)session->responses.next -
                offsetof(async_http_response, link)));
    async_handle_cancel(&session->timer);
    curl_multi_cleanup(session->multi);
    curl_share_cleanup(session->share);
    curl_global_cleanup();
}

static void async__http_close_resource(async_node *node)
{
    async_http_session_close(
        (async_http_session *)(void *)((char *)node -
                                       offsetof(async_http_session, resource)));
}

static int async__http_session_begin(async_http_session *session,
                                     const async *co,
                                     const async_http_session_options *options)
{
    int error = async__uv_check(co), failed = 0;
    size_t connections = options->max_connections;
    if (error) return error;
    if (session->open) return ASYNC_EBUSY;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return ASYNC_ENOMEM;
    memset(session, 0, sizeof *session);
    session->loop = async_loop_of(co);
    session->options = *options;
    async__list_init(&session->responses);
    session->multi = curl_multi_init();
    session->share = curl_share_init();
    if (connections == 0) connections = 100;
    if (session->multi == NULL || session->share == NULL) {
        failed = 1;
    } else {
        CURLM *multi = session->multi;
        failed |= curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION,
                                    async__http_on_socket) != CURLM_OK;
        failed |= curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, session) !=
                  CURLM_OK;
        failed |= curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION,
                                    async__http_on_timeout) != CURLM_OK;
        failed |= curl_multi_setopt(multi, CURLMOPT_TIMERDATA, session) !=
                  CURLM_OK;
        failed |= curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS,
                                    (long)connections) != CURLM_OK;
        failed |= curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS,
                                    (long)connections) != CURLM_OK;
        failed |= curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                                    (long)options->max_per_host) != CURLM_OK;
        failed |= curl_share_setopt(session->share, CURLSHOPT_SHARE,
                                    CURL_LOCK_DATA_SSL_SESSION) != CURLSHE_OK;
        if (!options->no_cookies)
            failed |= curl_share_setopt(session->share, CURLSHOPT_SHARE,
                                        CURL_LOCK_DATA_COOKIE) != CURLSHE_OK;
    }
    if (failed) {
        if (session->multi != NULL) curl_multi_cleanup(session->multi);
        if (session->share != NULL) curl_share_cleanup(session->share);
        curl_global_cleanup();
        return ASYNC_ENOMEM;
    }
    session->open = 1;
    session->resource.run = async__http_close_resource;
    async__uv_opened(session->loop, &session->resource);
    return 0;
}

ASYNC(async_http_session_open)
{
    int error;
    ASYNC_BEGIN(async_http_session_open);
    error = async__http_session_begin(self->session, co, &self->options);
    if (error) ASYNC_RAISE(error);
    ASYNC_END;
}

/* --- beginning a request ------------------------------------------------- */

/* A token of HTTP: what could end the line, or be another header, is none. */
static int async__http_is_token(const char *text)
{
    const char *c;
    if (text == NULL || *text == '\0') return 0;
    for (c = text; *c != '\0'; c++)
        if (!((*c >= 'A' && *c <= 'Z') || (*c >= 'a' && *c <= 'z') ||
              async__http_is_digit(*c) || strchr("!#$%&'*+-.^_`|~", *c)))
            return 0;
    return 1;
}

static CURLcode async__http_add_line(async_http_response *response,
                                     const char *line)
{
    struct curl_slist *longer = curl_slist_append(response->lines, line);
    if (longer == NULL) return CURLE_OUT_OF_MEMORY;
    response->lines = longer;
    return CURLE_OK;
}

/* The next option, unless one before has failed. */
#define ASYNC__HTTP_SET(option, value)                                        \
    do {                                                                      \
        if (code == CURLE_OK)                                                 \
            code = curl_easy_setopt(easy, option, value);                     \
    } while (0)

static CURLcode async__http_set_method(async_http_response *response,
                                       const char *method,
                                       const async_http_options *options)
{
    CURL *easy = response->easy;
    CURLcode code = CURLE_OK;
    int streamed = response->streamed;
    curl_off_t size = streamed ? (curl_off_t)options->length
                               : (curl_off_t)options->body_size;
    if (streamed && size == 0) size = -1;
    response->sends = streamed || options->body_size > 0;
    if (strcmp(method, "HEAD") == 0 && !response->sends) {
        ASYNC__HTTP_SET(CURLOPT_NOBODY, 1L);
    } else if (strcmp(method, "POST") == 0) {
        ASYNC__HTTP_SET(CURLOPT_POST, 1L);
        ASYNC__HTTP_SET(CURLOPT_POSTFIELDSIZE_LARGE, size);
        if (!streamed)
            ASYNC__HTTP_SET(CURLOPT_POSTFIELDS,
                            size > 0 ? (const char *)options->body : "");
    } else if (response->sends || strcmp(method, "PUT") == 0 ||
               strcmp(method, "PATCH") == 0) {
        ASYNC__HTTP_SET(CURLOPT_UPLOAD, 1L);
        ASYNC__HTTP_SET(CURLOPT_INFILESIZE_LARGE, size);
        if (strcmp(method, "PUT") != 0)
            ASYNC__HTTP_SET(CURLOPT_CUSTOMREQUEST, method);
    } else {
        ASYNC__HTTP_SET(CURLOPT_HTTPGET, 1L);
        if (strcmp(method, "GET") != 0)
            ASYNC__HTTP_SET(CURLOPT_CUSTOMREQUEST, method);
    }
    if (!options->expect_continue && code == CURLE_OK)
        code = async__http_add_line(response, "Expect:");
    return code;
}

/* Before 8.0 it may stall in a compressed body that comes by HTTP/2. */
static int async__http_is_old(void)
{
    return curl_version_info(CURLVERSION_NOW)->version_num < 0x080000;
}

static CURLcode async__http_set_version(CURL *easy, int version)
{
    CURLcode code;
    switch (version) {
    case ASYNC_HTTP_1_1:
        return curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                                (long)CURL_HTTP_VERSION_1_1);
    case ASYNC_HTTP_2:
        code = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                                (long)CURL_HTTP_VERSION_2_0);
        break;
    case ASYNC_HTTP_2_AT_ONCE:
        code = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                                (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE);
        break;
    default: /* without it, 1.1 is what libcurl has */
        (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
                               async__http_is_old()
                                   ? (long)CURL_HTTP_VERSION_1_1
                                   : (long)CURL_HTTP_VERSION_2TLS);
        return CURLE_OK;
    }
    return code == CURLE_OK ? CURLE_OK : CURLE_NOT_BUILT_IN;
}

static CURLcode async__http_set_security(CURL *easy,
                                         const async_http_session *session,
                                         const async_http_options *options)
{
    CURLcode code = CURLE_OK;
    const char *file = options->ca_file;
#if LIBCURL_VERSION_NUM >= 0x075500
    ASYNC__HTTP_SET(CURLOPT_PROTOCOLS_STR, "http,https");
    ASYNC__HTTP_SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
    ASYNC__HTTP_SET(CURLOPT_PROTOCOLS,
                    (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
    ASYNC__HTTP_SET(CURLOPT_REDIR_PROTOCOLS,
                    (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
    if (file == NULL) file = session->options.ca_file;
    if (file != NULL) ASYNC__HTTP_SET(CURLOPT_CAINFO, file);
    if (options->no_verify || session->options.no_verify) {
        ASYNC__HTTP_SET(CURLOPT_SSL_VERIFYPEER, 0L);
        ASYNC__HTTP_SET(CURLOPT_SSL_VERIFYHOST, 0L);
    }
    ASYNC__HTTP_SET(CURLOPT_PROXY, session->options.proxy != NULL
                                       ? session->options.proxy
                                       : "");
    return code;
}

static CURLcode async__http_set_all(async_http_response *response,
                                    const char *url,
                                    const async_http_options *options)
{
    const async_http_session *session = response->session;
    const char *const *line;
    CURL *easy = response->easy;
    CURLcode code = CURLE_OK;
    async_duration connect = options->connect_timeout;
    ASYNC__HTTP_SET(CURLOPT_URL, url);
    ASYNC__HTTP_SET(CURLOPT_PRIVATE, response);
    ASYNC__HTTP_SET(CURLOPT_ERRORBUFFER, response->text);
    ASYNC__HTTP_SET(CURLOPT_NOSIGNAL, 1L);
    ASYNC__HTTP_SET(CURLOPT_NOPROGRESS, 1L);
    ASYNC__HTTP_SET(CURLOPT_SHARE, session->share);
    if (!session->options.no_cookies)
        ASYNC__HTTP_SET(CURLOPT_COOKIEFILE, ""); /* begins to keep them */
    ASYNC__HTTP_SET(CURLOPT_WRITEFUNCTION, async__http_on_body);
    ASYNC__HTTP_SET(CURLOPT_WRITEDATA, response);
    ASYNC__HTTP_SET(CURLOPT_HEADERFUNCTION, async__http_on_header);
    ASYNC__HTTP_SET(CURLOPT_HEADERDATA, response);
    ASYNC__HTTP_SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    ASYNC__HTTP_SET(CURLOPT_READFUNCTION, async__http_on_send);
    ASYNC__HTTP_SET(CURLOPT_READDATA, response);
    ASYNC__HTTP_SET(CURLOPT_SEEKFUNCTION, async__http_on_seek);
    ASYNC__HTTP_SET(CURLOPT_SEEKDATA, response);
    ASYNC__HTTP_SET(CURLOPT_USERAGENT, session->options.user_agent != NULL
                                           ? session->options.user_agent
                                           : "caesura/" CAESURA_VERSION);
    if (!options->raw &&
        (options->http_version < ASYNC_HTTP_2 || !async__http_is_old()))
        ASYNC__HTTP_SET(CURLOPT_ACCEPT_ENCODING, "");
    if (response->follows) {
        ASYNC__HTTP_SET(CURLOPT_FOLLOWLOCATION, 1L);
        ASYNC__HTTP_SET(CURLOPT_MAXREDIRS, options->max_redirects > 0
                                               ? (long)options->max_redirects
                                               : 10L);
    }
    if (connect > 0 && connect / ASYNC_MS(1) < 0x7fffffff)
        ASYNC__HTTP_SET(CURLOPT_CONNECTTIMEOUT_MS,
                        (long)((connect + ASYNC_MS(1) - 1) / ASYNC_MS(1)));
#if LIBCURL_VERSION_NUM >= 0x075700
    /* Who gives up does not wait for the thread that looks up the name. */
    ASYNC__HTTP_SET(CURLOPT_QUICK_EXIT, 1L);
#endif
    if (code == CURLE_OK)
        code = async__http_set_security(easy, session, options);
    if (code == CURLE_OK)
        code = async__http_set_version(easy, options->http_version);
    for (line = options->headers; line != NULL && *line != NULL; line++)
        if (code == CURLE_OK) code = async__http_add_line(response, *line);
    return code;
}

static void async__http_drop(async_http_response *response)
{
    curl_easy_cleanup(response->easy);
    curl_slist_free_all(response->lines);
    response->easy = NULL;
    response->lines = NULL;
    response->session = NULL;
}

static int async__http_check(const async_http_session *session,
                             const async *co)
{
    if (!session->open) return ASYNC_ECLOSED;
    if (!(co->flags & ASYNC__IS_TASK)) return ASYNC_ENOTASK;
    if (async_loop_of(co) != session->loop) return ASYNC_EOTHERLOOP;
    return 0;
}

/* All that can be wrong with what the caller gave. */
static int async__http_check_request(const char *method, const char *url,
                                     const async_http_options *options)
{
    const char *const *line;
    if (url == NULL || !async__http_is_token(method)) return ASYNC_EINVAL;
    if (options->body == NULL && options->body_size > 0) return ASYNC_EINVAL;
    if (options->length < 0) return ASYNC_EINVAL;
    for (line = options->headers; line != NULL && *line != NULL; line++)
        if (strpbrk(*line, "\r\n") != NULL) return ASYNC_EINVAL;
    return 0;
}

static int async__http_start(async_http_session *session, const async *co,
                             const char *method, const char *url,
                             async_http_response *response,
                             const async_http_options *options, int written)
{
    int error = async__http_check(session, co);
    async_duration timeout = options->timeout;
    CURLMcode added;
    if (error) return error;
    if (response->session != NULL) return ASYNC_EBUSY;
    error = async__http_check_request(method, url, options);
    if (error) return error;
    memset(response, 0, sizeof *response);
    response->easy = curl_easy_init();
    if (response->easy == NULL) return ASYNC_ENOMEM;
    response->session = session;
    response->follows = options->max_redirects >= 0;
    response->max_headers =
        options->max_headers > 0 ? options->max_headers : 65536;
    response->streamed = written || options->source != NULL;
    if (!written) {
        response->source = options->source;
        response->source_argument = options->source_argument;
    }
    if (!response->streamed) {
        response->body = (const char *)options->body;
        response->body_size = options->body_size;
    }
    response->code = async__http_set_all(response, url, options);
    if (response->code == CURLE_OK)
        response->code = async__http_set_method(response, method, options);
    if (response->code == CURLE_OK)
        response->code = curl_easy_setopt(response->easy, CURLOPT_HTTPHEADER,
                                          response->lines);
    error = async__http_error(response, response->code);
    if (!error && options->configure != NULL)
        error = options->configure(response->easy,
                                   options->configure_argument);
    if (!error) {
        added = curl_multi_add_handle(session->multi, response->easy);
        if (added != CURLM_OK)
            error = added == CURLM_OUT_OF_MEMORY ? (int)ASYNC_ENOMEM
                                                 : (int)UV_EIO;
    }
    if (error) {
        async__http_drop(response);
        return error;
    }
    async__list_append(&session->responses, &response->link);
    if (timeout == 0) timeout = session->options.timeout;
    if (timeout == 0) timeout = ASYNC_SECONDS(300);
    if (timeout != ASYNC_FOREVER)
        (void)async_loop_call_later(session->loop, &response->deadline, timeout,
                                    async__http_on_deadline, response);
    return 0;
}

/* The task has resumed; `cancelled` is what it was told meanwhile.  Returns
 * what came of it; the response is closed if that is no response. */
static int async__http_headed(async_http_response *response,
                              async_operation *operation, int cancelled)
{
    int error = cancelled;
    /* Somebody else has closed it, and may have begun another request. */
    if (response->reader != operation) return error ? error : ASYNC_ECLOSED;
    response->reader = NULL;
    if (response->session == NULL) return error ? error : ASYNC_ECLOSED;
    if (!error && !response->headed) error = response->error;
    if (error) {
        async_http_close(response);
        response->status = 0;
    }
    return error;
}

/* Waits for the head, in a coroutine with a response, an arrival and a local
 * `error`. */
#define ASYNC__HTTP_AWAIT_HEAD                                                \
    do {                                                                      \
        async_operation_init(&self->arrival, async_loop_of(co),               \
                             async_operation_cancelled);                      \
        self->response->reader = &self->arrival;                              \
        if (self->response->headed || self->response->finished)               \
            async__arrived(&self->arrival, 0);                                \
        ASYNC__WAIT_FOR(&self->arrival.future);                               \
        (void)async__awaited(co);                                             \
        async__drop(co);                                                      \
        error = async__http_headed(self->response, &self->arrival,            \
                                   co->error);                                \
        ASYNC__CHECK;                                                         \
        if (error) ASYNC_RAISE(error);                                        \
    } while (0)

ASYNC(async_http_get)
{
    int error;
    ASYNC_BEGIN(async_http_get);
    error = async__http_start(self->session, co, "GET", self->url,
                              self->response, &self->options, 0);
    if (error) ASYNC_RAISE(error);
    ASYNC__HTTP_AWAIT_HEAD;
    ASYNC_END;
}

ASYNC(async_http_post)
{
    int error;
    ASYNC_BEGIN(async_http_post);
    if (self->options.source == NULL) {
        self->options.body = self->body;
        self->options.body_size = self->size;
    }
    error = async__http_start(self->session, co, "POST", self->url,
                              self->response, &self->options, 0);
    if (error) ASYNC_RAISE(error);
    ASYNC__HTTP_AWAIT_HEAD;
    ASYNC_END;
}

ASYNC(async_http_request)
{
    int error;
    ASYNC_BEGIN(async_http_request);
    error = async__http_start(self->session, co, self->method, self->url,
                              self->response, &self->options, 0);
    if (error) ASYNC_RAISE(error);
    ASYNC__HTTP_AWAIT_HEAD;
    ASYNC_END;
}

/* --- the response -------------------------------------------------------- */

int async_http_next_header(const async_http_response *response,
                           async_http_field *field)
{
    const char *next = response->head.data;
    if (response->head.size == 0) return 0;
    if (field->name != NULL) next = field->value + strlen(field->value) + 1;
    if (next >= response->head.data + response->head.size) return 0;
    field->name = next;
    field->value = next + strlen(next) + 1;
    return 1;
}

const char *async_http_header(const async_http_response *response,
                              const char *name)
{
    async_http_field field = { NULL, NULL };
    while (async_http_next_header(response, &field))
        if (curl_strequal(field.name, name)) return field.value;
    return NULL;
}

const char *async_http_url(const async_http_response *response)
{
    char *url = NULL;
    if (response->easy != NULL)
        curl_easy_getinfo(response->easy, CURLINFO_EFFECTIVE_URL, &url);
    return url;
}

/* What has come, or why there is nothing.  Returns 1 when there is something
 * to wait for. */
static int async__http_take(struct async_http_read *self, const async *co,
                            int *error)
{
    async_http_response *response = self->response;
    async_bytes *bytes = &self->frame.result;
    size_t left;
    *error = ASYNC_ECLOSED;
    if (response->session == NULL) return 0;
    *error = async__http_check(response->session, co);
    if (*error) return 0;
    if (response->reader != NULL) *error = ASYNC_EBUSY;
    else if (!response->headed && !response->finished)
        *error = ASYNC_EINVALSTATE;
    if (*error) return 0;
    left = response->given.size - response->given_at;
    if (left == 0 && response->coming.size > 0) {
        async__http_bytes emptied = response->given;
        emptied.size = 0;
        response->given = response->coming;
        response->given_at = 0;
        response->coming = emptied;
        left = response->given.size;
        if (response->holds_back) {
            response->holds_back = 0;
            async__http_resume(response);
        }
    }
    if (left == 0 && !response->finished) return 1;
    if (left == 0) *error = response->error;
    if (self->most > 0 && left > self->most) left = self->most;
    bytes->data = left > 0 ? response->given.data + response->given_at : "";
    bytes->size = left;
    response->given_at += left;
    return 0;
}

ASYNC(async_http_read)
{
    int error;
    ASYNC_BEGIN(async_http_read);
    while (async__http_take(self, co, &error))
        ASYNC__AWAIT_ARRIVAL(&self->response->reader, &self->arrival,
                             self->response->session->loop);
    if (error) ASYNC_RAISE(error);
    ASYNC_RETURN(self->frame.result);
    ASYNC_END;
}

/* Adds what was read.  A length that the server promises is not believed
 * beyond a megabyte before that has come. */
static int async__http_collect(struct async_http_read_all *self,
                               async_loop *loop)
{
    async_buffer *buffer = self->buffer;
    size_t limit = self->limit > 0 ? self->limit : ASYNC_HTTP_LIMIT;
    size_t needed = buffer->size + self->some.size, room = buffer->room * 2;
    int error;
    if (self->some.size > limit - buffer->size) return UV_EMSGSIZE;
    if (buffer->data == NULL) {
        curl_off_t promised = -1;
        curl_easy_getinfo(self->response->easy,
                          CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &promised);
        if (promised > 1048576) promised = 1048576;
        if (promised > 0) room = (size_t)promised;
    }
    if (room < needed) room = needed;
    if (room > limit) room = limit;
    if (needed > buffer->room || buffer->data == NULL) {
        error = async__buffer_grow(buffer, loop, room, 0);
        if (error) return error;
    }
    memcpy(buffer->data + buffer->size, self->some.data, self->some.size);
    async__buffer_got(buffer, self->some.size);
    return 0;
}

ASYNC(async_http_read_all)
{
    ASYNC_BEGIN(async_http_read_all);
    async_buffer_free(self->buffer);
    ASYNC_TRY {
        for (;;) {
            ASYNC_AWAIT_INTO(self->some, async_http_read, self->response, 0);
            if (self->some.size == 0) break;
            self->error = async__http_collect(self, async_loop_of(co));
            if (self->error) ASYNC_RAISE(self->error);
        }
    } ASYNC_EXCEPT_ALL(self->error) {
        async_buffer_free(self->buffer);
        ASYNC_RAISE(self->error);
    } ASYNC_END_TRY
    ASYNC_END;
}

/* --- sending ------------------------------------------------------------- */

ASYNC(async_http_begin)
{
    int error;
    ASYNC_BEGIN(async_http_begin);
    error = async__http_start(self->session, co, self->method, self->url,
                              self->response, &self->options, 1);
    if (error) ASYNC_RAISE(error);
    ASYNC_END;
}

static int async__http_write_check(const async_http_response *response,
                                   const async *co)
{
    int error;
    if (response->session == NULL) return ASYNC_ECLOSED;
    error = async__http_check(response->session, co);
    if (error) return error;
    if (!response->streamed || response->source != NULL || response->ended)
        return ASYNC_EINVALSTATE;
    if (response->writer != NULL) return ASYNC_EBUSY;
    if (response->finished) return response->error ? response->error : UV_EPIPE;
    return 0;
}

static int async__http_write_begin(struct async_http_write *self,
                                   const async *co)
{
    async_http_response *response = self->response;
    int error = async__http_write_check(response, co);
    if (error || self->size == 0) return error;
    async_operation_init(&self->taken, response->session->loop,
                         async_operation_cancelled);
    response->writer = &self->taken;
    async__http_feed(response, self->data, self->size);
    return 0;
}

/* The task has resumed: whether all of it was taken. */
static int async__http_write_over(struct async_http_write *self, int cancelled)
{
    async_http_response *response = self->response;
    size_t taken = response->body_at;
    int whole = taken == self->size;
    if (response->writer != &self->taken) return ASYNC_ECLOSED;
    response->writer = NULL;
    response->body = NULL;
    response->body_size = response->body_at = 0;
    if (whole) return 0;
    if (response->session == NULL) return ASYNC_ECLOSED;
    if (response->finished) return response->error ? response->error : UV_EPIPE;
    if (cancelled && taken > 0) async__http_finish(response, ASYNC_ECLOSED);
    return 0;
}

ASYNC(async_http_write)
{
    int error;
    ASYNC_BEGIN(async_http_write);
    error = async__http_write_begin(self, co);
    if (error) ASYNC_RAISE(error);
    if (self->size == 0) ASYNC_RETURN();
    ASYNC__WAIT_FOR(&self->taken.future);
    (void)async__awaited(co);
    async__drop(co);
    error = async__http_write_over(self, co->error);
    ASYNC__CHECK;
    if (error) ASYNC_RAISE(error);
    ASYNC_END;
}

static int async__http_end_begin(async_http_response *response,
                                 const async *co)
{
    int error;
    if (response->session == NULL) return ASYNC_ECLOSED;
    error = async__http_check(response->session, co);
    if (error) return error;
    if (!response->streamed || response->source != NULL || response->ended)
        return ASYNC_EINVALSTATE;
    if (response->writer != NULL || response->reader != NULL)
        return ASYNC_EBUSY;
    response->ended = 1;
    async__http_feed(response, NULL, 0);
    return 0;
}

ASYNC(async_http_end)
{
    int error;
    ASYNC_BEGIN(async_http_end);
    error = async__http_end_begin(self->response, co);
    if (error) ASYNC_RAISE(error);
    ASYNC__HTTP_AWAIT_HEAD;
    ASYNC_END;
}

#undef ASYNC__HTTP_SET

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
