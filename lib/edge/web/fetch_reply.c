#include "edge/web/fetch_own.h"

#include "core/content_range.h"
#include "edge/web/fetch_rules.h"

#include <arpa/inet.h>
#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define PIECE_BYTES 16384 /* of a body whose coding is undone */
#define ERROR_BODY_MAX 65536 /* of a reply that is no video; the rest is cut */

static_assert(FETCH_ERROR_BYTES == CURL_ERROR_SIZE, "libcurl's own size");

bool fetch_forbid(struct fetch *fetch, const char *why)
{
    fetch->forbidden = true;
    snprintf(fetch->why, sizeof fetch->why, "%s", why);
    return false;
}

bool fetch_allows_private(const struct fetch *fetch)
{
    return fetch->fetcher->options.allow_private;
}

/* ---- what libcurl calls -------------------------------------------------- */

static curl_socket_t on_open_socket(void *context, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct fetch *fetch = context;
    const char *fault = purpose == CURLSOCKTYPE_IPCXN
                            ? fetch_socket_fault(fetch_allows_private(fetch),
                                                 &address->addr)
                            : "a socket for something else";
    if (fault) {
        fetch->shut_out = fault;
        return CURL_SOCKET_BAD;
    }
    fetch->reached = true;
    return loop_curl_socket(address->family, address->socktype,
                            address->protocol);
}

/** A connection that is used again opens no socket: judged here. */
static int on_prereq(void *context, char *remote, char *local, int remote_port,
                     int local_port)
{
    struct fetch *fetch = context;
    unsigned char bytes[16];
    (void)local;
    (void)remote_port;
    (void)local_port;
    const char *fault = "the video's host has an address of no known kind";
    if (inet_pton(AF_INET, remote, bytes) == 1) {
        fault = fetch_address_fault(fetch_allows_private(fetch), 4, bytes);
    } else if (inet_pton(AF_INET6, remote, bytes) == 1) {
        fault = fetch_address_fault(fetch_allows_private(fetch), 6, bytes);
    }
    if (fault) {
        fetch_forbid(fetch, fault);
        return CURL_PREREQFUNC_ABORT;
    }
    return CURL_PREREQFUNC_OK;
}

/** Something moved. */
static void moved(struct fetch *fetch, size_t len)
{
    fetch->last_ms = loop_boot_ms(fetch->fetcher->loop);
    rate_add(&fetch->rate, (int64_t)len);
}

/** Forget what an earlier reply said: one of another hop, or informational. */
void fetch_begin_reply(struct fetch *fetch)
{
    buf_reset(&fetch->location);
    fetch->coding[0] = '\0';
    fetch->range[0] = '\0';
    fetch->retry_after_ms = 0;
}

/** Whether it is that header. */
static bool is_header(struct str line, struct str name, struct str *value)
{
    if (line.len <= name.len ||
        !str_eq_nocase((struct str){line.at, name.len}, name)) {
        return false;
    }
    *value = str_trim((struct str){line.at + name.len, line.len - name.len});
    return true;
}

static void keep(char *out, size_t out_bytes, struct str value)
{
    snprintf(out, out_bytes, "%.*s", (int)value.len, value.at);
}

/** The last of a list: the outermost coding. */
static struct str last_of(struct str list)
{
    const char *comma = list.len ? memrchr(list.at, ',', list.len) : NULL;
    if (!comma) {
        return list;
    }
    const size_t at = (size_t)(comma - list.at) + 1;
    return str_trim((struct str){list.at + at, list.len - at});
}

static size_t on_header(char *bytes, size_t size, size_t n, void *context)
{
    struct fetch *fetch = context;
    const struct str line = {bytes, size * n};
    struct str value;
    moved(fetch, line.len);
    if (str_starts(line, STR("HTTP/"))) {
        fetch_begin_reply(fetch);
    } else if (is_header(line, STR("content-encoding:"), &value)) {
        keep(fetch->coding, sizeof fetch->coding, last_of(value));
        decode_label_show(fetch->coding);
    } else if (is_header(line, STR("content-range:"), &value)) {
        keep(fetch->range, sizeof fetch->range, value);
    } else if (is_header(line, STR("location:"), &value)) {
        if (fetch->location.len == 0) {
            fetch->far = value.len >= FETCH_LOCATION_BYTES_MAX;
            buf_add_str(&fetch->location, fetch->far ? STR("/") : value);
        }
    } else if (is_header(line, STR("retry-after:"), &value)) {
        int64_t seconds = 0;
        if (str_to_i64(value, 0, 600, &seconds)) {
            fetch->retry_after_ms = seconds * 1000;
        }
    }
    return line.len;
}

int fetch_status(const struct fetch *fetch)
{
    long status = 0;
    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

/** Whether the decoder has found a coding. */
static bool is_coded(const struct fetch *fetch)
{
    return fetch->decoder && !decoder_is_plain(fetch->decoder);
}

static bool cant_decode(struct fetch *fetch, const char *what)
{
    fetch->encoded = true;
    snprintf(fetch->why, sizeof fetch->why,
             "the video came in the content coding \"%s\", which %s; nobody "
             "asked for one",
             fetch->coding, what);
    return false;
}

/** A 206 to a question without Range: whether it has all bytes, how many. */
static bool is_whole_part(const struct fetch *fetch, int64_t *length)
{
    int64_t whole = 0;
    if (!content_range_is_whole(str_of(fetch->range), &whole) ||
        (*length >= 0 && *length != whole)) {
        return false;
    }
    *length = whole;
    return true;
}

static bool tell_head(struct fetch *fetch, int status)
{
    curl_off_t told = -1;
    char *type = NULL;
    curl_easy_getinfo(fetch->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &told);
    curl_easy_getinfo(fetch->easy, CURLINFO_CONTENT_TYPE, &type);
    int64_t length = told;
    fetch->head_told = true;
    if (status == 206 && !is_whole_part(fetch, &length)) {
        fetch->partial = true;
        snprintf(fetch->why, sizeof fetch->why,
                 "the video came as a part that was not asked for");
        return false;
    }
    fetch->length = is_coded(fetch) ? -1 : length;
    if (fetch->length > fetch->fetcher->options.bytes_max) {
        fetch->too_large = true;
        return false;
    }
    fetch->refused = !fetch->hooks->on_head(fetch->context, status,
                                            fetch->length, str_of(type));
    return !fetch->refused;
}

/** Bytes of the video, for the reader; false: no more of them. */
static bool hand_over(struct fetch *fetch, const char *bytes, size_t len)
{
    if (!fetch->head_told && !tell_head(fetch, fetch_status(fetch))) {
        return false;
    }
    if (fetch->bytes + (int64_t)len > fetch->fetcher->options.bytes_max) {
        fetch->too_large = true;
        return false;
    }
    fetch->bytes += (int64_t)len;
    fetch->pause = !fetch->hooks->on_data(fetch->context, bytes, len);
    if (fetch->pause) {
        rate_pause(&fetch->rate, fetch->last_ms);
    }
    return true;
}

/** The same for a body with a label: what the decoder makes of it. A reader
 * that pauses in the middle has libcurl bring these bytes again. */
static size_t hand_over_decoded(struct fetch *fetch, const char *bytes,
                                size_t len)
{
    if (fetch->skip > len) {
        fetch->skip -= len;
        return len;
    }
    struct str in = {bytes + fetch->skip, len - fetch->skip};
    fetch->skip = 0;
    for (;;) {
        char piece[PIECE_BYTES];
        size_t n = 0;
        const enum decode_end end = decoder_turn(fetch->decoder, &in, false,
                                                 piece, sizeof piece, &n);
        if (n > 0 && !hand_over(fetch, piece, n)) {
            return 0;
        }
        if (end == DECODE_BAD) {
            cant_decode(fetch, "can't be undone");
            return 0;
        }
        if (end == DECODE_MORE) {
            return len;
        }
        if (fetch->pause) {
            fetch->skip = (size_t)(in.at - bytes);
            fetch->paused = true;
            return CURL_WRITEFUNC_PAUSE;
        }
    }
}

static bool needs_decoder(const struct fetch *fetch)
{
    return fetch->coding[0] && !fetch->decoder &&
           !str_eq_nocase(str_of(fetch->coding), STR("identity"));
}

static size_t on_body(char *bytes, size_t size, size_t n, void *context)
{
    struct fetch *fetch = context;
    const size_t len = size * n;
    const int status = fetch_status(fetch);
    if (status < 200 || status > 299) {
        moved(fetch, len);
        fetch->error_bytes += (int64_t)len;
        return fetch->error_bytes <= ERROR_BODY_MAX ? len : 0;
    }
    if (fetch->pause) {
        fetch->paused = true; /* these bytes come again */
        return CURL_WRITEFUNC_PAUSE;
    }
    moved(fetch, len);
    if (needs_decoder(fetch)) {
        fetch->decoder = decoder_new(str_of(fetch->coding));
        if (!fetch->decoder) {
            cant_decode(fetch, "there was no memory to undo");
            return 0;
        }
    }
    if (fetch->decoder) {
        return hand_over_decoded(fetch, bytes, len);
    }
    return hand_over(fetch, bytes, len) ? len : 0;
}

/** The body is over: what the decoder still has, and whether that was all. */
static void finish_decoder(struct fetch *fetch)
{
    char piece[PIECE_BYTES];
    struct str none = {"", 0};
    size_t n = 0;
    const enum decode_end end =
        decoder_turn(fetch->decoder, &none, true, piece, sizeof piece, &n);
    if (end == DECODE_BAD) {
        cant_decode(fetch, "can't be undone");
    } else if (n > 0 && !hand_over(fetch, piece, n)) {
        return;
    } else if (is_coded(fetch) && !decoder_is_done(fetch->decoder)) {
        cant_decode(fetch, "ends in its middle");
    } else if (is_coded(fetch)) {
        fetch->length = fetch->bytes; /* its own end proves it whole */
    }
}

/** What no byte of a body has told yet. */
void fetch_finish_body(struct fetch *fetch, int status)
{
    if (fetch->decoder) {
        finish_decoder(fetch);
    }
    if (!fetch->head_told && !fetch->encoded) {
        tell_head(fetch, status); /* an empty body calls nobody */
    }
}

void fetch_listen(struct fetch *fetch)
{
    CURL *easy = fetch->easy;
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_prereq);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->error);
}
