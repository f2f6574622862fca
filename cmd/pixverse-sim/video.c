#include "video.h"

#include "draw.h"
#include "mp4.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

/** A video on its way out. */
struct stream {
    struct buf front; /* the file but for its padding */
    uint64_t padding_seed;
    uint64_t first;       /* the byte of the file that is sent first */
    uint32_t sale, index; /* whose file */
    uint64_t salt;        /* the world's: another one knows no such sale */
    EVP_MD_CTX *hash;     /* null unless the whole true file is sent */
    struct world *world;
};

static uint64_t make_file(const struct world *world, const struct sale *sale,
                          uint32_t index, uint64_t salt, struct buf *front,
                          uint64_t *padding_seed)
{
    const struct options *options = &world->options;
    const uint64_t seed = draw(sale->seed, 100 + index + (salt << 32));
    const struct mp4_spec spec = {
        .width = sale->width,
        .height = sale->height,
        .seconds = sale->seconds,
        .audio = sale->audio,
        .seed = seed,
        .label = sale->id,
        .bytes =
            draw_between(draw(sale->seed, 100 + index), 0,
                         options->video_bytes_min, options->video_bytes_max),
    };
    *padding_seed = seed;
    return mp4_make(front, &spec);
}

struct sale_file *video_files(struct sale *sale)
{
    if (!sale->files) {
        sale->files =
            calloc((size_t)sale->videos * sale->urls, sizeof(*sale->files));
        if (!sale->files) {
            abort();
        }
    }
    return sale->files;
}

static EVP_MD_CTX *hash_begin(void)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    if (!hash || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1) {
        abort();
    }
    return hash;
}

static void hash_end(EVP_MD_CTX *hash, char out[65])
{
    unsigned char digest[32];
    if (EVP_DigestFinal_ex(hash, digest, NULL) != 1) {
        abort();
    }
    str_hex(digest, sizeof(digest), out);
}

void video_measure(const struct world *world, struct sale *sale, uint32_t index)
{
    struct sale_file *file = &video_files(sale)[index];
    if (file->sha256[0] != '\0') {
        return;
    }
    struct buf front;
    uint64_t padding_seed = 0;
    buf_init(&front, 0);
    uint64_t padding = make_file(world, sale, index, 0, &front, &padding_seed);
    EVP_MD_CTX *hash = hash_begin();
    EVP_DigestUpdate(hash, front.bytes, front.len);
    char part[16384];
    for (uint64_t at = 0; at < padding; at += sizeof(part)) {
        const uint64_t left = padding - at;
        const size_t len = left < sizeof(part) ? (size_t)left : sizeof(part);
        mp4_padding(padding_seed, at, part, len);
        EVP_DigestUpdate(hash, part, len);
    }
    hash_end(hash, file->sha256);
    file->bytes = front.len + padding;
    EVP_MD_CTX_free(hash);
    buf_done(&front);
}

void video_find(struct site *site)
{
    struct str name = site->request->path;
    const size_t start = strlen("/f/video/");
    name.at += start;
    name.len -= start;
    if (name.len < SALE_ID_TAIL + 6 || name.at[SALE_ID_TAIL] != '-' ||
        !str_ends(name, STR(".mp4"))) {
        return;
    }
    const uint32_t number = index_find(&site->world->sales_by_tail,
                                       (struct str){name.at, SALE_ID_TAIL});
    struct str index = {name.at + SALE_ID_TAIL + 1,
                        name.len - SALE_ID_TAIL - 5};
    if (index.at[index.len - 1] == 'x') {
        site->file_expired = true;
        index.len--;
    }
    int64_t file = 0;
    if (number == INDEX_NONE || !str_to_i64(index, 0, UINT32_MAX, &file)) {
        return;
    }
    struct sale *sale = site->world->sales[number];
    if (file < (int64_t)sale->videos * sale->urls) {
        site->sale = sale;
        site->file = (uint32_t)file;
    }
}

static void on_fill(void *context, uint64_t offset, char *out, size_t len)
{
    struct stream *stream = context;
    const size_t asked = len;
    char *start = out;
    offset += stream->first;
    if (offset < stream->front.len) {
        const size_t left = stream->front.len - (size_t)offset;
        const size_t take = left < len ? left : len;
        memcpy(out, stream->front.bytes + offset, take);
        offset += take;
        out += take;
        len -= take;
    }
    if (len > 0) {
        mp4_padding(stream->padding_seed, offset - stream->front.len, out, len);
    }
    if (stream->hash) {
        EVP_DigestUpdate(stream->hash, start, asked);
    }
    stream->world->counts.download_bytes += asked;
}

static void on_fill_done(void *context, bool whole)
{
    struct stream *stream = context;
    struct world *world = stream->world;
    if (whole && world->salt == stream->salt) {
        struct sale_file *file =
            &video_files(world->sales[stream->sale])[stream->index];
        file->whole++;
        world->counts.downloads_whole++;
        if (stream->hash) {
            hash_end(stream->hash, file->sha256);
        }
    }
    EVP_MD_CTX_free(stream->hash);
    buf_done(&stream->front);
    free(stream);
}

static void refuse(struct site *site, int status, const char *text)
{
    site->reply->status = status;
    site->reply->type = "text/html";
    buf_printf(&site->reply->body,
               "<html><body><h1>%d %s</h1><p>%s</p></body></html>", status,
               reply_reason(status), text);
}

/** `bytes=A-B`, `bytes=A-`, `bytes=-N` within `whole` bytes. */
static bool read_range(struct str range, uint64_t whole, uint64_t *first,
                       uint64_t *last)
{
    if (!str_starts(range, STR("bytes="))) {
        return false;
    }
    range.at += 6;
    range.len -= 6;
    const char *dash = range.len ? memchr(range.at, '-', range.len) : NULL;
    if (!dash) {
        return false;
    }
    const struct str low = {range.at, (size_t)(dash - range.at)};
    const struct str high = {dash + 1, range.len - low.len - 1};
    int64_t a = 0;
    int64_t b = (int64_t)whole - 1;
    if (low.len == 0) {
        if (!str_to_i64(high, 1, INT64_MAX, &b)) {
            return false;
        }
        a = b < (int64_t)whole ? (int64_t)whole - b : 0;
        b = (int64_t)whole - 1;
    } else if (!str_to_i64(low, 0, INT64_MAX, &a) ||
               (high.len > 0 && !str_to_i64(high, 0, INT64_MAX, &b))) {
        return false;
    }
    *first = (uint64_t)a;
    *last = b < (int64_t)whole ? (uint64_t)b : whole - 1;
    return true;
}

static bool may_be_had(const struct site *site)
{
    const struct world *world = site->world;
    const struct sale *sale = site->sale;
    const int64_t expires_ms = sale->accepted_us / 1000 + sale->latency_ms +
                               world->options.url_ttl_s * 1000;
    return !site->file_expired && world->now_us / 1000 < expires_ms;
}

static void send_stream(struct site *site, struct stream *stream,
                        uint64_t whole)
{
    struct reply *reply = site->reply;
    const struct http_request *request = site->request;
    uint64_t first = 0;
    uint64_t last = whole - 1;
    char etag[64];
    snprintf(etag, sizeof(etag), "\"%s-%u\"", site->sale->id + 5, site->file);
    const struct str range = http_request_field(request, "range");
    const struct str if_range = http_request_field(request, "if-range");
    const bool ranged = range.at &&
                        (!if_range.at || str_eq(if_range, str_of(etag))) &&
                        read_range(range, whole, &first, &last);
    reply->type = "video/mp4";
    reply_header(reply, "Accept-Ranges", "bytes");
    reply_header(reply, "ETag", etag);
    if (ranged && first > last) {
        reply->status = 416;
        buf_printf(&reply->head, "Content-Range: bytes */%llu\r\n",
                   (unsigned long long)whole);
        on_fill_done(stream, false);
        return;
    }
    if (ranged) {
        buf_printf(&reply->head, "Content-Range: bytes %llu-%llu/%llu\r\n",
                   (unsigned long long)first, (unsigned long long)last,
                   (unsigned long long)whole);
    }
    reply->status = ranged ? 206 : 200;
    stream->first = first;
    if (first == 0 && last == whole - 1 && site->file_salt == 0 &&
        !reply->without_body &&
        video_files(site->sale)[site->file].sha256[0] == '\0') {
        stream->hash = hash_begin();
    }
    reply->fill = on_fill;
    reply->fill_done = on_fill_done;
    reply->fill_context = stream;
    reply->fill_bytes = last - first + 1;
}

void video_serve(struct site *site)
{
    struct sale *sale = site->sale;
    if (!sale || !sale_is_over(sale, site->world->now_ms) ||
        sale->fate != FATE_COMPLETE) {
        refuse(site, 404, "no such file");
        return;
    }
    if (!may_be_had(site)) {
        refuse(site, 403, "the link has expired");
        return;
    }
    struct stream *stream = calloc(1, sizeof(*stream));
    if (!stream) {
        abort();
    }
    stream->world = site->world;
    stream->salt = site->world->salt;
    stream->sale = sale->number;
    stream->index = site->file;
    struct sale_file *file = &video_files(sale)[site->file];
    file->downloads++;
    buf_init(&stream->front, 0);
    const uint64_t padding =
        make_file(site->world, sale, site->file, site->file_salt,
                  &stream->front, &stream->padding_seed);
    const uint64_t whole = stream->front.len + padding;
    file->bytes = whole;
    send_stream(site, stream, whole);
}
