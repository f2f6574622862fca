#include "base/process.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(clockid_t clock)
{
    struct timespec at;
    return clock_gettime(clock, &at) == 0
               ? (double)at.tv_sec + (double)at.tv_nsec / 1e9
               : NAN;
}

static void read_memory(struct process_usage *usage)
{
    unsigned long long pages[2] = {0};
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%llu %llu", &pages[0], &pages[1]) == 2) {
        const double page = (double)sysconf(_SC_PAGESIZE);
        usage->virtual_bytes = (double)pages[0] * page;
        usage->resident_bytes = (double)pages[1] * page;
    }
    if (file) {
        fclose(file);
    }
}

/** The 22nd field: ticks from the machine's boot to our start. */
static double start_ticks(void)
{
    char text[1024];
    FILE *file = fopen("/proc/self/stat", "re");
    if (!file) {
        return NAN;
    }
    const size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = '\0';
    const char *at = strrchr(text, ')'); /* the name may hold anything */
    unsigned long long ticks = 0;
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    return at && sscanf(at, " %llu", &ticks) == 1 ? (double)ticks : NAN;
}

static double count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder) {
        return NAN;
    }
    double fds = 0;
    for (const struct dirent *entry; (entry = readdir(folder));) {
        fds += entry->d_name[0] != '.';
    }
    closedir(folder);
    return fds - 1; /* the folder's own */
}

void process_usage(struct process_usage *usage)
{
    struct rlimit limit;
    *usage = (struct process_usage){
        .cpu_seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID),
        .resident_bytes = NAN,
        .virtual_bytes = NAN,
        .open_fds = count_fds(),
        .max_fds = NAN,
        .start_seconds = seconds_of(CLOCK_REALTIME) -
                         seconds_of(CLOCK_BOOTTIME) +
                         start_ticks() / (double)sysconf(_SC_CLK_TCK),
    };
    read_memory(usage);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        usage->max_fds =
            limit.rlim_cur == RLIM_INFINITY ? INFINITY : (double)limit.rlim_cur;
    }
}
