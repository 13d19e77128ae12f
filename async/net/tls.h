/* tls.h - TLS on OpenSSL: connections and servers, and over any transport
 *
 * Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
 *
 *     static async_tls_context context;
 *     async_tls_client_init(&context);
 *     ...
 *     AWAIT(async_open_tls_connection, &self->connection, &context,
 *           "example.org", 443);
 *
 * and from then on it is a connection as any other: what a reader and a writer
 * can do, async/streams.h says, and async_connection_close() closes it.
 *
 *   CONTEXTS       certificates, whom to trust, ALPN, timeouts
 *   CONNECTIONS    open; start TLS on one that is open
 *   SERVERS        a coroutine for each client
 *   QUESTIONS      who is there, what has been agreed, what has failed
 *   TRANSPORTS     TLS between a protocol and any transport
 *   PRIVATE
 *
 * Link with -lssl -lcrypto.  OpenSSL 1.1.1 or later.
 *
 * What is different from a connection without TLS, as in asyncio: there is no
 * write_eof (ASYNC_EINVAL), for the end of one direction is the end of both;
 * and when the peer ends its own, the connection closes by itself.
 * What is different from asyncio: an end that the peer has not announced, which
 * anybody between the two can make, is an error (ASYNC_ETLSEOF) and no end of
 * the stream, unless the context allows it.
 *
 * All of it belongs to the loop's thread, but contexts, which several loops
 * may share when they are not changed any more.
 */
#ifndef CAESURA_TLS_H
#define CAESURA_TLS_H

#ifdef __has_include
#if !__has_include(<openssl/ssl.h>)
#error "async/net/tls.h needs OpenSSL: libssl-dev, openssl-devel, brew openssl"
#endif
#endif
#include "../uv/streams.h" /* first: it asks for POSIX */

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#if OPENSSL_VERSION_NUMBER < 0x10101000L
#error "async/net/tls.h needs OpenSSL 1.1.1 or later"
#endif

#ifdef __cplusplus
extern "C" {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif

/* ------------------------------------------------------------------------
 * CONTEXTS
 *
 * What many connections have in common.
 *
 * A client's trusts the system's certificate authorities, and verifies its
 * peers and their names.  Both kinds speak TLS 1.2 and later.  Whatever else
 * OpenSSL can, is set on `ssl`, which is OpenSSL's own, before the first
 * connection:
 *
 *     SSL_CTX_load_verify_file(context.ssl, "ca.pem");       (OpenSSL 3)
 *     SSL_CTX_set_min_proto_version(context.ssl, TLS1_3_VERSION);
 *     SSL_CTX_set_verify(context.ssl, SSL_VERIFY_NONE, NULL);
 *
 * OpenSSL's callbacks come while bytes are read: they must not wait.
 * Counterparts: ssl.create_default_context(), ssl.SSLContext.
 * ------------------------------------------------------------------------ */
typedef struct async_tls_context {
    SSL_CTX *ssl;
    async_duration handshake_timeout; /* at first 60 seconds */
    async_duration shutdown_timeout;  /* at first 30 seconds */
    int allow_truncation; /* an end without notice is an end, as in asyncio */
    /* May set each connection's SSL further; less than 0 is its error. */
    int (*prepare)(SSL *ssl, void *argument);
    void *prepare_argument;
    /* This for what opens transports itself, as async/net/redis.h: its `tls` is
     * then &context.layer. */
    async_transport_layer layer;
    /* The rest is private. */
    BIO_METHOD *method;
    unsigned long failure;
    unsigned char server, protocols_size;
    unsigned char protocols[255]; /* as ALPN has them */
} async_tls_context;

/* Begin a context; it must stay until the last of its connections has gone,
 * and then be destroyed.
 * chain, key  files in PEM's form: the certificate, and behind it those that it
 *             was issued by; NULL: the program sets them on context->ssl.  A
 *             key with a passphrase is refused: nobody is asked for it.
 * Returns  0; ASYNC_ENOMEM; -ENOENT ..., or ASYNC_ETLS for what is no
 *          certificate, or not its key: async_tls_context_error() says more.
 *          After an error there is nothing to destroy.
 * Counterparts: ssl.create_default_context(), load_cert_chain(). */
int async_tls_client_init(async_tls_context *context);
int async_tls_server_init(async_tls_context *context, const char *chain,
                          const char *key);
void async_tls_context_destroy(async_tls_context *context);

/* Trusts the certificates in a file, beside those that it trusts already.
 * Returns  0; -ENOENT ...; ASYNC_ETLS
 * Counterpart: load_verify_locations(). */
int async_tls_trust(async_tls_context *context, const char *file);

/* The protocols that it speaks, the best one first, with commas between them:
 * "h2,http/1.1".  A server takes the first of its own that the client has, and
 * goes on without when there is none.
 * Returns  0; ASYNC_EINVAL for an empty name, or more than 255 bytes;
 *          ASYNC_ENOMEM
 * Counterpart: set_alpn_protocols(). */
int async_tls_set_alpn(async_tls_context *context, const char *protocols);

/* Why one of the functions above has failed, in OpenSSL's words. */
void async_tls_context_error(const async_tls_context *context, char *text,
                             size_t size);

/* ------------------------------------------------------------------------
 * CONNECTIONS
 *
 * Errors of both
 *     ASYNC_ETLSVERIFY     the peer's certificate is not trusted, has expired,
 *                          or has another name: async_tls_error() says what
 *     ASYNC_ETLSHANDSHAKE  the two do not agree, or it is no TLS
 *     -ECONNRESET          it has ended meanwhile
 *     -ECONNABORTED        it has taken longer than the handshake_timeout
 *     ASYNC_EINVAL         a client's context without a name to verify
 *     ASYNC_ENOMEM
 * Later the reader and the writer may have ASYNC_ETLS (what came was no TLS, or
 * the peer did not like what it got) and ASYNC_ETLSEOF.  One whose peer does
 * not end it within the shutdown_timeout, once it is closed, dies of
 * ASYNC_ETIMEDOUT.
 * ------------------------------------------------------------------------ */

/* AWAIT(async_open_tls_connection, connection, context, host, port, limit,
 *       name, session): as async_open_connection, and TLS on it.
 * context  a client's
 * name     who it must be, and is told that it is wanted; NULL or left out:
 *          `host`; "": anybody whom the context trusts
 * session  of an earlier connection, to resume; the caller's.  NULL or left
 *          out: none.  The strings and it are used only until this first
 *          suspends
 * Errors   those of async_open_connection, and the above.  After an error there
 *          is nothing to close.
 * Cancel   aborts it; raised when nothing is left of it
 * Counterpart: asyncio.open_connection(ssl=, server_hostname=). */
struct async_open_tls_connection {
    ASYNC_FRAME;
    async_connection *connection;
    async_tls_context *context;
    const char *host;
    int port;
    size_t limit;
    const char *name;
    SSL_SESSION *session;
    struct async__tls_layer *layer;
    int error;
};
ASYNC(async_open_tls_connection);

/* AWAIT(async_open_tls_unix_connection, connection, context, path, name, limit,
 *       session): the same by a Unix socket, or a named pipe of Windows.
 * name     as above, but there is no host: NULL is ASYNC_EINVAL where the
 *          context verifies.  It, the path and the session are used only until
 *          the handshake begins
 * Errors   those of async_open_unix_connection, and the above.  After an error
 *          there is nothing to close.
 * Cancel   aborts it; raised when nothing is left of it
 * Counterpart: asyncio.open_unix_connection(ssl=, server_hostname=). */
struct async_open_tls_unix_connection {
    ASYNC_FRAME;
    async_connection *connection;
    async_tls_context *context;
    const char *path, *name;
    size_t limit;
    SSL_SESSION *session;
    int error;
};
ASYNC(async_open_tls_unix_connection);

/* AWAIT(async_connection_start_tls, connection, context, name, session): goes
 * on with TLS where it stands.  Nobody may wait for the reader.  What has been
 * written goes out before, as it is; what has come and has not been read is
 * taken for the beginning of TLS, so that nobody can slip something in.
 * context  a client's or a server's: that says which end this is
 * name     of a client: who it must be, as above; here NULL is ASYNC_EINVAL
 * Errors   the above; ASYNC_EBUSY when a task waits for the reader, or there is
 *          TLS on it already; ASYNC_ECLOSED.  After those of the above that
 *          come from the handshake the connection has been aborted, and is to
 *          be closed.
 * Cancel   at once; the connection has been aborted
 * Counterpart: StreamWriter.start_tls(). */
struct async_connection_start_tls {
    ASYNC_FRAME;
    async_connection *connection;
    async_tls_context *context;
    const char *name;
    SSL_SESSION *session;
    struct async__tls_layer *layer;
    int error;
};
ASYNC(async_connection_start_tls);

/* ------------------------------------------------------------------------
 * SERVERS
 * ------------------------------------------------------------------------ */

/* AWAIT(async_start_tls_server, server, handler, context, ip, port, options):
 * as async_start_server.  A client's coroutine begins when the handshake is
 * over; one with which it fails is let go of, and nobody is told, as in
 * asyncio.  Meanwhile it counts among max_clients.
 * context  a server's, which stays until async_server_wait_closed
 * Counterpart: asyncio.start_server(ssl=). */
struct async_start_tls_server {
    ASYNC_FRAME;
    async_server *server;
    async_client_handler handler;
    async_tls_context *context;
    const char *ip;
    int port;
    const async_server_options *options;
};
ASYNC(async_start_tls_server);

/* AWAIT(async_start_tls_unix_server, server, handler, context, path, options):
 * as async_start_unix_server, the same.
 * Counterpart: asyncio.start_unix_server(ssl=). */
struct async_start_tls_unix_server {
    ASYNC_FRAME;
    async_server *server;
    async_client_handler handler;
    async_tls_context *context;
    const char *path;
    const async_server_options *options;
};
ASYNC(async_start_tls_unix_server);

/* ------------------------------------------------------------------------
 * QUESTIONS
 *
 * Of a connection without TLS, or that is lost, the answers are empty.
 * ------------------------------------------------------------------------ */

/* OpenSSL's own, or NULL; for whatever it can tell.  It must neither read nor
 * write with it.
 * Counterpart: get_extra_info("ssl_object"). */
SSL *async_connection_ssl(const async_connection *connection);

/* "TLSv1.3"; the cipher's name; the protocol of ALPN; the name that a client
 * has asked for (SNI); whether a session was resumed.
 * Counterparts: version(), cipher(), selected_alpn_protocol(),
 *               session_reused. */
const char *async_tls_version(const async_connection *connection);
const char *async_tls_cipher(const async_connection *connection);
async_bytes async_tls_alpn(const async_connection *connection);
const char *async_tls_name(const async_connection *connection);
int async_tls_is_resumed(const async_connection *connection);

/* The peer's certificate, to be given back with X509_free(), or NULL.
 * Counterpart: getpeercert(). */
X509 *async_tls_certificate(const async_connection *connection);

/* What resumes this session in a later connection, to be given back with
 * SSL_SESSION_free(), or NULL.  In TLS 1.3 it comes behind the handshake: ask
 * when something has been read.
 * Counterpart: SSLSocket.session. */
SSL_SESSION *async_tls_session(const async_connection *connection);

/* What an error of this connection's was, in OpenSSL's words: "certificate
 * verify failed: certificate has expired"; "" when it was no error of TLS's.
 * It is there after the connection has gone, until it is opened again. */
void async_tls_error(const async_connection *connection, char *text,
                     size_t size);

/* ------------------------------------------------------------------------
 * TRANSPORTS
 *
 * What stands between a transport and its protocol: a transport itself, by its
 * `base`.
 * ------------------------------------------------------------------------ */
typedef struct async_tls async_tls;

/* Starts TLS over a transport that has begun.  `protocol` is told of it as of
 * any transport: connection_made when the handshake is over, and when that
 * fails only connection_lost.  From then on the lower transport is not to be
 * used, but through this.
 * tls      a struct of the caller's, which must neither move nor go until
 *          connection_lost
 * name, session  as above; NULL for a server
 * Returns  0; ASYNC_ECLOSED when the transport is closing; ASYNC_EINVAL;
 *          ASYNC_ENOMEM.  After an error the transport is as it was.
 * Counterpart: loop.start_tls(). */
int async_tls_start(async_tls *tls, async_transport *lower,
                    async_protocol *protocol, async_tls_context *context,
                    const char *name, SSL_SESSION *session);

/* ========================================================================
 * PRIVATE
 * ======================================================================== */
struct async_tls {
    async_transport base; /* must be first */
    SSL *ssl;             /* OpenSSL's, until connection_lost */
    unsigned long failure; /* why it failed: OpenSSL's error, and */
    long verified;         /* what is wrong with the certificate */
    /* The rest is private. */
    async_protocol protocol; /* the lower transport's */
    async_transport *lower;
    async_tls_context *context;
    const async_allocator *allocator;
    void (*ready)(async_tls *tls, int error); /* in place of the protocol */
    async_node event;
    async_handle timer;
    char *in, *out, *backlog;
    size_t in_begin, in_end, in_capacity, out_size, out_capacity;
    size_t backlog_begin, backlog_end, backlog_capacity;
    int error;
    unsigned char state, events, queued, told, ended, lower_ended;
    unsigned char lent; /* the lower transport may have put something in */
};

#ifdef __cplusplus
#pragma GCC diagnostic pop
}
#endif

#endif /* CAESURA_TLS_H */

/* ========================================================================
 * IMPLEMENTATION
 *
 * OpenSSL reads and writes memory: what has come from below lies in `in`, and
 * what is to go below is put into `out`, and written at the end of each step.
 * The backlog is what was written before the handshake was over, not enciphered
 * yet.
 *
 * The lower transport tells this one at once.  A step is taken at once too
 * where the upper protocol runs no code of the program's, and else from the
 * ready queue.
 *
 *     HANDSHAKE --> OPEN --> CLOSING --> DYING --> LOST
 *
 * CLOSING has told the peer, and waits for its word.  DYING has closed the
 * lower transport, or aborted it.
 * ======================================================================== */
#if defined(ASYNC_IMPLEMENTATION) && !defined(CAESURA_TLS_IMPLEMENTED)
#define CAESURA_TLS_IMPLEMENTED

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    ASYNC__TLS_HANDSHAKE,
    ASYNC__TLS_OPEN,
    ASYNC__TLS_CLOSING,
    ASYNC__TLS_DYING,
    ASYNC__TLS_LOST
};
enum {
    ASYNC__TLS_STEP = 1,
    ASYNC__TLS_READY = 2,
    ASYNC__TLS_RESUME = 4,
    ASYNC__TLS_NO_MEMORY = 8
};
enum {
    ASYNC__TLS_RECORD = 16384,          /* of plain text, at most */
    ASYNC__TLS_OVERHEAD = 512,          /* beside it, generously */
    ASYNC__TLS_ROOM = 2 * (16384 + 512) /* for what comes */
};

static async_tls *async__tls_of(async_transport *base)
{
    return (async_tls *)(void *)base;
}
static async_tls *async__tls_of_protocol(async_protocol *protocol)
{
    return (async_tls *)(void *)((char *)protocol -
                                 offsetof(async_tls, protocol));
}

/* --- memory -------------------------------------------------------------- */

static void *async__tls_allocate(const async_allocator *allocator, size_t size)
{
    return allocator->allocate(allocator->context, size);
}

static void async__tls_release(const async_allocator *allocator, char **memory,
                               size_t *capacity)
{
    if (*memory != NULL)
        allocator->release(allocator->context, *memory, *capacity);
    *memory = NULL;
    *capacity = 0;
}

/* Room for `size` more bytes behind those from `begin` to `end`, which move to
 * the front. */
static int async__tls_reserve(async_tls *tls, char **memory, size_t *begin,
                              size_t *end, size_t *capacity, size_t size)
{
    size_t held = *end - *begin, larger;
    char *data;
    if (*capacity - *end >= size) return 0;
    if (*capacity - held >= size) {
        memmove(*memory, *memory + *begin, held);
    } else {
        if (size > (size_t)-1 / 4 - held) return ASYNC_ENOMEM;
        larger = held > 0 ? 2 * held + size : size;
        data = (char *)async__tls_allocate(tls->allocator, larger);
        if (data == NULL) return ASYNC_ENOMEM;
        if (held > 0) memcpy(data, *memory + *begin, held);
        async__tls_release(tls->allocator, memory, capacity);
        *memory = data;
        *capacity = larger;
    }
    *begin = 0;
    *end = held;
    return 0;
}
static int async__tls_reserve_out(async_tls *tls, size_t size)
{
    size_t begin = 0;
    return async__tls_reserve(tls, &tls->out, &begin, &tls->out_size,
                              &tls->out_capacity, size);
}

static void async__tls_release_all(async_tls *tls)
{
    async__tls_release(tls->allocator, &tls->in, &tls->in_capacity);
    async__tls_release(tls->allocator, &tls->out, &tls->out_capacity);
    async__tls_release(tls->allocator, &tls->backlog, &tls->backlog_capacity);
    tls->in_begin = tls->in_end = tls->out_size = 0;
    tls->backlog_begin = tls->backlog_end = 0;
    SSL_free(tls->ssl);
    tls->ssl = NULL;
}

/* --- what OpenSSL reads and writes --------------------------------------- */

static int async__tls_bio_read(BIO *bio, char *data, int size)
{
    async_tls *tls = (async_tls *)BIO_get_data(bio);
    size_t held = tls->in_end - tls->in_begin;
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    if (held == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    if (held > (size_t)size) held = (size_t)size;
    memcpy(data, tls->in + tls->in_begin, held);
    tls->in_begin += held;
    return (int)held;
}

static int async__tls_bio_write(BIO *bio, const char *data, int size)
{
    async_tls *tls = (async_tls *)BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (size <= 0) return 0;
    if (async__tls_reserve_out(tls, (size_t)size) != 0) {
        tls->error = ASYNC_ENOMEM;
        return -1;
    }
    memcpy(tls->out + tls->out_size, data, (size_t)size);
    tls->out_size += (size_t)size;
    return size;
}

static long async__tls_bio_control(BIO *bio, int command, long number,
                                   void *pointer)
{
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *async__tls_method(void)
{
    BIO_METHOD *method =
        BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "caesura");
    if (method == NULL) return NULL;
    BIO_meth_set_read(method, async__tls_bio_read);
    BIO_meth_set_write(method, async__tls_bio_write);
    BIO_meth_set_ctrl(method, async__tls_bio_control);
    return method;
}

/* --- errors -------------------------------------------------------------- */

static void async__tls_text(unsigned long failure, long verified, char *text,
                            size_t size)
{
    const char *reason = NULL;
    if (size == 0) return;
    text[0] = '\0';
#ifdef ERR_SYSTEM_ERROR
    if (ERR_SYSTEM_ERROR(failure)) reason = strerror(ERR_GET_REASON(failure));
#endif
    if (reason == NULL) reason = ERR_reason_error_string(failure);
    if (verified != X509_V_OK)
        snprintf(text, size, "certificate verify failed: %s",
                 X509_verify_cert_error_string(verified));
    else if (reason != NULL)
        snprintf(text, size, "%s", reason);
    else if (failure != 0)
        ERR_error_string_n(failure, text, size);
}

/* OpenSSL's first error as one of ours. */
static int async__tls_context_failed(async_tls_context *context)
{
    unsigned long failure = ERR_peek_error();
    int error = ASYNC_ETLS;
    context->failure = failure;
#ifdef ERR_SYSTEM_ERROR
    if (ERR_SYSTEM_ERROR(failure))
        error = uv_translate_sys_error(ERR_GET_REASON(failure));
#else
    if (ERR_GET_LIB(failure) == ERR_LIB_SYS)
        error = uv_translate_sys_error(ERR_GET_REASON(failure));
#endif
    if (ERR_GET_REASON(failure) == ERR_R_MALLOC_FAILURE) error = ASYNC_ENOMEM;
    ERR_clear_error();
    return error;
}

/* --- contexts ------------------------------------------------------------ */

/* A program that waits for somebody at the terminal serves nobody. */
static int async__tls_no_passphrase(char *text, int size, int writing,
                                    void *argument)
{
    (void)text, (void)size, (void)writing, (void)argument;
    return -1;
}

static int async__tls_start_layer(async_transport_layer *layer,
                                  async_transport *upper,
                                  async_transport *lower,
                                  async_protocol *protocol, const char *name);
static void async__tls_forget_layer(async_transport *upper, int loop_gone);
static void async__tls_explain_layer(const async_transport *upper, char *text,
                                     size_t size);

static int async__tls_context_init(async_tls_context *context, int server)
{
    memset(context, 0, sizeof *context);
    context->layer.size = sizeof(async_tls);
    context->layer.start = async__tls_start_layer;
    context->layer.forget = async__tls_forget_layer;
    context->layer.explain = async__tls_explain_layer;
    ERR_clear_error();
    context->server = (unsigned char)server;
    context->handshake_timeout = ASYNC_SECONDS(60);
    context->shutdown_timeout = ASYNC_SECONDS(30);
    context->method = async__tls_method();
    context->ssl = SSL_CTX_new(server ? TLS_server_method()
                                      : TLS_client_method());
    if (context->method == NULL || context->ssl == NULL ||
        !SSL_CTX_set_min_proto_version(context->ssl, TLS1_2_VERSION))
        return async__tls_context_failed(context);
    SSL_CTX_set_options(context->ssl,
                        SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context->ssl,
                     SSL_MODE_ENABLE_PARTIAL_WRITE |
                         SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                         SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_default_passwd_cb(context->ssl, async__tls_no_passphrase);
    return 0;
}

static int async__tls_context_begun(async_tls_context *context, int error)
{
    unsigned long failure = context->failure;
    if (!error) return 0;
    async_tls_context_destroy(context);
    context->failure = failure;
    return error;
}

int async_tls_client_init(async_tls_context *context)
{
    int error = async__tls_context_init(context, 0);
    if (!error) {
        SSL_CTX_set_verify(context->ssl, SSL_VERIFY_PEER, NULL);
        if (!SSL_CTX_set_default_verify_paths(context->ssl))
            error = async__tls_context_failed(context);
    }
    return async__tls_context_begun(context, error);
}

int async_tls_server_init(async_tls_context *context, const char *chain,
                          const char *key)
{
    static const unsigned char name[] = "caesura";
    int error = async__tls_context_init(context, 1);
    if (!error &&
        (!SSL_CTX_set_session_id_context(context->ssl, name, sizeof name) ||
         (chain != NULL &&
          SSL_CTX_use_certificate_chain_file(context->ssl, chain) != 1) ||
         (key != NULL &&
          (SSL_CTX_use_PrivateKey_file(context->ssl, key,
                                       SSL_FILETYPE_PEM) != 1 ||
           SSL_CTX_check_private_key(context->ssl) != 1))))
        error = async__tls_context_failed(context);
    return async__tls_context_begun(context, error);
}

void async_tls_context_destroy(async_tls_context *context)
{
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->method);
    context->ssl = NULL;
    context->method = NULL;
}

int async_tls_trust(async_tls_context *context, const char *file)
{
    ERR_clear_error();
    if (SSL_CTX_load_verify_locations(context->ssl, file, NULL)) return 0;
    return async__tls_context_failed(context);
}

/* A server chooses by its own order. */
static int async__tls_choose(SSL *ssl, const unsigned char **out,
                             unsigned char *size, const unsigned char *theirs,
                             unsigned theirs_size, void *argument)
{
    async_tls_context *context = (async_tls_context *)argument;
    unsigned char *chosen;
    (void)ssl;
    if (SSL_select_next_proto(&chosen, size, context->protocols,
                              context->protocols_size, theirs,
                              theirs_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

int async_tls_set_alpn(async_tls_context *context, const char *protocols)
{
    unsigned char wire[sizeof context->protocols];
    size_t size = 0;
    for (;;) {
        const char *comma = strchr(protocols, ',');
        size_t length = comma != NULL ? (size_t)(comma - protocols)
                                      : strlen(protocols);
        if (length == 0 || length >= sizeof wire - size) return ASYNC_EINVAL;
        wire[size] = (unsigned char)length;
        memcpy(wire + size + 1, protocols, length);
        size += length + 1;
        if (comma == NULL) break;
        protocols = comma + 1;
    }
    memcpy(context->protocols, wire, size);
    context->protocols_size = (unsigned char)size;
    if (context->server)
        SSL_CTX_set_alpn_select_cb(context->ssl, async__tls_choose, context);
    else if (SSL_CTX_set_alpn_protos(context->ssl, wire, (unsigned)size) != 0)
        return ASYNC_ENOMEM;
    return 0;
}

void async_tls_context_error(const async_tls_context *context, char *text,
                             size_t size)
{
    async__tls_text(context->failure, X509_V_OK, text, size);
}

/* --- making one ---------------------------------------------------------- */

/* Who it must be: a name, which is told to the peer, or an address. */
static int async__tls_expect(SSL *ssl, const char *name)
{
    if (name == NULL)
        return SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE ? 0
                                                           : (int)ASYNC_EINVAL;
    if (name[0] == '\0' ||
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
        return 0;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(ssl, name) != 1 ||
        SSL_set_tlsext_host_name(ssl, name) != 1)
        return ASYNC_EINVAL;
    return 0;
}

/* All that can fail before anybody knows of it. */
static int async__tls_make(async_tls *tls, async_loop *loop,
                           async_tls_context *context, const char *name,
                           SSL_SESSION *session)
{
    BIO *bio;
    int error = 0;
    memset(tls, 0, sizeof *tls);
    tls->allocator = loop->allocator;
    tls->context = context;
    ERR_clear_error();
    if (tls->allocator == NULL) return ASYNC_ENOMEM;
    tls->ssl = SSL_new(context->ssl);
    bio = tls->ssl != NULL ? BIO_new(context->method) : NULL;
    if (bio == NULL) {
        error = ASYNC_ENOMEM;
    } else {
        BIO_set_data(bio, tls);
        BIO_set_init(bio, 1);
        SSL_set_bio(tls->ssl, bio, bio);
        if (context->server) {
            SSL_set_accept_state(tls->ssl);
        } else {
            SSL_set_connect_state(tls->ssl);
            error = async__tls_expect(tls->ssl, name);
            if (!error && session != NULL &&
                SSL_set_session(tls->ssl, session) != 1)
                error = ASYNC_EINVAL;
        }
    }
    if (!error && context->prepare != NULL)
        error = context->prepare(tls->ssl, context->prepare_argument);
    ERR_clear_error();
    if (error < 0) {
        SSL_free(tls->ssl);
        tls->ssl = NULL;
        return error;
    }
    return 0;
}

/* --- going down ---------------------------------------------------------- */

static void async__tls_queue_event(async_tls *tls, unsigned event)
{
    tls->events |= (unsigned char)event;
    if (tls->queued) return;
    tls->queued = 1;
    async__ready_callback(tls->base.loop, &tls->event);
    async__kick(tls->base.loop);
}

static int async__tls_flush(async_tls *tls);

/* Ends it with an error.  What OpenSSL has to say of it to the peer goes out as
 * far as it can. */
static void async__tls_fail(async_tls *tls, int error)
{
    if (tls->state >= ASYNC__TLS_DYING) return;
    tls->state = ASYNC__TLS_DYING;
    tls->base.closing = 1;
    tls->error = error;
    (void)async__tls_flush(tls);
    async_transport_abort(tls->lower);
}

/* The same with what OpenSSL has found. */
static void async__tls_fail_by_openssl(async_tls *tls)
{
    int error = ASYNC_ETLS;
    if (tls->error) { /* there was no memory to write to */
        async__tls_fail(tls, tls->error);
        return;
    }
    tls->failure = ERR_peek_error();
    if (tls->state == ASYNC__TLS_HANDSHAKE) {
        error = ASYNC_ETLSHANDSHAKE;
        if (ERR_GET_LIB(tls->failure) == ERR_LIB_SSL &&
            ERR_GET_REASON(tls->failure) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
            error = ASYNC_ETLSVERIFY;
            tls->verified = SSL_get_verify_result(tls->ssl);
        }
    }
    ERR_clear_error();
    async__tls_fail(tls, error);
}

static int async__tls_flush(async_tls *tls)
{
    int error;
    if (tls->out_size == 0) return 0;
    error = async_transport_write(tls->lower, tls->out, tls->out_size);
    async__tls_release(tls->allocator, &tls->out, &tls->out_capacity);
    tls->out_size = 0;
    if (error == ASYNC_ENOMEM) {
        async__tls_fail(tls, error); /* a record is missing */
    } else if (error && tls->state < ASYNC__TLS_DYING) {
        /* The lower transport says itself what it has died of. */
        tls->state = ASYNC__TLS_DYING;
        tls->base.closing = 1;
    }
    return error;
}

/* --- writing ------------------------------------------------------------- */

/* The lower transport has the marks of the upper one, for it tells when it is
 * down to them. */
static size_t async__tls_buffered(const async_transport *base)
{
    const async_tls *tls = (const async_tls *)(const void *)base;
    size_t size = tls->backlog_end - tls->backlog_begin + tls->out_size;
    if (tls->state == ASYNC__TLS_LOST) return 0;
    if (tls->lower->high != base->high || tls->lower->low != base->low)
        (void)async_transport_set_write_buffer_limits(tls->lower, base->high,
                                                      base->low);
    return size + async_transport_get_write_buffer_size(tls->lower);
}

/* Enciphers as much as OpenSSL takes.  Returns how much that was; less than
 * `size` is not all with 0 in *error, or all that there will be. */
static size_t async__tls_encipher(async_tls *tls, const char *data,
                                  size_t size, int *error)
{
    size_t done = 0;
    *error = 0;
    while (done < size) {
        size_t some = size - done;
        int n;
        if (some > 4 * ASYNC__TLS_RECORD) some = 4 * ASYNC__TLS_RECORD;
        if (tls->out_size == 0 || some > ASYNC__TLS_RECORD)
            *error = async__tls_reserve_out(
                tls, some + (some / ASYNC__TLS_RECORD + 1) *
                                ASYNC__TLS_OVERHEAD);
        if (*error) break;
        if (some > ASYNC__TLS_RECORD) some = ASYNC__TLS_RECORD;
        ERR_clear_error();
        n = SSL_write(tls->ssl, data + done, (int)some);
        if (n <= 0) {
            if (SSL_get_error(tls->ssl, n) == SSL_ERROR_WANT_READ) break;
            async__tls_fail_by_openssl(tls);
            *error = tls->error;
            break;
        }
        done += (size_t)n;
        if (tls->out_size >= 4 * ASYNC__TLS_RECORD) {
            *error = async__tls_flush(tls);
            if (*error) break;
        }
    }
    return done;
}

/* Keeps it until it can go out. */
static int async__tls_keep(async_tls *tls, const char *data, size_t size)
{
    int error = async__tls_reserve(tls, &tls->backlog, &tls->backlog_begin,
                                   &tls->backlog_end, &tls->backlog_capacity,
                                   size);
    if (error) return error;
    memcpy(tls->backlog + tls->backlog_end, data, size);
    tls->backlog_end += size;
    return 0;
}

/* Returns whether there is none any more. */
static int async__tls_drain_backlog(async_tls *tls)
{
    int error;
    if (tls->backlog == NULL) return 1;
    tls->backlog_begin += async__tls_encipher(
        tls, tls->backlog + tls->backlog_begin,
        tls->backlog_end - tls->backlog_begin, &error);
    if (!error) error = async__tls_flush(tls);
    if (error) async__tls_fail(tls, error);
    if (tls->backlog_begin < tls->backlog_end) return 0;
    async__tls_release(tls->allocator, &tls->backlog, &tls->backlog_capacity);
    tls->backlog_begin = tls->backlog_end = 0;
    return 1;
}

static int async__tls_write(async_transport *base, const async_bytes *lines,
                            size_t count)
{
    async_tls *tls = async__tls_of(base);
    char gathered[4096];
    async_bytes one;
    size_t total = 0, i, done = 0;
    int error = 0, begun = 0;
    if (tls->state > ASYNC__TLS_OPEN) return ASYNC_ECLOSED;
    for (i = 0; i < count; i++) total += lines[i].size;
    if (count > 1 && total <= sizeof gathered) {
        /* A record for all of them, instead of one for each. */
        size_t at = 0;
        for (i = 0; i < count; i++) {
            if (lines[i].size == 0) continue;
            memcpy(gathered + at, lines[i].data, lines[i].size);
            at += lines[i].size;
        }
        one.data = gathered;
        one.size = total;
        lines = &one;
        count = 1;
    }
    for (i = 0; i < count && !error; i++) {
        if (lines[i].size == 0) continue;
        done = 0;
        if (tls->state == ASYNC__TLS_OPEN && tls->backlog == NULL)
            done = async__tls_encipher(tls, lines[i].data, lines[i].size,
                                       &error);
        if (done > 0) begun = 1;
        if (!error && done < lines[i].size) {
            error = async__tls_keep(tls, lines[i].data + done,
                                    lines[i].size - done);
            if (!error) begun = 1;
        }
    }
    if (error && begun) async__tls_fail(tls, error);
    if (!error) error = async__tls_flush(tls);
    if (error) return error;
    async_transport_buffered(base);
    return 0;
}

/* --- the end ------------------------------------------------------------- */

static int async__tls_on_shutdown_timeout(void *argument)
{
    async_tls *tls = (async_tls *)argument;
    if (tls->state == ASYNC__TLS_LOST) return 0;
    tls->state = ASYNC__TLS_DYING;
    tls->error = ASYNC_ETIMEDOUT;
    async_transport_abort(tls->lower);
    return 0;
}

/* Tells the peer that no more comes, and waits for its own word; what still
 * comes meanwhile is nobody's. */
static void async__tls_shut(async_tls *tls)
{
    char dropped[4096];
    int n;
    if (!async__tls_drain_backlog(tls) && !tls->lower_ended) return;
    if (tls->state != ASYNC__TLS_CLOSING) return;
    ERR_clear_error();
    if (!(SSL_get_shutdown(tls->ssl) & SSL_SENT_SHUTDOWN)) {
        (void)SSL_shutdown(tls->ssl);
        if (tls->error) async__tls_fail(tls, tls->error); /* no memory */
        if (async__tls_flush(tls) != 0) return;
        if (tls->state != ASYNC__TLS_CLOSING) return;
    }
    do n = SSL_read(tls->ssl, dropped, sizeof dropped);
    while (n > 0);
    n = SSL_get_error(tls->ssl, n);
    ERR_clear_error();
    if (n == SSL_ERROR_WANT_READ && !tls->lower_ended) return;
    /* The timer goes on: the peer may not take what is left to write. */
    tls->state = ASYNC__TLS_DYING;
    async_transport_close(tls->lower);
}

static void async__tls_begin_close(async_tls *tls)
{
    tls->state = ASYNC__TLS_CLOSING;
    tls->base.closing = 1;
    async_handle_cancel(&tls->timer);
    (void)async_loop_call_later(tls->base.loop, &tls->timer,
                                tls->context->shutdown_timeout,
                                async__tls_on_shutdown_timeout, tls);
    async__tls_shut(tls);
    if (tls->state == ASYNC__TLS_CLOSING)
        async_transport_resume_reading(tls->lower);
}

static void async__tls_close(async_transport *base, int now)
{
    async_tls *tls = async__tls_of(base);
    if (tls->state == ASYNC__TLS_LOST) return;
    if (now || tls->state == ASYNC__TLS_HANDSHAKE) {
        tls->state = ASYNC__TLS_DYING;
        async_transport_abort(tls->lower);
    } else if (tls->state == ASYNC__TLS_OPEN) {
        async__tls_begin_close(tls);
    }
}

/* --- going up ------------------------------------------------------------ */

/* What a callback of the protocol's came to. */
static void async__tls_called(async_tls *tls, int error, const char *message)
{
    if (error >= 0) return;
    async__report(tls->base.loop, message, error, NULL, NULL);
    if (tls->state < ASYNC__TLS_DYING) async__tls_fail(tls, error);
}

static void async__tls_shake_hands(async_tls *tls)
{
    int result, error;
    ERR_clear_error();
    result = SSL_do_handshake(tls->ssl);
    if (result != 1) {
        error = SSL_get_error(tls->ssl, result);
        if (error != SSL_ERROR_WANT_READ)
            async__tls_fail_by_openssl(tls);
        else if (async__tls_flush(tls) == 0 && tls->lower_ended)
            async__tls_fail(tls, UV_ECONNRESET);
        return;
    }
    tls->state = ASYNC__TLS_OPEN;
    async_handle_cancel(&tls->timer);
    if (async__tls_flush(tls) != 0) return;
    if (tls->ready != NULL) {
        async__tls_queue_event(tls, ASYNC__TLS_READY);
    } else {
        async_protocol *protocol = tls->base.protocol;
        tls->told = 1;
        if (protocol->callbacks->connection_made != NULL)
            async__tls_called(
                tls,
                protocol->callbacks->connection_made(protocol, &tls->base),
                "Fatal error: protocol.connection_made() call failed.");
    }
    if (tls->state == ASYNC__TLS_OPEN && tls->backlog != NULL) {
        (void)async__tls_drain_backlog(tls);
        async_transport_buffered(&tls->base);
    }
}

/* The peer has said that no more comes. */
static void async__tls_end(async_tls *tls)
{
    async_protocol *protocol = tls->base.protocol;
    tls->ended = 1;
    if (protocol->callbacks->eof_received != NULL)
        async__tls_called(
            tls, protocol->callbacks->eof_received(protocol),
            "Fatal error: protocol.eof_received() call failed.");
    if (tls->state == ASYNC__TLS_OPEN) async__tls_begin_close(tls);
}

/* What a read of OpenSSL's came to that gave nothing. */
static void async__tls_read_nothing(async_tls *tls, int result)
{
    switch (SSL_get_error(tls->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        if (!tls->lower_ended) break;
        if (tls->context->allow_truncation)
            async__tls_end(tls);
        else
            async__tls_fail(tls, ASYNC_ETLSEOF);
        break;
    case SSL_ERROR_ZERO_RETURN:
        async__tls_end(tls);
        break;
    default:
        async__tls_fail_by_openssl(tls);
    }
}

/* Gives the protocol what has come, for as long as it wants. */
static void async__tls_pump(async_tls *tls)
{
    char *chunk = NULL;
    size_t chunk_size = ASYNC__TLS_RECORD;
    while (tls->state == ASYNC__TLS_OPEN && !tls->base.reading_paused) {
        async_protocol *protocol = tls->base.protocol;
        const async_protocol_callbacks *callbacks = protocol->callbacks;
        void *data;
        size_t size = 0;
        char first;
        int n = 0, error = 0;
        ERR_clear_error();
        /* Without anything to read nobody is asked for room. */
        if (SSL_pending(tls->ssl) == 0) n = SSL_peek(tls->ssl, &first, 1);
        if (SSL_pending(tls->ssl) == 0) {
            async__tls_read_nothing(tls, n);
            break;
        }
        if (callbacks->get_buffer != NULL) {
            data = callbacks->get_buffer(protocol, &size);
            if (data != NULL && size == 0 && protocol->at_once) {
                /* A reader that says: when who has been woken has run. */
                async__tls_queue_event(tls, ASYNC__TLS_STEP);
                break;
            }
            if (data == NULL || size == 0) {
                tls->base.reading_paused = 1;
                break;
            }
        } else {
            if (chunk == NULL)
                chunk = (char *)async__tls_allocate(tls->allocator,
                                                    chunk_size);
            if (chunk == NULL) {
                async__tls_fail(tls, ASYNC_ENOMEM);
                break;
            }
            data = chunk;
            size = chunk_size;
        }
        if (size > ASYNC__TLS_RECORD) size = ASYNC__TLS_RECORD;
        n = SSL_read(tls->ssl, data, (int)size);
        if (n <= 0) {
            async__tls_read_nothing(tls, n);
            break;
        }
        if (callbacks->buffer_updated != NULL)
            error = callbacks->buffer_updated(protocol, (size_t)n);
        else if (callbacks->data_received != NULL)
            error = callbacks->data_received(protocol, data, (size_t)n);
        async__tls_called(
            tls, error,
            callbacks->buffer_updated != NULL
                ? "Fatal error: protocol.buffer_updated() call failed."
                : "Fatal error: protocol.data_received() call failed.");
    }
    if (chunk != NULL)
        async__tls_release(tls->allocator, &chunk, &chunk_size);
    /* OpenSSL may have had something to say by itself. */
    if (tls->state == ASYNC__TLS_OPEN && async__tls_flush(tls) == 0 &&
        tls->backlog != NULL && async__tls_drain_backlog(tls))
        async_transport_buffered(&tls->base);
}

static void async__tls_step(async_tls *tls)
{
    if (tls->state == ASYNC__TLS_HANDSHAKE) async__tls_shake_hands(tls);
    if (tls->state == ASYNC__TLS_OPEN) async__tls_pump(tls);
    if (tls->state == ASYNC__TLS_CLOSING) async__tls_shut(tls);
    if (tls->in_begin == tls->in_end && !tls->lent) {
        async__tls_release(tls->allocator, &tls->in, &tls->in_capacity);
        tls->in_begin = tls->in_end = 0;
    }
    if (tls->state == ASYNC__TLS_OPEN ? !tls->base.reading_paused
                                      : tls->state < ASYNC__TLS_DYING)
        async_transport_resume_reading(tls->lower);
}

/* From the ready queue. */
static void async__tls_run(async_node *node)
{
    async_tls *tls =
        (async_tls *)(void *)((char *)node - offsetof(async_tls, event));
    unsigned events = tls->events;
    tls->events = 0;
    tls->queued = 0;
    if (events & ASYNC__TLS_NO_MEMORY) async__tls_fail(tls, ASYNC_ENOMEM);
    if (events & ASYNC__TLS_READY && !tls->error) {
        tls->told = 1;
        tls->ready(tls, 0);
    }
    if (events & ASYNC__TLS_RESUME) async_transport_buffered(&tls->base);
    if (events & ASYNC__TLS_STEP) async__tls_step(tls);
}

static void async__tls_read(async_transport *base, int on)
{
    if (on) async__tls_queue_event(async__tls_of(base), ASYNC__TLS_STEP);
}

/* --- what the lower transport tells -------------------------------------- */

/* Room for what comes, unless the upper protocol has paused: then it stays with
 * the system. */
static void *async__tls_get_buffer(async_protocol *protocol, size_t *size)
{
    async_tls *tls = async__tls_of_protocol(protocol);
    *size = 0;
    if (tls->state >= ASYNC__TLS_DYING ||
        (tls->state == ASYNC__TLS_OPEN && tls->base.reading_paused))
        return NULL;
    if (tls->in == NULL &&
        async__tls_reserve(tls, &tls->in, &tls->in_begin, &tls->in_end,
                           &tls->in_capacity, ASYNC__TLS_ROOM) != 0) {
        async__tls_queue_event(tls, ASYNC__TLS_NO_MEMORY);
        return NULL;
    }
    *size = tls->in_capacity - tls->in_end;
    if (*size == 0) return NULL;
    tls->lent = 1;
    return tls->in + tls->in_end;
}

static int async__tls_buffer_updated(async_protocol *protocol, size_t size)
{
    async_tls *tls = async__tls_of_protocol(protocol);
    tls->in_end += size;
    tls->lent = 0;
    if (tls->base.protocol->at_once)
        async__tls_step(tls);
    else
        async__tls_queue_event(tls, ASYNC__TLS_STEP);
    return 0;
}

static int async__tls_eof_received(async_protocol *protocol)
{
    async_tls *tls = async__tls_of_protocol(protocol);
    tls->lower_ended = 1;
    async__tls_step(tls);
    return 1;
}

static void async__tls_resume_writing(async_protocol *protocol)
{
    async_tls *tls = async__tls_of_protocol(protocol);
    if (!tls->base.writing_paused) return;
    if (tls->base.protocol->at_once)
        async_transport_buffered(&tls->base);
    else
        async__tls_queue_event(tls, ASYNC__TLS_RESUME);
}

/* Nothing of it is known to the loop any more. */
static void async__tls_forget(async_tls *tls)
{
    tls->state = ASYNC__TLS_LOST;
    tls->base.closing = 1;
    async_handle_cancel(&tls->timer);
    if (tls->queued) async__unready(tls->base.loop, &tls->event);
    tls->queued = 0;
    async__tls_release_all(tls);
}

static void async__tls_connection_lost(async_protocol *protocol, int error)
{
    async_tls *tls = async__tls_of_protocol(protocol);
    if (tls->error) error = tls->error;
    /* The peer has gone as it had said; that its last answer did not get there
     * is no error. */
    else if (tls->ended) error = 0;
    if (!tls->told && !error) error = UV_ECONNRESET;
    async__tls_forget(tls);
    if (!tls->told && tls->ready != NULL) tls->ready(tls, error);
    protocol = tls->base.protocol;
    if (protocol->callbacks->connection_lost != NULL)
        protocol->callbacks->connection_lost(protocol, error);
}

static int async__tls_on_handshake_timeout(void *argument)
{
    async_tls *tls = (async_tls *)argument;
    if (tls->state == ASYNC__TLS_HANDSHAKE)
        async__tls_fail(tls, UV_ECONNABORTED);
    return 0;
}

/* Puts one that has been made between the two. */
static void async__tls_insert(async_tls *tls, async_transport *lower,
                              async_protocol *protocol)
{
    static const async_transport_functions functions = {
        async__tls_write, NULL, async__tls_close, async__tls_read,
        async__tls_buffered
    };
    static const async_protocol_callbacks callbacks = {
        NULL, NULL, async__tls_eof_received, async__tls_connection_lost,
        NULL, async__tls_resume_writing,
        async__tls_get_buffer, async__tls_buffer_updated
    };
    async_transport_init(&tls->base, &functions, lower->loop, protocol);
    tls->base.high = lower->high;
    tls->base.low = lower->low;
    tls->base.writing_paused = lower->writing_paused;
    tls->lower = lower;
    tls->protocol.callbacks = &callbacks;
    tls->protocol.at_once = 1;
    tls->event.run = async__tls_run;
    lower->protocol = &tls->protocol;
    (void)async_loop_call_later(lower->loop, &tls->timer,
                                tls->context->handshake_timeout,
                                async__tls_on_handshake_timeout, tls);
    async__tls_queue_event(tls, ASYNC__TLS_STEP);
}

int async_tls_start(async_tls *tls, async_transport *lower,
                    async_protocol *protocol, async_tls_context *context,
                    const char *name, SSL_SESSION *session)
{
    int error;
    if (lower->closing || lower->at_eof) return ASYNC_ECLOSED;
    error = async__tls_make(tls, lower->loop, context, name, session);
    if (!error) async__tls_insert(tls, lower, protocol);
    return error;
}

/* --- the same for who does not know what it is --------------------------- */

static int async__tls_start_layer(async_transport_layer *layer,
                                  async_transport *upper,
                                  async_transport *lower,
                                  async_protocol *protocol, const char *name)
{
    async_tls_context *context =
        (async_tls_context *)(void *)((char *)layer -
                                      offsetof(async_tls_context, layer));
    return async_tls_start(async__tls_of(upper), lower, protocol, context,
                           name, NULL);
}

static void async__tls_forget_layer(async_transport *upper, int loop_gone)
{
    if (loop_gone)
        async__tls_release_all(async__tls_of(upper));
    else
        async__tls_forget(async__tls_of(upper));
}

static void async__tls_explain_layer(const async_transport *upper, char *text,
                                     size_t size)
{
    const async_tls *tls = (const async_tls *)(const void *)upper;
    async__tls_text(tls->failure, tls->verified, text, size);
}

/* --- connections --------------------------------------------------------- */

typedef struct async__tls_layer {
    struct async__layer layer; /* must be first */
    async_tls tls;
    async_connection *connection;
    async_operation *waiter; /* for the handshake */
    const async_allocator *allocator;
} async__tls_layer;

static async__tls_layer *async__tls_layer_of(async_tls *tls)
{
    return (async__tls_layer *)(void *)((char *)tls -
                                        offsetof(async__tls_layer, tls));
}

static void async__tls_layer_release(async__tls_layer *layer)
{
    const async_allocator *allocator = layer->allocator;
    SSL_free(layer->tls.ssl);
    allocator->release(allocator->context, layer, sizeof *layer);
}

static void async__tls_drop(async_connection *connection)
{
    async__tls_layer *layer =
        (async__tls_layer *)(void *)connection->layer;
    connection->layer = NULL;
    /* What is lost can still be asked. */
    connection->writer.transport = &connection->transport.base;
    connection->failure = layer->tls.failure;
    connection->verified = layer->tls.verified;
    async__tls_layer_release(layer);
}

/* Instead of the protocol.  When the loop closes, nobody is told, but what
 * belongs to the loop or to OpenSSL is given back. */
static void async__tls_lower_lost(async_uv_transport *transport, int loop_is)
{
    async_protocol *protocol = transport->base.protocol;
    async_tls *tls = async__tls_of_protocol(protocol);
    if (loop_is == ASYNC__LOOP_OPEN)
        protocol->callbacks->connection_lost(protocol, transport->error);
    else
        async__tls_forget_layer(&tls->base, loop_is == ASYNC__LOOP_GONE);
    async__tls_drop(async__tls_layer_of(tls)->connection);
}

static async__tls_layer *
async__tls_layer_make(async *co, async_connection *connection,
                      async_tls_context *context, const char *name,
                      SSL_SESSION *session, int *error)
{
    const async_allocator *allocator;
    async__tls_layer *layer = NULL;
    *error = async__uv_check(co);
    if (*error) return NULL;
    connection->failure = 0;
    connection->verified = X509_V_OK;
    allocator = async_loop_of(co)->allocator;
    if (allocator != NULL)
        layer = (async__tls_layer *)async__tls_allocate(allocator,
                                                        sizeof *layer);
    if (layer == NULL) {
        *error = ASYNC_ENOMEM;
        return NULL;
    }
    layer->layer.drop = async__tls_drop;
    layer->connection = connection;
    layer->waiter = NULL;
    layer->allocator = allocator;
    *error = async__tls_make(&layer->tls, async_loop_of(co), context, name,
                             session);
    if (*error) {
        async__tls_layer_release(layer);
        return NULL;
    }
    return layer;
}

static void async__tls_wake(async_tls *tls, int error)
{
    async__tls_layer *layer = async__tls_layer_of(tls);
    async_operation *waiter = layer->waiter;
    layer->connection->failure = tls->failure;
    layer->connection->verified = tls->verified;
    layer->waiter = NULL;
    if (waiter != NULL && !async_future_done(&waiter->future))
        async__finish(&waiter->future, ASYNC__FINISHED, error);
}

/* What the reader has and nobody has read, came behind what was agreed: it is
 * the beginning of the handshake. */
static int async__tls_take_unread(async_tls *tls, async_stream_reader *reader)
{
    size_t size = reader->end - reader->begin;
    int error;
    if (size > 0) {
        error = async__tls_reserve(tls, &tls->in, &tls->in_begin,
                                   &tls->in_end, &tls->in_capacity,
                                   size > ASYNC__TLS_ROOM
                                       ? size
                                       : (size_t)ASYNC__TLS_ROOM);
        if (error) return error;
        memcpy(tls->in, reader->buffer + reader->begin, size);
        tls->in_end = size;
        reader->end = reader->begin;
    }
    tls->lower_ended = reader->eof;
    reader->eof = 0;
    return 0;
}

static int async__tls_attach(async__tls_layer *layer,
                             void (*ready)(async_tls *tls, int error))
{
    async_connection *connection = layer->connection;
    async_transport *lower = &connection->transport.base;
    int error = async__tls_take_unread(&layer->tls, &connection->reader);
    if (error) return error;
    connection->layer = &layer->layer;
    if (connection->transport.lost == NULL)
        connection->transport.lost = async__tls_lower_lost;
    layer->tls.ready = ready;
    connection->reader.transport = &layer->tls.base;
    connection->reader.paused = 0;
    connection->writer.transport = &layer->tls.base;
    async__tls_insert(&layer->tls, lower, &connection->writer.protocol);
    return 0;
}

#ifdef __cplusplus
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* a struct and its function */
#endif
struct async__tls_wait {
    ASYNC_FRAME;
    async_connection *connection;
    async_operation done;
    int error;
};
static ASYNC(async__tls_wait);
#ifdef __cplusplus
#pragma GCC diagnostic pop
#endif

static void async__tls_wait_begin(struct async__tls_wait *self)
{
    async__tls_layer *layer =
        (async__tls_layer *)(void *)self->connection->layer;
    async_operation_init(&self->done, layer->tls.base.loop,
                         async_operation_cancelled);
    layer->waiter = &self->done;
}

/* Aborts it after an error, whatever that was. */
static void async__tls_wait_over(struct async__tls_wait *self)
{
    async_connection *connection = self->connection;
    async__tls_layer *layer = (async__tls_layer *)(void *)connection->layer;
    if (layer != NULL && layer->waiter == &self->done) layer->waiter = NULL;
    if (self->error && layer != NULL && !connection->writer.lost)
        async_transport_abort(&layer->tls.base);
}

static ASYNC(async__tls_wait)
{
    ASYNC_BEGIN(async__tls_wait);
    async__tls_wait_begin(self);
    ASYNC_TRY {
        ASYNC__AWAIT_REQUEST(&self->done);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    async__tls_wait_over(self);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_END;
}

ASYNC(async_open_tls_connection)
{
    ASYNC_BEGIN(async_open_tls_connection);
    self->layer = async__tls_layer_make(
        co, self->connection, self->context,
        self->name != NULL ? self->name : self->host, self->session,
        &self->error);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_TRY {
        ASYNC_AWAIT(async_open_connection, self->connection, self->host,
                    self->port, self->limit);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    if (self->error) {
        async__tls_layer_release(self->layer);
        ASYNC_RAISE(self->error);
    }
    (void)async__tls_attach(self->layer, async__tls_wake);
    ASYNC_TRY {
        ASYNC_AWAIT(async__tls_wait, self->connection);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    if (self->error) {
        ASYNC_AWAIT(async_connection_close, self->connection);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

static int async__connection_start_tls_begin(
    struct async_connection_start_tls *self, async *co)
{
    async_connection *connection = self->connection;
    int error;
    if (connection->writer.transport == NULL ||
        async_stream_writer_is_closing(&connection->writer) ||
        connection->transport.base.at_eof)
        return ASYNC_ECLOSED;
    if (connection->layer != NULL || connection->reader.waiter != NULL)
        return ASYNC_EBUSY;
    self->layer = async__tls_layer_make(co, connection, self->context,
                                        self->name, self->session, &error);
    if (error) return error;
    error = async__tls_attach(self->layer, async__tls_wake);
    if (error) async__tls_layer_release(self->layer);
    return error;
}

ASYNC(async_connection_start_tls)
{
    ASYNC_BEGIN(async_connection_start_tls);
    self->error = async__connection_start_tls_begin(self, co);
    if (self->error) ASYNC_RAISE(self->error);
    ASYNC_AWAIT(async__tls_wait, self->connection);
    ASYNC_END;
}

ASYNC(async_open_tls_unix_connection)
{
    ASYNC_BEGIN(async_open_tls_unix_connection);
    ASYNC_AWAIT(async_open_unix_connection, self->connection, self->path,
                self->limit);
    ASYNC_TRY {
        ASYNC_AWAIT(async_connection_start_tls, self->connection,
                    self->context, self->name, self->session);
    } ASYNC_EXCEPT_ALL(self->error) {}
    ASYNC_END_TRY
    if (self->error) {
        ASYNC_AWAIT(async_connection_close, self->connection);
        ASYNC_RAISE(self->error);
    }
    ASYNC_END;
}

/* --- servers ------------------------------------------------------------- */

static void async__tls_client_ready(async_tls *tls, int error)
{
    if (!error) async__server_serve(async__tls_layer_of(tls)->connection);
}

static void async__tls_client_prepare(async_connection *client, void *argument)
{
    async_tls_context *context = (async_tls_context *)argument;
    async_loop *loop = client->transport.base.loop;
    const async_allocator *allocator = loop->allocator;
    async__tls_layer *layer =
        (async__tls_layer *)async__tls_allocate(allocator, sizeof *layer);
    int error = ASYNC_ENOMEM;
    if (layer != NULL) {
        layer->layer.drop = async__tls_drop;
        layer->connection = client;
        layer->waiter = NULL;
        layer->allocator = allocator;
        error = async__tls_make(&layer->tls, loop, context, NULL, NULL);
        if (error)
            async__tls_layer_release(layer);
        else /* nothing can have come yet */
            (void)async__tls_attach(layer, async__tls_client_ready);
    }
    if (error) {
        async_exception_context report;
        memset(&report, 0, sizeof report);
        report.message = "TLS cannot be started for a client";
        report.error = error;
        async_loop_call_exception_handler(loop, &report);
        async_transport_abort(&client->transport.base);
    }
}

ASYNC(async_start_tls_server)
{
    ASYNC_BEGIN(async_start_tls_server);
    if (!self->context->server) ASYNC_RAISE(ASYNC_EINVAL);
    ASYNC_AWAIT(async_start_server, self->server, self->handler, self->ip,
                self->port, self->options, async__tls_client_prepare,
                self->context);
    ASYNC_END;
}

ASYNC(async_start_tls_unix_server)
{
    ASYNC_BEGIN(async_start_tls_unix_server);
    if (!self->context->server) ASYNC_RAISE(ASYNC_EINVAL);
    ASYNC_AWAIT(async_start_unix_server, self->server, self->handler,
                self->path, self->options, async__tls_client_prepare,
                self->context);
    ASYNC_END;
}

/* --- questions ----------------------------------------------------------- */

SSL *async_connection_ssl(const async_connection *connection)
{
    const async__tls_layer *layer =
        (const async__tls_layer *)(const void *)connection->layer;
    return layer != NULL ? layer->tls.ssl : NULL;
}

const char *async_tls_version(const async_connection *connection)
{
    const SSL *ssl = async_connection_ssl(connection);
    return ssl != NULL ? SSL_get_version(ssl) : "";
}

const char *async_tls_cipher(const async_connection *connection)
{
    const SSL *ssl = async_connection_ssl(connection);
    return ssl != NULL ? SSL_get_cipher_name(ssl) : "";
}

async_bytes async_tls_alpn(const async_connection *connection)
{
    const SSL *ssl = async_connection_ssl(connection);
    const unsigned char *name = NULL;
    unsigned size = 0;
    async_bytes protocol;
    if (ssl != NULL) SSL_get0_alpn_selected(ssl, &name, &size);
    protocol.data = name != NULL ? (const char *)name : "";
    protocol.size = size;
    return protocol;
}

const char *async_tls_name(const async_connection *connection)
{
    const SSL *ssl = async_connection_ssl(connection);
    const char *name =
        ssl != NULL ? SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name) : NULL;
    return name != NULL ? name : "";
}

int async_tls_is_resumed(const async_connection *connection)
{
    SSL *ssl = async_connection_ssl(connection);
    return ssl != NULL && SSL_session_reused(ssl);
}

X509 *async_tls_certificate(const async_connection *connection)
{
    const SSL *ssl = async_connection_ssl(connection);
    return ssl != NULL ? SSL_get_peer_certificate(ssl) : NULL;
}

SSL_SESSION *async_tls_session(const async_connection *connection)
{
    SSL *ssl = async_connection_ssl(connection);
    return ssl != NULL ? SSL_get1_session(ssl) : NULL;
}

void async_tls_error(const async_connection *connection, char *text,
                     size_t size)
{
    const async__tls_layer *layer =
        (const async__tls_layer *)(const void *)connection->layer;
    if (layer != NULL)
        async__tls_text(layer->tls.failure, layer->tls.verified, text, size);
    else
        async__tls_text(connection->failure, connection->verified, text, size);
}

#ifdef __cplusplus
}
#endif

#endif /* ASYNC_IMPLEMENTATION */
