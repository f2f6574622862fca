#include "core/digest.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct digest {
    EVP_MD_CTX *context;
};

/**
 * A method, looked up once: libcrypto 3 takes longer to find what EVP_sha256()
 * names than to hash a request, and it looks at each use.
 */
static const EVP_MD *method_of(_Atomic(EVP_MD *) *found, const char *name,
                               const EVP_MD *usual)
{
    EVP_MD *method = atomic_load(found);
    if (!method) {
        EVP_MD *mine = EVP_MD_fetch(NULL, name, NULL);
        if (atomic_compare_exchange_strong(found, &method, mine)) {
            method = mine;
        } else {
            EVP_MD_free(mine); /* another thread was quicker */
        }
    }
    return method ? method : usual;
}

static const EVP_MD *sha256(void)
{
    static _Atomic(EVP_MD *) found;
    return method_of(&found, "SHA2-256", EVP_sha256());
}

static const EVP_MD *sha1(void)
{
    static _Atomic(EVP_MD *) found;
    return method_of(&found, "SHA1", EVP_sha1());
}

/**
 * A context for sums of one piece, which takes longer to make than such a sum:
 * the last one that was used is kept for whoever comes next. Null: no memory.
 */
static _Atomic(EVP_MD_CTX *) spare;

static EVP_MD_CTX *context_take(void)
{
    EVP_MD_CTX *context = atomic_exchange(&spare, NULL);
    return context ? context : EVP_MD_CTX_new();
}

static void context_give(EVP_MD_CTX *context)
{
    EVP_MD_CTX_free(atomic_exchange(&spare, context));
}

/* libcrypto refuses a plain hash only when it is out of memory or broken; a
 * hash that is silently wrong would be worse than a stop. */
static void start(struct digest *digest)
{
    int ok = EVP_DigestInit_ex(digest->context, sha256(), NULL);
    assert(ok == 1);
    (void)ok;
}

struct digest *digest_new(void)
{
    struct digest *digest = calloc(1, sizeof *digest);
    if (!digest) {
        return NULL;
    }
    digest->context = EVP_MD_CTX_new();
    if (!digest->context ||
        EVP_DigestInit_ex(digest->context, sha256(), NULL) != 1) {
        digest_free(digest);
        return NULL;
    }
    return digest;
}

void digest_add(struct digest *digest, const void *bytes, size_t len)
{
    int ok = EVP_DigestUpdate(digest->context, bytes, len);
    assert(ok == 1);
    (void)ok;
}

void digest_end(struct digest *digest, unsigned char out[DIGEST_BYTES])
{
    unsigned int len = 0;
    int ok = EVP_DigestFinal_ex(digest->context, out, &len);
    assert(ok == 1 && len == DIGEST_BYTES);
    (void)ok;
    start(digest);
}

void digest_free(struct digest *digest)
{
    if (digest) {
        EVP_MD_CTX_free(digest->context);
        free(digest);
    }
}

void digest_of(struct str bytes, unsigned char out[DIGEST_BYTES])
{
    unsigned int len = 0;
    EVP_MD_CTX *context = context_take();
    assert(context);
    int ok =
        EVP_DigestInit_ex(context, sha256(), NULL) == 1 &&
        EVP_DigestUpdate(context, bytes.at ? bytes.at : "", bytes.len) == 1 &&
        EVP_DigestFinal_ex(context, out, &len) == 1;
    assert(ok && len == DIGEST_BYTES);
    context_give(context);
    (void)ok;
}

void digest_uuid5_url(struct str name, char out[static 37])
{
    /* RFC 9562, appendix: the namespace of URLs. */
    static const unsigned char url_space[16] = {
        0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1,
        0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};
    unsigned char sum[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert(context);
    int ok = EVP_DigestInit_ex(context, sha1(), NULL) == 1 &&
             EVP_DigestUpdate(context, url_space, sizeof url_space) == 1 &&
             EVP_DigestUpdate(context, name.at, name.len) == 1 &&
             EVP_DigestFinal_ex(context, sum, NULL) == 1;
    EVP_MD_CTX_free(context);
    assert(ok);
    (void)ok;
    digest_uuid(sum, 5, out);
}

void digest_uuid(const unsigned char bytes[static 16], unsigned version,
                 char out[static 37])
{
    unsigned char id[16];
    assert(version < 16);
    memcpy(id, bytes, sizeof id);
    id[6] = (unsigned char)((id[6] & 0x0f) | version << 4);
    id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
    char hex[33];
    str_hex(id, sizeof id, hex);
    static const int ends[] = {8, 12, 16, 20, 32};
    int from = 0;
    for (size_t i = 0; i < 5; i++) {
        memcpy(out, hex + from, (size_t)(ends[i] - from));
        out += ends[i] - from;
        *out++ = i < 4 ? '-' : '\0';
        from = ends[i];
    }
}
