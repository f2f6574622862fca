#ifndef BASE_PROCESS_H
#define BASE_PROCESS_H

/** What this process uses, in the units of Prometheus' process_* metrics. What
 * can't be read is NaN. */
struct process_usage {
    double cpu_seconds; /* user and system */
    double resident_bytes;
    double virtual_bytes;
    double open_fds;
    double max_fds;
    double start_seconds; /* since the Unix epoch */
};

/** Reads /proc, which waits for no disk. */
void process_usage(struct process_usage *usage);

#endif
