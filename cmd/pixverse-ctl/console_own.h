#ifndef PIXVERSE_CTL_CONSOLE_OWN_H
#define PIXVERSE_CTL_CONSOLE_OWN_H

#include "console_run.h"
#include "ctl.h"
#include "edge/pages.h"

#include <pthread.h>

/** What the files of the console share; console.c opens it. */

#define SESSIONS_MAX 64
#define SESSION_BYTES 33 /* 32 hex, NUL */
#define HOSTS_MAX 16
#define POINTS_MAX 720 /* six hours, a point each half minute */
#define POINT_STATES 5

/** A point of the plots. */
struct point {
    int64_t time_ms;
    int64_t states[POINT_STATES]; /* queued … late, as console_live.c says */
    int64_t ended;                /* today, in UTC */
};

struct console {
    struct ctl *ctl;
    struct pages *pages;
    bool orders;
    const char *hosts[HOSTS_MAX]; /* names under which it may be asked */
    size_t hosts_len;

    /* who may ask; by `lock` */
    char *token; /* null: nobody needs one */
    char sessions[SESSIONS_MAX][SESSION_BYTES];
    size_t sessions_ever;
    pthread_mutex_t lock;

    /* what is seen; by `live_lock` */
    pthread_mutex_t live_lock;
    pthread_cond_t seen; /* another look, or the end */
    struct buf look;     /* {"watch":…,"top":…,"today":[…]} */
    struct buf today;    /* rows of stats, with commas between */
    int64_t today_ms;    /* when they were asked for; boot clock */
    uint64_t looks;
    int listeners;
    struct point points[POINTS_MAX];
    size_t points_ever;
    bool ending;
    pthread_t looker;
};

#endif
