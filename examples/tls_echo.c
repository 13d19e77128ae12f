/* tls_echo - a server with TLS, and a client that verifies it.
 *
 * Usage: tls_echo                        with a certificate made for this run
 *        tls_echo PORT CHAIN.pem KEY.pem serves with yours until Ctrl-C
 *
 * Try the second: openssl s_client -connect 127.0.0.1:PORT
 *
 * Link with -lssl -lcrypto beside libuv.
 */
#define ASYNC_IMPLEMENTATION
#include "../async/net/tls.h"

#include <stdio.h>
#include <stdlib.h>

static async_tls_context server_side, client_side;

struct serve { ASYNC_FRAME; async_connection *client; async_bytes line; };
static ASYNC(serve)
{
    ASYNC_BEGIN(serve);
    for (;;) {
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->client->reader);
        if (self->line.size == 0) break;
        async_stream_writer_write(&self->client->writer, self->line.data,
                                  self->line.size);
        AWAIT(async_stream_writer_drain, &self->client->writer);
    }
    ASYNC_END;
}

/* Asks a server that must be `name`. */
struct ask {
    ASYNC_FRAME;
    int port;
    const char *name;
    async_connection server;
    async_bytes line;
    int error;
    char why[128];
};
static ASYNC(ask)
{
    ASYNC_BEGIN(ask);
    AWAIT_CATCH(self->error, async_open_tls_connection, &self->server,
                &client_side, "127.0.0.1", self->port, 0, self->name);
    if (self->error) {
        async_tls_error(&self->server, self->why, sizeof self->why);
        printf("%s: %s\n", self->name, self->why);
        ASYNC_RETURN();
    }
    ASYNC_TRY {
        async_stream_writer_write(&self->server.writer, "hello\n", 6);
        AWAIT_INTO(self->line, async_stream_reader_readline,
                   &self->server.reader);
        printf("%s: %.*s by %s\n", self->name, (int)self->line.size - 1,
               self->line.data, async_tls_version(&self->server));
    } ASYNC_FINALLY {
        AWAIT(async_connection_close, &self->server);
    } ASYNC_END_TRY
    ASYNC_END;
}

struct program { ASYNC_FRAME; int port, stay; async_server server; };
static ASYNC(program)
{
    ASYNC_BEGIN(program);
    AWAIT(async_start_tls_server, &self->server, ASYNC_CLIENT_HANDLER(serve),
          &server_side, "127.0.0.1", self->port);
    if (self->stay) {
        printf("listening on port %d\n", async_server_port(&self->server));
        fflush(stdout);
        AWAIT(async_server_serve_forever, &self->server);
    } else {
        AWAIT(ask, async_server_port(&self->server), "localhost");
        AWAIT(ask, async_server_port(&self->server), "bank.example");
        async_server_close(&self->server);
        AWAIT(async_server_wait_closed, &self->server);
    }
    ASYNC_END;
}

/* A certificate for localhost that nobody has issued but itself: the server
 * shows it, and the client trusts it. */
static int make_certificate(void)
{
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    EVP_PKEY *key = NULL;
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_EXTENSION *names =
        X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    int ok;
    EVP_PKEY_keygen_init(maker);
    EVP_PKEY_CTX_set_ec_paramgen_curve_nid(maker, NID_X9_62_prime256v1);
    EVP_PKEY_keygen(maker, &key);
    EVP_PKEY_CTX_free(maker);
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               (const unsigned char *)"localhost", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_add_ext(certificate, names, -1);
    X509_EXTENSION_free(names);
    ok = X509_sign(certificate, key, EVP_sha256()) > 0 &&
         SSL_CTX_use_certificate(server_side.ssl, certificate) == 1 &&
         SSL_CTX_use_PrivateKey(server_side.ssl, key) == 1 &&
         X509_STORE_add_cert(SSL_CTX_get_cert_store(client_side.ssl),
                             certificate) == 1;
    X509_free(certificate);
    EVP_PKEY_free(key);
    return ok ? 0 : (int)ASYNC_ETLS;
}

int main(int argc, char **argv)
{
    int stay = argc == 4;
    int error = async_tls_server_init(&server_side, stay ? argv[2] : NULL,
                                      stay ? argv[3] : NULL);
    if (error) {
        char why[128];
        async_tls_context_error(&server_side, why, sizeof why);
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    error = async_tls_client_init(&client_side);
    if (!error && !stay) error = make_certificate();
    if (!error) error = async_run(CO(program, stay ? atoi(argv[1]) : 0, stay));
    async_tls_context_destroy(&client_side);
    async_tls_context_destroy(&server_side);
    return error == 0 || error == ASYNC_EINTR ? 0 : 1;
}
