/* Certificates for the tests of TLS, made when they begin: an authority, what it
 * has issued, and what nobody has; in a directory that goes when they end. */
#ifndef CERTIFICATES_H
#define CERTIFICATES_H

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <stdlib.h>
#include <unistd.h>

static char certificates_directory[] = "/tmp/caesura-tls-XXXXXX";
static EVP_PKEY *authority_key;
static X509 *authority;

/* The path of a file in the directory; two at a time. */
static inline const char *certificate_file(const char *name, const char *kind)
{
    static char paths[2][128];
    static int which;
    which = !which;
    snprintf(paths[which], sizeof paths[which], "%s/%s.%s",
             certificates_directory, name, kind);
    return paths[which];
}

static inline EVP_PKEY *make_key(void)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *maker = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    assert_non_null(maker);
    assert_int_equal(EVP_PKEY_keygen_init(maker), 1);
    assert_int_equal(
        EVP_PKEY_CTX_set_ec_paramgen_curve_nid(maker, NID_X9_62_prime256v1),
        1);
    assert_int_equal(EVP_PKEY_keygen(maker, &key), 1);
    EVP_PKEY_CTX_free(maker);
    return key;
}

static inline void add_extension(X509 *certificate, int which,
                                 const char *text)
{
    X509V3_CTX context;
    X509_EXTENSION *extension;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    extension = X509V3_EXT_conf_nid(NULL, &context, which, text);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Makes NAME.pem and NAME.key; names is what it is good for, or NULL for an
 * authority.  Issued by the authority, or by itself; good for `days`. */
static inline X509 *make_certificate(const char *name, const char *names,
                                     int by_itself, int days, EVP_PKEY **key)
{
    static long serial = 1;
    X509 *certificate = X509_new();
    EVP_PKEY *own = make_key();
    FILE *file;
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -10 * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(certificate), days * 86400L);
    X509_set_pubkey(certificate, own);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(
        certificate, by_itself ? subject : X509_get_subject_name(authority));
    if (names == NULL) {
        add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(certificate, NID_key_usage, "critical,keyCertSign");
    } else {
        add_extension(certificate, NID_subject_alt_name, names);
    }
    assert_true(X509_sign(certificate, by_itself ? own : authority_key,
                          EVP_sha256()) > 0);
    file = fopen(certificate_file(name, "pem"), "w");
    assert_non_null(file);
    PEM_write_X509(file, certificate);
    fclose(file);
    file = fopen(certificate_file(name, "key"), "w");
    assert_non_null(file);
    PEM_write_PrivateKey(file, own, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    if (key != NULL)
        *key = own;
    else
        EVP_PKEY_free(own);
    return certificate;
}

static const char *const certificate_names[] = {
    "authority", "good", "other", "expired", "alone", "locked"
};

static inline void make_certificates(void)
{
    static const char both[] = "DNS:localhost,IP:127.0.0.1";
    FILE *file;
    EVP_PKEY *key;
    assert_non_null(mkdtemp(certificates_directory));
    /* The system's authorities are many, and it takes long to read them. */
    setenv("SSL_CERT_FILE", "/dev/null", 1);
    authority = make_certificate("authority", NULL, 1, 10, &authority_key);
    X509_free(make_certificate("good", both, 0, 10, NULL));
    X509_free(make_certificate("other", "DNS:other.example", 0, 10, NULL));
    X509_free(make_certificate("expired", both, 0, -1, NULL));
    X509_free(make_certificate("alone", both, 1, 10, NULL));
    X509_free(make_certificate("locked", both, 0, 10, &key));
    file = fopen(certificate_file("locked", "key"), "w");
    assert_non_null(file);
    PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(),
                         (unsigned char *)(uintptr_t) "word", 4, NULL, NULL);
    fclose(file);
    EVP_PKEY_free(key);
    X509_free(authority);
    EVP_PKEY_free(authority_key);
}

static inline void remove_certificates(void)
{
    size_t i;
    for (i = 0; i < sizeof certificate_names / sizeof *certificate_names;
         i++) {
        remove(certificate_file(certificate_names[i], "pem"));
        remove(certificate_file(certificate_names[i], "key"));
    }
    rmdir(certificates_directory);
}

/* For cmocka_run_group_tests(). */
static inline int begin_certificates(void **state)
{
    (void)state;
    make_certificates();
    return 0;
}
static inline int end_certificates(void **state)
{
    (void)state;
    remove_certificates();
    return 0;
}

#endif
