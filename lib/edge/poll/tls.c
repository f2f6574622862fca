#include "edge/poll/tls.h"

#include <assert.h>
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HOSTS_KEPT 4
/* A host with which no handshake that offered a session came to its end is
 * asked for all anew for so long. */
#define UNWELL_S 600

/** The last session that a host gave us: the next connection to it needs no
 * certificate, which is most of what a handshake costs. */
struct kept {
    char host[256];       /* empty: nobody's */
    SSL_SESSION *session; /* owned; null: none */
    time_t well_s;        /* boot clock: none is kept before */
};

struct tls_context {
    SSL_CTX *ctx;
    struct kept kept[HOSTS_KEPT];
    size_t next; /* the one to go */
};

struct tls {
    SSL *ssl;
    struct tls *under; /* null: the socket */
    bool broken;       /* no goodbye */
    bool offered;      /* an earlier session */
    bool ended;        /* as `end` says: the next read tells */
    ssize_t end;
    bool named; /* the host has a name, no address */
    bool no_h2; /* it was not offered */
    char host[256];
};

/* What may be used, by preference: HTTP/2, HTTP/1.1. */
static const unsigned char protocols[] = "\x02h2\x08http/1.1";

static void say_why(char *why, size_t why_bytes, const char *what)
{
    const unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    snprintf(why, why_bytes, "%s: %s", what,
             reason  ? reason
             : errno ? strerror(errno)
                     : "the connection ended");
}

static bool trust(SSL_CTX *ctx, const char *ca_file, const char *ca_folder)
{
    const bool file = ca_file && SSL_CTX_load_verify_file(ctx, ca_file) == 1;
    const bool folder =
        ca_folder && SSL_CTX_load_verify_dir(ctx, ca_folder) == 1;
    /* A certificate of the store ends a chain, whoever signed it: as libcurl
     * has it, so that a server's own can be trusted. */
    X509_STORE_set_flags(SSL_CTX_get_cert_store(ctx),
                         X509_V_FLAG_PARTIAL_CHAIN);
    return file || (!ca_file && folder);
}

static struct kept *find_kept(struct tls_context *context, const char *host)
{
    for (size_t i = 0; i < HOSTS_KEPT; i++) {
        if (strcmp(context->kept[i].host, host) == 0) {
            return &context->kept[i];
        }
    }
    return NULL;
}

static time_t boot_s(void)
{
    struct timespec now = {0};
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec;
}

static void keep(struct kept *kept, SSL_SESSION *session)
{
    SSL_SESSION_free(kept->session); /* null: accepted */
    kept->session = session;
}

/** Null: it was closed before this connection was. */
static struct tls_context *context_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/** @return  1: it is ours from now on. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
    const struct tls *tls = SSL_get_app_data(ssl);
    struct tls_context *context = context_of(ssl);
    struct kept *kept = context ? find_kept(context, tls->host) : NULL;
    if (!context || (kept && boot_s() < kept->well_s)) {
        return 0;
    }
    if (!kept) {
        kept = &context->kept[context->next];
        context->next = (context->next + 1) % HOSTS_KEPT;
        *kept = (struct kept){.session = kept->session};
        snprintf(kept->host, sizeof kept->host, "%s", tls->host);
    }
    keep(kept, session);
    return 1;
}

/** Some cut off what they don't know, and each try would end so. */
static void forget_session(const struct tls *tls)
{
    struct tls_context *context = context_of(tls->ssl);
    struct kept *kept = context ? find_kept(context, tls->host) : NULL;
    if (kept) {
        keep(kept, NULL);
        kept->well_s = boot_s() + UNWELL_S;
    }
}

/**
 * A host that doesn't know its session any more asks for all anew. Nothing is
 * sent before the handshake is over: early data can be sent once more by
 * whoever sees it.
 */
static bool offer_session(struct tls_context *context, struct tls *tls)
{
    const struct kept *kept = find_kept(context, tls->host);
    tls->offered =
        kept && kept->session && SSL_SESSION_is_resumable(kept->session) == 1;
    return !tls->offered || SSL_set_session(tls->ssl, kept->session) == 1;
}

static bool set_up(SSL_CTX *ctx)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT |
                                            SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, on_session);
    SSL_CTX_set_read_ahead(ctx, 1); /* a record is one read, not two */
    return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_alpn_protos(ctx, protocols, sizeof protocols - 1) == 0;
}

struct tls_context *tls_context_open(const char *ca_file, const char *ca_folder,
                                     char *why, size_t why_bytes)
{
    ERR_clear_error();
    errno = 0;
    struct tls_context *context = calloc(1, sizeof *context);
    if (context) {
        context->ctx = SSL_CTX_new(TLS_client_method());
    }
    if (!context || !context->ctx || !set_up(context->ctx) ||
        SSL_CTX_set_app_data(context->ctx, context) != 1) {
        snprintf(why, why_bytes, "no memory for TLS");
        tls_context_close(context);
        return NULL;
    }
    if (!trust(context->ctx, ca_file, ca_folder)) {
        char what[300];
        snprintf(what, sizeof what, "the CA certificates of %s can't be read",
                 ca_file     ? ca_file
                 : ca_folder ? ca_folder
                             : "this system");
        say_why(why, why_bytes, what);
        tls_context_close(context);
        return NULL;
    }
    return context;
}

void tls_context_close(struct tls_context *context)
{
    if (context && context->ctx) {
        for (size_t i = 0; i < HOSTS_KEPT; i++) {
            keep(&context->kept[i], NULL);
        }
        /* Connections have shares in it, and outlive this. */
        (void)SSL_CTX_set_app_data(context->ctx, NULL);
        SSL_CTX_free(context->ctx);
    }
    free(context);
}

/** Whose certificate it must be. Addresses are not sent as server names. */
static bool expect(struct tls *tls)
{
    unsigned char address[sizeof(struct in6_addr)];
    SSL *ssl = tls->ssl;
    const char *host = tls->host;
    tls->named = inet_pton(AF_INET, host, address) != 1 &&
                 inet_pton(AF_INET6, host, address) != 1;
    if (!tls->named) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    }
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 &&
           SSL_set_tlsext_host_name(ssl, host) == 1;
}

/** What was made is given back, also where it is nothing. */
static struct tls *give_up(struct tls *tls)
{
    if (tls) {
        tls->broken = true;
        tls_close(tls);
    }
    return NULL;
}

static struct tls *tls_new(struct tls_context *context, const char *host)
{
    assert(context && host[0]);
    struct tls *tls = calloc(1, sizeof *tls);
    if (!tls) {
        return NULL;
    }
    snprintf(tls->host, sizeof tls->host, "%s", host);
    tls->ssl = SSL_new(context->ctx);
    return tls->ssl && SSL_set_app_data(tls->ssl, tls) == 1 && expect(tls) &&
                   offer_session(context, tls)
               ? tls
               : give_up(tls);
}

struct tls *tls_open(struct tls_context *context, int fd, const char *host)
{
    assert(fd >= 0);
    struct tls *tls = tls_new(context, host);
    return tls && SSL_set_fd(tls->ssl, fd) == 1 ? tls : give_up(tls);
}

bool tls_no_h2(struct tls *tls)
{
    static const unsigned char http1[] = "\x08http/1.1";
    tls->no_h2 = true;
    return SSL_set_alpn_protos(tls->ssl, http1, sizeof http1 - 1) == 0;
}

struct tls *tls_open_proxy(struct tls_context *context, int fd,
                           const char *host)
{
    struct tls *tls = tls_open(context, fd, host);
    return tls && tls_no_h2(tls) ? tls : give_up(tls);
}

struct tls *tls_open_inside(struct tls_context *context, struct tls *under,
                            const char *host)
{
    assert(under && !under->under);
    struct tls *tls = tls_new(context, host);
    BIO *bio = tls ? BIO_new(BIO_f_ssl()) : NULL;
    if (!bio) {
        return give_up(tls);
    }
    BIO_set_ssl(bio, under->ssl, BIO_NOCLOSE);
    SSL_set_bio(tls->ssl, bio, bio);
    tls->under = under;
    return tls;
}

void tls_close(struct tls *tls)
{
    if (!tls) {
        return;
    }
    const bool shaken = tls->ssl && SSL_is_init_finished(tls->ssl);
    if (!tls->broken && shaken) {
        ERR_clear_error();
        (void)SSL_shutdown(tls->ssl); /* nobody waits for its answer */
    } else if (tls->offered && !shaken) {
        forget_session(tls);
    }
    ERR_clear_error();
    SSL_free(tls->ssl);
    tls_close(tls->under);
    free(tls);
}

/**
 * OpenSSL looks at the subject's common name where a certificate names no host,
 * also beside addresses; libcurl only where it names nothing at all (RFC 6125
 * 6.4.4).
 */
static bool is_named(const struct tls *tls)
{
    X509 *cert = tls->named ? SSL_get0_peer_certificate(tls->ssl) : NULL;
    if (!cert) {
        return !tls->named; /* an address: nothing but addresses counted */
    }
    GENERAL_NAMES *names =
        X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    bool alone = true; /* the subject's name speaks */
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const int type = sk_GENERAL_NAME_value(names, i)->type;
        alone = alone && type != GEN_DNS && type != GEN_IPADD;
    }
    GENERAL_NAMES_free(names);
    return alone || X509_check_host(cert, tls->host, 0,
                                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                        X509_CHECK_FLAG_NEVER_CHECK_SUBJECT,
                                    NULL) == 1;
}

bool tls_speaks_h2(const struct tls *tls)
{
    const unsigned char *name = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(tls->ssl, &name, &len);
    return len == 2 && memcmp(name, "h2", 2) == 0;
}

enum tls_shaken tls_shake(struct tls *tls, char *why, size_t why_bytes)
{
    ERR_clear_error();
    errno = 0;
    const int done = SSL_connect(tls->ssl);
    switch (SSL_get_error(tls->ssl, done)) {
    case SSL_ERROR_NONE:
        if (!is_named(tls)) {
            tls->broken = true;
            snprintf(why, why_bytes,
                     "SSL certificate problem: none of its names is %.100s",
                     tls->host);
            return TLS_UNTRUSTED;
        }
        if (tls->no_h2 && tls_speaks_h2(tls)) { /* OpenSSL 3.0.14 lets it */
            tls->broken = true;
            snprintf(why, why_bytes, "it chose HTTP/2, which was not offered");
            return TLS_FAILED;
        }
        return TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    default:
        break;
    }
    tls->broken = true;
    const long verdict = SSL_get_verify_result(tls->ssl);
    if (verdict != X509_V_OK) {
        snprintf(why, why_bytes, "SSL certificate problem: %s",
                 X509_verify_cert_error_string(verdict));
        return TLS_UNTRUSTED;
    }
    say_why(why, why_bytes, "no TLS with it");
    return TLS_FAILED;
}

void tls_keep_buffers(struct tls *tls)
{
    assert(SSL_is_init_finished(tls->ssl));
    SSL_clear_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS);
}

/** What a read or write that brought no bytes means. */
static ssize_t judge(struct tls *tls, int done, char *why, size_t why_bytes)
{
    switch (SSL_get_error(tls->ssl, done)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return IO_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        tls->broken = true;
        say_why(why, why_bytes, "the connection broke");
        return IO_FAILED;
    }
}

/** Small records come many at a time, and OpenSSL reads one each: all that is
 * here is one read. */
ssize_t tls_read(struct tls *tls, char *out, size_t room, char *why,
                 size_t why_bytes)
{
    size_t total = 0;
    if (tls->ended) {
        return tls->end;
    }
    ERR_clear_error();
    errno = 0;
    do {
        size_t len = 0;
        const int done = SSL_read_ex(tls->ssl, out + total, room - total, &len);
        if (done != 1) {
            tls->end = judge(tls, done, why, why_bytes);
            tls->ended = tls->end != IO_AGAIN;
            return total > 0 ? (ssize_t)total : tls->end;
        }
        total += len;
    } while (total < room && SSL_has_pending(tls->ssl) == 1);
    return (ssize_t)total;
}

ssize_t tls_write(struct tls *tls, struct str bytes, char *why,
                  size_t why_bytes)
{
    size_t len = 0;
    ERR_clear_error();
    errno = 0;
    const int done = SSL_write_ex(tls->ssl, bytes.at, bytes.len, &len);
    return done == 1 ? (ssize_t)len : judge(tls, done, why, why_bytes);
}

bool tls_holds_bytes(const struct tls *tls)
{
    return tls->ended || SSL_has_pending(tls->ssl) == 1 ||
           (tls->under && SSL_has_pending(tls->under->ssl) == 1);
}
