#include "console_guard.h"

#include "console_reply.h"

#include "core/json.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#define TOKEN_BYTES_MIN 16
#define TOKEN_BYTES_MAX 1024
#define COOKIE "pixverse_console"

/* ---- the token ---- */

bool guard_read_token(struct console *console, const char *path)
{
    char text[TOKEN_BYTES_MAX + 2];
    FILE *file = fopen(path, "re");
    if (!file) {
        ctl_usage("console", "--auth-token-file \"%s\": %s", path,
                  strerror(errno));
        return false;
    }
    const size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    const struct str token = str_trim((struct str){text, len});
    if (token.len < TOKEN_BYTES_MIN || token.len > TOKEN_BYTES_MAX ||
        memchr(token.at, '\0', token.len)) {
        ctl_usage("console",
                  "--auth-token-file \"%s\" has %zu bytes, allowed: a text of "
                  "%d..%d bytes (openssl rand -hex 32 makes one)",
                  path, token.len, TOKEN_BYTES_MIN, TOKEN_BYTES_MAX);
        return false;
    }
    console->token = strndup(token.at, token.len);
    return console->token != NULL;
}

/** Takes as long whatever the difference. */
static bool same_secret(const char *mine, const char *theirs)
{
    const size_t len = strlen(mine);
    const size_t their_len = strlen(theirs);
    unsigned char differs = len != their_len;
    for (size_t i = 0; i < len; i++) {
        differs |=
            (unsigned char)(mine[i] ^ theirs[their_len ? i % their_len : 0]);
    }
    return !differs;
}

static bool new_session(struct console *console, char session[SESSION_BYTES])
{
    unsigned char random[SESSION_BYTES / 2];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return false;
    }
    str_hex(random, sizeof random, session);
    pthread_mutex_lock(&console->lock);
    memcpy(console->sessions[console->sessions_ever++ % SESSIONS_MAX], session,
           SESSION_BYTES);
    pthread_mutex_unlock(&console->lock);
    return true;
}

/** The session's place is emptied when `end`. */
static bool has_session(struct console *console, const struct page_ask *ask,
                        bool end)
{
    const char *cookie = page_cookie(ask, COOKIE);
    bool has = false;
    pthread_mutex_lock(&console->lock);
    for (size_t i = 0; cookie && i < SESSIONS_MAX; i++) {
        if (console->sessions[i][0] &&
            same_secret(console->sessions[i], cookie)) {
            has = true;
            console->sessions[i][0] = end ? '\0' : console->sessions[i][0];
        }
    }
    pthread_mutex_unlock(&console->lock);
    return has;
}

static bool has_token(const struct console *console, const struct page_ask *ask)
{
    const char *header = page_header(ask, "Authorization");
    return header && strncasecmp(header, "Bearer ", 7) == 0 &&
           same_secret(console->token, header + 7);
}

static void set_cookie(struct page_answer *answer, const char *session,
                       char *room, size_t room_bytes)
{
    snprintf(room, room_bytes,
             COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict%s", session,
             session[0] ? "" : "; Max-Age=0");
    answer->cookie = room;
}

void guard_login(struct console *console, const struct page_ask *ask,
                 struct page_answer *answer)
{
    static _Thread_local char cookie[120]; /* until the answer is made */
    bool no_memory = false;
    char session[SESSION_BYTES];
    json_t *body = json_read(ask->body, &no_memory);
    const bool good =
        !console->token || same_secret(console->token, row_text(body, "token"));
    json_decref(body);
    if (!good) {
        /* Who guesses waits, with a connection of a few. */
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        fprintf(stderr, "pixverse-ctl console: %s gave a wrong token\n",
                ask->from);
        console_refuse(answer, 403, "this is not the token");
    } else if (!new_session(console, session)) {
        console_refuse(answer, 503, "no random numbers");
    } else {
        set_cookie(answer, session, cookie, sizeof cookie);
        answer->content_type = "application/json";
        buf_add_text(answer->body, "{}");
    }
}

void guard_logout(struct console *console, const struct page_ask *ask,
                  struct page_answer *answer)
{
    static _Thread_local char cookie[120];
    has_session(console, ask, true);
    set_cookie(answer, "", cookie, sizeof cookie);
    answer->content_type = "application/json";
    buf_add_text(answer->body, "{}");
}

/* ---- where it is asked from ---- */

bool guard_is_loopback(const char *listen)
{
    char host[64];
    struct in_addr four;
    const char *colon = strrchr(listen, ':');
    const size_t len = colon ? (size_t)(colon - listen) : strlen(listen);
    if (len == 0 || len >= sizeof host) {
        return false;
    }
    memcpy(host, listen, len);
    host[len] = '\0';
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
           (inet_pton(AF_INET, host, &four) == 1 &&
            ntohl(four.s_addr) >> 24 == 127);
}

/**
 * A page of a stranger can make a name of its own lead here, and would then
 * read all of this as its own: only addresses, localhost and the names that
 * were given are answered.
 */
static bool is_known_host(const struct console *console, const char *header)
{
    char host[256];
    unsigned char address[sizeof(struct in6_addr)];
    size_t len =
        header[0] == '[' ? strcspn(header, "]") + 1 : strcspn(header, ":");
    if (len > strlen(header) || len >= sizeof host) {
        return false;
    }
    memcpy(host, header, len);
    host[len] = '\0';
    if (host[0] == '[') {
        host[len - 1] = '\0';
        return inet_pton(AF_INET6, host + 1, address) == 1;
    }
    for (size_t i = 0; i < console->hosts_len; i++) {
        if (strcasecmp(console->hosts[i], host) == 0) {
            return true;
        }
    }
    return strcasecmp(host, "localhost") == 0 ||
           inet_pton(AF_INET, host, address) == 1;
}

/** Nothing at all, or this very page: "http://" or "https://" and the Host. */
static bool is_own_origin(const struct page_ask *ask, const char *host)
{
    const char *origin = page_header(ask, "Origin");
    const char *site = page_header(ask, "Sec-Fetch-Site");
    if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) {
        return false;
    }
    if (!origin) {
        return true;
    }
    const char *rest = strncmp(origin, "http://", 7) == 0    ? origin + 7
                       : strncmp(origin, "https://", 8) == 0 ? origin + 8
                                                             : NULL;
    return rest && strcasecmp(rest, host) == 0;
}

/** A form of another page can't ask so: it sets no header of its own. */
static bool is_own_post(const struct page_ask *ask, const char *host)
{
    const char *type = page_header(ask, "Content-Type");
    return is_own_origin(ask, host) && type &&
           strncasecmp(type, "application/json", 16) == 0 &&
           page_header(ask, "X-Pixverse-Console") != NULL;
}

bool guard_lets_in(struct console *console, const struct page_ask *ask,
                   struct page_answer *answer)
{
    const char *host = page_header(ask, "Host");
    const bool post = strcmp(ask->method, "POST") == 0;
    const bool api = strncmp(ask->path, "/api/", 5) == 0;
    if (!host || !is_known_host(console, host)) {
        console_refuse(answer, 421,
                       "this console is not known as \"%s\", allowed: "
                       "addresses, localhost and what --host names",
                       host ? host : "");
        return false;
    }
    if (post && !is_own_post(ask, host)) {
        console_refuse(answer, 403,
                       "orders come from this console's own page alone");
        return false;
    }
    if (api && !is_own_origin(ask, host)) {
        console_refuse(answer, 403, "another site asks");
        return false;
    }
    if (console->token && api && strcmp(ask->path, "/api/login") != 0 &&
        !has_session(console, ask, false) && !has_token(console, ask)) {
        console_refuse(answer, 401, "the token is needed");
        return false;
    }
    return true;
}
