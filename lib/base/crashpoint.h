#ifndef BASE_CRASHPOINT_H
#define BASE_CRASHPOINT_H

/**
 * Named points at which a test has the process killed: before and after each
 * durable step. Only builds with -DCRASHPOINTS=ON have them.
 *
 * PIXVERSE_CRASHPOINT=name[:n] arms one: the n-th time (the first, without n)
 * that any thread comes by, the process gets SIGKILL. The names of all points
 * of a program stand in its ELF section `crashpoints`, each ended by NULs:
 *
 *     objcopy -O binary --only-section=crashpoints pixverse-worker /dev/stdout
 */

void crashpoint_reached(const char *name);

#define CRASHPOINT_NAME_BYTES 40

#ifdef CRASHPOINTS
#define CRASHPOINT(name)                                                       \
    do {                                                                       \
        static const char crashpoint_name[CRASHPOINT_NAME_BYTES]               \
            __attribute__((section("crashpoints"), used)) = name;              \
        crashpoint_reached(crashpoint_name);                                   \
    } while (0)
#define CRASHPOINT_IF(condition, name)                                         \
    do {                                                                       \
        if (condition) {                                                       \
            CRASHPOINT(name);                                                  \
        }                                                                      \
    } while (0)
#else
#define CRASHPOINT(name) ((void)0)
#define CRASHPOINT_IF(condition, name) ((void)0)
#endif

#endif
