#ifndef TESTS_EDGE_TLS_H
#define TESTS_EDGE_TLS_H

/** `openssl s_server`, or nginx for HTTP/2, as a TLS server of a test, with a
 * certificate of its own. */

#include "edge/web.h"

#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>

struct tls {
    pid_t pid;
    char folder[32]; /* c.pem and k.pem, and with -HTTP the replies by path */
    char cert[64];
};

static inline bool tls_is_listening(const char *host, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, host, &address.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool on = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return on;
}

static inline void tls_exec(const struct tls *tls, const char *host, int port,
                            const char *mode)
{
    char listen_on[64];
    snprintf(listen_on, sizeof listen_on, "%s:%d", host, port);
    if (chdir(tls->folder) == 0 && freopen("/dev/null", "w", stdout) &&
        freopen("/dev/null", "w", stderr) && freopen("/dev/null", "r", stdin)) {
        execlp("openssl", "openssl", "s_server", "-accept", listen_on, "-cert",
               "c.pem", "-key", "k.pem", mode, (char *)NULL);
    }
    _exit(1);
}

/** The folder and the certificate; false: there is no openssl here. */
static inline bool tls_certify(struct tls *tls, const char *host)
{
    char command[512];
    snprintf(tls->folder, sizeof tls->folder, "/tmp/test-tls-XXXXXX");
    if (!mkdtemp(tls->folder)) {
        return false;
    }
    snprintf(tls->cert, sizeof tls->cert, "%s/c.pem", tls->folder);
    snprintf(command, sizeof command,
             "cd %s && openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
             "-subj /CN=localhost -addext subjectAltName=IP:%s "
             "-keyout k.pem -out c.pem >/dev/null 2>&1",
             tls->folder, host);
    if (system(command) != 0) {
        rmdir(tls->folder);
        return false;
    }
    return true;
}

static inline bool tls_await(const char *host, int port)
{
    for (int i = 0; i < 1000; i++) {
        if (tls_is_listening(host, port)) {
            return true;
        }
        web_sleep_ms(10);
    }
    return false;
}

/**
 * @param mode  -www: any path has a page; -HTTP: a path is a file with a reply.
 * @return      false: there is no openssl here.
 */
static inline bool tls_start(struct tls *tls, const char *host, int port,
                             const char *mode)
{
    if (!tls_certify(tls, host)) {
        return false;
    }
    tls->pid = fork();
    if (tls->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves none */
        tls_exec(tls, host, port, mode);
    }
    tls_await(host, port);
    return true;
}

/**
 * nginx with HTTP/2, which answers any GET with {}.
 *
 * @param directives  Of its own: "return 200 'x';". "": none.
 */
static inline bool tls_start_nginx(struct tls *tls, int port,
                                   const char *directives)
{
    char path[64];
    if (!tls_certify(tls, "127.0.0.1,DNS:localhost")) {
        return false;
    }
    snprintf(path, sizeof path, "%s/nginx.conf", tls->folder);
    FILE *file = fopen(path, "w");
    if (!file) {
        return false;
    }
    fprintf(file,
            "daemon off; master_process off; pid nginx.pid;\n"
            "events {}\n"
            "http { access_log off; client_body_temp_path t; proxy_temp_path t;"
            " fastcgi_temp_path t; uwsgi_temp_path t; scgi_temp_path t;"
            " server { listen 127.0.0.1:%d ssl http2; ssl_certificate c.pem;"
            " ssl_certificate_key k.pem; default_type application/json; %s"
            " location / { return 200 '{}'; } } }\n",
            port, directives);
    fclose(file);
    tls->pid = fork();
    if (tls->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves none */
        const char *null = "/dev/null";
        if (freopen(null, "w", stdout) && freopen(null, "w", stderr)) {
            execlp("nginx", "nginx", "-p", tls->folder, "-c", path, "-e",
                   "error.log", (char *)NULL);
            execl("/usr/sbin/nginx", "nginx", "-p", tls->folder, "-c", path,
                  "-e", "error.log", (char *)NULL);
        }
        _exit(1);
    }
    return tls_await("127.0.0.1", port);
}

static inline void tls_stop(struct tls *tls)
{
    char command[64];
    kill(tls->pid, SIGKILL);
    waitpid(tls->pid, NULL, 0);
    snprintf(command, sizeof command, "rm -r %s", tls->folder);
    if (system(command) != 0) {
        perror(command);
    }
}

#endif
