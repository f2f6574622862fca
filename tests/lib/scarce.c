/* Memory that is scarce: cc -shared -fPIC -o scarce.so scarce.c, then
 * LD_PRELOAD it; the sanitizers' build of the worker has it inside, with
 * SCARCE_WRAPS. Allocations of the program's own code, not of its libraries,
 * are refused while the file that SCARCE names says so: an array of int64_t,
 *
 *   [0]  refuse one in n, by chance, and the first of each place; 0: none
 *   [1]  how often the program has asked
 *   [2]  how often it was refused
 *   [3]  in how many places
 *   [4]  and from there: per place its address within the program, and how
 * often it has asked */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PLACES 1024

struct place {
    _Atomic int64_t at;
    _Atomic int64_t asked;
};

struct plan {
    _Atomic int64_t every;
    _Atomic int64_t asked;
    _Atomic int64_t refused;
    _Atomic int64_t places;
    struct place place[PLACES];
};

#ifdef SCARCE_WRAPS
#define OURS(name) __wrap_##name
#define REAL(name) __real_##name
#else
#define OURS(name) name
#define REAL(name) __libc_##name
#endif

void *REAL(malloc)(size_t bytes);
void *REAL(calloc)(size_t n, size_t bytes);
void *REAL(realloc)(void *at, size_t bytes);
void *OURS(malloc)(size_t bytes);
void *OURS(calloc)(size_t n, size_t bytes);
void *OURS(realloc)(void *at, size_t bytes);
char *OURS(strdup)(const char *text);
char *OURS(strndup)(const char *text, size_t len);

static struct plan *plan;
static uintptr_t base, from, to;

/** The first that is told of is the program itself. */
static int see(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    (void)context;
    base = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X)) {
            from = base + part->p_vaddr;
            to = from + part->p_memsz;
        }
    }
    return 1;
}

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("SCARCE");
    int fd = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *at =
        mmap(NULL, sizeof *plan, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    dl_iterate_phdr(see, NULL);
    plan = at == MAP_FAILED ? NULL : at;
}

/** The place's count, or null: there are too many. */
static struct place *place_of(int64_t at)
{
    for (size_t i = 0; i < PLACES; i++) {
        int64_t there = atomic_load(&plan->place[i].at);
        if (there == 0 &&
            atomic_compare_exchange_strong(&plan->place[i].at, &there, at)) {
            plan->places++;
            return &plan->place[i];
        }
        if (there == at) {
            return &plan->place[i];
        }
    }
    return NULL;
}

/** As good as chance, and the same for the same number. */
static uint64_t scattered(uint64_t number)
{
    number = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ (number >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return number ^ (number >> 32);
}

static bool refuses(const void *caller)
{
    const uintptr_t at = (uintptr_t)caller;
    const int64_t every = plan ? atomic_load(&plan->every) : 0;
    if (every == 0 || at < from || at >= to) {
        return false;
    }
    const uint64_t number = (uint64_t)atomic_fetch_add(&plan->asked, 1);
    struct place *place = place_of((int64_t)(at - base));
    const bool first = place && atomic_fetch_add(&place->asked, 1) == 0;
    if (!first && scattered(number) % (uint64_t)every != 0) {
        return false;
    }
    plan->refused++;
    errno = ENOMEM;
    return true;
}

/* In the functions themselves: what they return to is the place. */
#define REFUSED refuses(__builtin_return_address(0))

void *OURS(malloc)(size_t bytes)
{
    return REFUSED ? NULL : REAL(malloc)(bytes);
}

void *OURS(calloc)(size_t n, size_t bytes)
{
    return REFUSED ? NULL : REAL(calloc)(n, bytes);
}

void *OURS(realloc)(void *at, size_t bytes)
{
    return REFUSED ? NULL : REAL(realloc)(at, bytes);
}

static char *copy(const char *text, size_t len)
{
    char *at = REAL(malloc)(len + 1);
    if (at) {
        memcpy(at, text, len);
        at[len] = '\0';
    }
    return at;
}

char *OURS(strdup)(const char *text)
{
    return REFUSED ? NULL : copy(text, strlen(text));
}

char *OURS(strndup)(const char *text, size_t len)
{
    return REFUSED ? NULL : copy(text, strnlen(text, len));
}
