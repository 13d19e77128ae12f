/* TLS over a transport in memory, with OpenSSL at the other end, and the fuzzer
 * between the two: the input's first three bytes say who they are, the others
 * what happens, step by step: what is written, what is delivered, and what of it
 * is changed, left out, put in, or comes twice.
 *
 * Whatever the fuzzer does: what is read is what the other has written, from its
 * beginning and in order; an end is one only when the other has said so; whom
 * the client does not trust gets nothing and gives nothing; and no memory is
 * left. */
#define _POSIX_C_SOURCE 200809L
#define ASYNC_IMPLEMENTATION
#include "../../async/net/tls.h"
#include "../../async/test/virtual.h"

#include "memory_transport.h"
#include "target.h"

#define assert_non_null(pointer) CHECK((pointer) != NULL)
#define assert_true(truth) CHECK(truth)
#define assert_int_equal(one, other) CHECK((one) == (other))
#include "../unit/certificates.h"

#include <openssl/rand.h>

/* What OpenSSL takes for random, the same for the same input. */
static uint32_t random_state;
static int give_random(unsigned char *data, int size)
{
    while (size-- > 0) {
        random_state = random_state * 1103515245 + 12345;
        *data++ = (unsigned char)(random_state >> 16);
    }
    return 1;
}
static int random_status(void)
{
    return 1;
}

/* --- what both write: each byte says where it stands ------------------------ */

static uint8_t byte_at(size_t position)
{
    return (uint8_t)(position ^ position >> 8 ^ position >> 16);
}
static void fill(char *data, size_t from, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++) data[i] = (char)byte_at(from + i);
}
static void check(const char *data, size_t from, size_t size)
{
    size_t i;
    for (i = 0; i < size; i++) CHECK((uint8_t)data[i] == byte_at(from + i));
}

/* --- the other end ---------------------------------------------------------- */

static SSL *other;
static BIO *to_other, *from_other; /* what it reads, what it has written */
static size_t other_wrote, other_read;
static int other_ended; /* has said that no more comes */

static void take(const void *data, size_t size)
{
    CHECK(BIO_write(to_other, data, (int)size) == (int)size);
}
static void other_goes_on(void)
{
    char data[4096];
    int n;
    if (!SSL_is_init_finished(other)) (void)SSL_do_handshake(other);
    while ((n = SSL_read(other, data, sizeof data)) > 0) {
        check(data, other_read, (size_t)n);
        other_read += (size_t)n;
    }
    ERR_clear_error();
}
static void other_writes(size_t size)
{
    char data[20000];
    int n;
    if (other_ended || !SSL_is_init_finished(other)) return;
    if (size > sizeof data) size = sizeof data;
    fill(data, other_wrote, size);
    n = SSL_write(other, data, (int)size);
    if (n > 0) other_wrote += (size_t)n;
    ERR_clear_error();
}
static void other_ends(void)
{
    if (other_ended || !SSL_is_init_finished(other)) return;
    if (SSL_shutdown(other) >= 0) other_ended = 1;
    ERR_clear_error();
}

/* --- ours ------------------------------------------------------------------- */

/* A server's, and clients': one that trusts, one that wants another name, one
 * that trusts nobody. */
static async_tls_context contexts[4];
enum { SERVER, CLIENT, WRONG_NAME, UNTRUSTED };
static SSL_CTX *peers[2]; /* a client's, a server's */

static memory_transport transport;
static async_tls tls;
static async_stream_reader reader;
static async_stream_writer writer;
static size_t wrote, seen;
static int closed;    /* by ours */
static int disturbed; /* something did not arrive as it was */

static int is_expected(int error)
{
    return error == ASYNC_ETLS || error == ASYNC_ETLSEOF ||
           error == ASYNC_ETLSHANDSHAKE || error == ASYNC_ETLSVERIFY ||
           error == UV_ECONNRESET || error == UV_ECONNABORTED ||
           error == ASYNC_ETIMEDOUT;
}

struct consume { ASYNC_FRAME; async_bytes bytes; int error; };
static ASYNC(consume)
{
    ASYNC_BEGIN(consume);
    while (!async_stream_reader_at_eof(&reader)) {
        AWAIT_CATCH_INTO(self->error, self->bytes, async_stream_reader_read,
                         &reader, 1 + seen % 5000);
        if (self->error) {
            CHECK(is_expected(self->error));
            break;
        }
        check(self->bytes.data, seen, self->bytes.size);
        seen += self->bytes.size;
        CHECK(seen <= other_wrote);
    }
    if (!self->error && !closed) CHECK(other_ended && seen == other_wrote);
    ASYNC_END;
}

static void write_some(size_t size)
{
    char data[40000];
    int error;
    if (size > sizeof data) size = sizeof data;
    fill(data, wrote, size);
    error = async_stream_writer_write(&writer, data, size);
    if (!error) wrote += size;
}

/* Gives ours what the other has written, at most `size` and what it takes; with
 * `changed` one byte is another. */
static void deliver(size_t size, unsigned changed)
{
    char data[4096], *held;
    size_t pending = (size_t)BIO_get_mem_data(from_other, &held), took;
    if (size > sizeof data) size = sizeof data;
    if (size > pending) size = pending;
    if (size == 0) return;
    memcpy(data, held, size);
    if (changed) {
        disturbed = 1;
        data[next_byte() % size] ^= (char)changed;
    }
    took = memory_feed(&transport, data, size);
    CHECK(took == 0 || BIO_read(from_other, data, (int)took) == (int)took);
}
static void put_in(size_t size)
{
    char data[64];
    size_t i;
    if (size > 0) disturbed = 1;
    for (i = 0; i < size; i++) data[i] = (char)next_byte();
    (void)memory_feed(&transport, data, size);
}
static void leave_out(size_t size)
{
    char data[256];
    if (BIO_read(from_other, data, (int)(size % sizeof data)) > 0)
        disturbed = 1;
}
/* What a record looks like that OpenSSL then has to decipher. */
static void put_in_record(unsigned kind)
{
    unsigned char head[5] = { 0, 3, 3, 0, 0 };
    head[0] = (unsigned char)(20 + kind % 5);
    head[3] = (unsigned char)(next_byte() % 66);
    head[4] = (unsigned char)next_byte();
    disturbed = 1;
    (void)memory_feed(&transport, head, sizeof head);
}

static void step(unsigned what)
{
    unsigned more = what >> 4;
    switch (what & 15) {
    case 0: other_goes_on(); break;
    case 1: deliver(4096, 0); break;
    case 2: deliver(1 + next_byte(), 0); break;
    case 3: deliver(1 + next_byte(), 1 + more); break;
    case 4: other_writes(1 + next_byte()); break;
    case 5: other_writes(1 + 80u * next_byte()); break;
    case 6: write_some(1 + next_byte()); break;
    case 7: write_some(1 + 160u * next_byte()); break;
    case 8: put_in(more); break;
    case 9: leave_out(1 + next_byte()); break;
    case 10: other_ends(); break;
    case 11:
        if (SSL_version(other) == TLS1_3_VERSION)
            (void)SSL_key_update(other, (int)more & 1);
        else
            disturbed = SSL_renegotiate(other); /* it is refused */
        ERR_clear_error();
        break;
    case 12: put_in_record(more); break;
    case 13:
        transport.stalled = !transport.stalled;
        if (!transport.stalled) async_transport_buffered(&transport.base);
        break;
    case 14:
        if (more != 0) break;
        disturbed = 1;
        memory_end(&transport);
        break;
    case 15:
        if (more == 0) {
            closed = 1;
            async_stream_writer_close(&writer);
        } else if (more == 1) {
            closed = 1;
            async_transport_abort(&tls.base);
        }
        break;
    }
}

/* Until neither has anything more to say. */
struct rest { ASYNC_FRAME; int quiet; };
static ASYNC(rest)
{
    ASYNC_BEGIN(rest);
    for (self->quiet = 0; self->quiet < 5 && !writer.lost; self->quiet++) {
        other_goes_on();
        if (BIO_pending(from_other) > 0) self->quiet = 0;
        deliver(4096, 0);
        AWAIT(async_sleep, 0);
    }
    other_goes_on();
    ASYNC_END;
}
struct session {
    ASYNC_FRAME;
    int which, error;
    unsigned what;
    async_task *task;
};
static ASYNC(session)
{
    ASYNC_BEGIN(session);
    memory_transport_init(&transport, async_get_running_loop());
    transport.sent = take;
    async_stream_reader_init(&reader, async_get_running_loop(), NULL, 2000);
    async__stream_protocol_init(&writer, &reader, &tls.base);
    CHECK(async_tls_start(&tls, &transport.base, &writer.protocol,
                          &contexts[self->which],
                          self->which == SERVER       ? NULL
                          : self->which == WRONG_NAME ? "example.org"
                                                      : "localhost",
                          NULL) == 0);
    self->task = async_create_task(CO(consume));
    while (input_size > 0 && !writer.lost) {
        self->what = next_byte();
        step(self->what);
        /* Those that the loop has woken run, but not after each step. */
        if (self->what % 3 != 0) AWAIT(async_sleep, 0);
        if (self->what == 0xf0) {
            disturbed = 1; /* one of the timeouts may be over */
            AWAIT(async_sleep, ASYNC_SECONDS(40));
        }
    }
    /* Nothing is done to the rest of what they have to say. */
    transport.stalled = 0;
    async_transport_buffered(&transport.base);
    AWAIT(rest);
    other_ends();
    AWAIT(rest);
    if (self->which <= CLIENT && !disturbed && !closed)
        CHECK(seen == other_wrote && other_read == wrote);
    if (!writer.lost) memory_end(&transport);
    AWAIT_JOIN(self->task);
    async_stream_writer_close(&writer);
    AWAIT_CATCH(self->error, async_stream_writer_wait_closed, &writer);
    CHECK(self->error == 0 || is_expected(self->error));
    async_stream_reader_destroy(&reader);
    ASYNC_END;
}

/* --- the target -------------------------------------------------------------- */

static SSL_CTX *make_peer(int server)
{
    SSL_CTX *ctx =
        SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    CHECK(ctx != NULL);
    CHECK(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION));
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (server) {
        CHECK(SSL_CTX_use_certificate_chain_file(
                  ctx, certificate_file("good", "pem")) == 1);
        CHECK(SSL_CTX_use_PrivateKey_file(ctx, certificate_file("good", "key"),
                                          SSL_FILETYPE_PEM) == 1);
    }
    return ctx;
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
static void begin(void)
{
    static const RAND_METHOD method = { NULL, give_random, NULL,
                                        NULL, give_random, random_status };
    int i;
    if (peers[0] != NULL) return;
    CHECK(RAND_set_rand_method(&method) == 1);
    make_certificates();
    CHECK(async_tls_server_init(&contexts[SERVER],
                                certificate_file("good", "pem"),
                                certificate_file("good", "key")) == 0);
    SSL_CTX_set_session_cache_mode(contexts[SERVER].ssl, SSL_SESS_CACHE_OFF);
    for (i = CLIENT; i <= UNTRUSTED; i++) {
        CHECK(async_tls_client_init(&contexts[i]) == 0);
        if (i != UNTRUSTED)
            CHECK(async_tls_trust(&contexts[i],
                                  certificate_file("authority", "pem")) == 0);
    }
    peers[0] = make_peer(0);
    peers[1] = make_peer(1);
    remove_certificates();
}
#pragma GCC diagnostic pop

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    async_virtual_loop loop;
    int which, older;
    begin();
    if (size < 3) return 0;
    which = data[0] & 3;
    older = data[0] & 4;
    random_state = data[1] | (uint32_t)data[2] << 8;
    input = data + 3;
    input_size = size - 3;
    wrote = seen = other_wrote = other_read = 0;
    other_ended = closed = disturbed = 0;
    other = SSL_new(peers[which != SERVER]);
    to_other = BIO_new(BIO_s_mem());
    from_other = BIO_new(BIO_s_mem());
    CHECK(other != NULL && to_other != NULL && from_other != NULL);
    BIO_set_mem_eof_return(to_other, -1);
    BIO_set_mem_eof_return(from_other, -1);
    SSL_set_bio(other, to_other, from_other);
    if (older) CHECK(SSL_set_max_proto_version(other, TLS1_2_VERSION));
    if (which == SERVER)
        SSL_set_connect_state(other);
    else
        SSL_set_accept_state(other);

    async_virtual_loop_init(&loop, &counted);
    CHECK(async_loop_run_until_complete(&loop.base, CO(session, which)) == 0);
    CHECK(async_loop_close(&loop.base) == 0);
    CHECK(live == 0);
    CHECK(other_read <= wrote);
    if (which == WRONG_NAME || which == UNTRUSTED)
        CHECK(seen == 0 && other_read == 0);
    SSL_free(other);
    ERR_clear_error();
    return 0;
}
