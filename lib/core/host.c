#include "core/host.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define LABEL_POINTS_MAX 63
#define LABEL_BYTES_MAX 63

/* ---- mapping (UTS 46, as far as it is certain) ---- */

/* Letters that stand for themselves in every version of the rules. */
static const struct {
    uint32_t first;
    uint32_t last;
} plain_letters[] = {
    {0xdf, 0xf6},       {0xf8, 0xff}, /* Latin */
    {0x101, 0x131},     {0x135, 0x137},   {0x13a, 0x13e},
    {0x142, 0x148},     {0x14b, 0x17e},   {0x3ac, 0x3ce},   /* Greek */
    {0x430, 0x45f},     {0x48b, 0x4bf},   {0x4d1, 0x52f},   /* Cyrillic */
    {0x561, 0x586},                                         /* Armenian */
    {0x5d0, 0x5ea},                                         /* Hebrew */
    {0x621, 0x63a},     {0x641, 0x64a},   {0x679, 0x6be},   /* Arabic */
    {0x6cc, 0x6cc},     {0x6f0, 0x6f9},   {0x10d0, 0x10f0}, /* Georgian */
    {0x3005, 0x3007},   {0x3041, 0x3096}, {0x30a1, 0x30fa}, /* Japanese */
    {0x30fc, 0x30fe},   {0x3400, 0x4dbf}, {0x4e00, 0x9fff},
    {0x20000, 0x2a6df}, /* Han */
    {0xac00, 0xd7a3},   /* Hangul */
};

/* Capitals and what is added for their small letters; step 2: every second
 * one is a capital. */
static const struct {
    uint32_t first;
    uint32_t last;
    uint32_t step;
    uint32_t add;
} capitals[] = {
    {'A', 'Z', 1, 32},     {0xc0, 0xd6, 1, 32},   {0xd8, 0xde, 1, 32},
    {0x100, 0x12e, 2, 1},  {0x134, 0x136, 2, 1},  {0x139, 0x13d, 2, 1},
    {0x141, 0x147, 2, 1},  {0x14a, 0x176, 2, 1},  {0x179, 0x17d, 2, 1},
    {0x386, 0x386, 1, 38}, {0x388, 0x38a, 1, 37}, {0x38c, 0x38c, 1, 64},
    {0x38e, 0x38f, 1, 63}, {0x391, 0x3a1, 1, 32}, {0x3a3, 0x3ab, 1, 32},
    {0x400, 0x40f, 1, 80}, {0x410, 0x42f, 1, 32}, {0x48a, 0x4be, 2, 1},
    {0x4d0, 0x52e, 2, 1},  {0x531, 0x556, 1, 48},
};

/* A letter and the mark behind it, and the one letter of both. */
static const struct {
    uint32_t mark;
    const char *letters;
    uint32_t whole[6];
} marked[] = {
    {0x300, "aeiou", {0xe0, 0xe8, 0xec, 0xf2, 0xf9}},
    {0x301, "aeiouy", {0xe1, 0xe9, 0xed, 0xf3, 0xfa, 0xfd}},
    {0x302, "aeiou", {0xe2, 0xea, 0xee, 0xf4, 0xfb}},
    {0x303, "ano", {0xe3, 0xf1, 0xf5}},
    {0x308, "aeiouy", {0xe4, 0xeb, 0xef, 0xf6, 0xfc, 0xff}},
    {0x30a, "au", {0xe5, 0x16f}},
    {0x30c, "cszenr", {0x10d, 0x161, 0x17e, 0x11b, 0x148, 0x159}},
    {0x327, "cs", {0xe7, 0x15f}},
};

static uint32_t small_letter(uint32_t point)
{
    for (size_t i = 0; i < COUNT(capitals); i++) {
        if (point >= capitals[i].first && point <= capitals[i].last &&
            (point - capitals[i].first) % capitals[i].step == 0) {
            return point + capitals[i].add;
        }
    }
    return point;
}

/** The letter that a mark makes of the one before it; 0: none that we know. */
static uint32_t with_mark(uint32_t letter, uint32_t mark)
{
    for (size_t i = 0; i < COUNT(marked); i++) {
        const char *at = letter > 0 && letter < 0x80 && marked[i].mark == mark
                             ? strchr(marked[i].letters, (int)letter)
                             : NULL;
        if (at) {
            return marked[i].whole[at - marked[i].letters];
        }
    }
    return 0;
}

static bool is_plain(uint32_t point)
{
    if (point < 0x80) {
        return (point >= '0' && point <= '9') ||
               (point >= 'a' && point <= 'z') || point == '-' || point == '_';
    }
    if (point == 0x130 || point == 0x149 || point == 0x178) {
        return false; /* not themselves, though their neighbours are */
    }
    for (size_t i = 0; i < COUNT(plain_letters); i++) {
        if (point >= plain_letters[i].first && point <= plain_letters[i].last) {
            return true;
        }
    }
    return false;
}

/** The first code point of valid UTF-8. */
static uint32_t point_of(struct str text, size_t bytes)
{
    assert(bytes >= 1 && bytes <= 4 && bytes <= text.len);
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = (unsigned char)text.at[0] & masks[bytes];
    for (size_t i = 1; i < bytes; i++) {
        point = point << 6 | ((unsigned char)text.at[i] & 0x3f);
    }
    return point;
}

static uint32_t narrow(uint32_t point)
{
    if (point == 0x3002 || point == 0xff61) {
        return '.';
    }
    return point >= 0xff01 && point <= 0xff5e ? point - 0xfee0 : point;
}

/* ---- Punycode (RFC 3492 6.3; the names are its own) ---- */

enum { BASE = 36, T_MIN = 1, T_MAX = 26, SKEW = 38, DAMP = 700 };

static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
    assert(points > 0);
    uint32_t k = 0;
    delta = first ? delta / DAMP : delta / 2;
    delta += delta / points;
    for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE) {
        delta /= BASE - T_MIN;
    }
    return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

static char digit_of(uint32_t value)
{
    assert(value < BASE);
    return (char)(value < 26 ? 'a' + value : '0' + value - 26);
}

/** A text that is being made, of a length that it must not pass. */
struct name {
    char *at;
    size_t len;
    size_t max;
    bool failed;
};

static void add(struct name *name, char c)
{
    assert(name->at && name->len <= name->max);
    name->failed = name->failed || name->len == name->max;
    if (!name->failed) {
        name->at[name->len++] = c;
    }
}

static void add_number(struct name *name, uint32_t q, uint32_t bias)
{
    for (uint32_t k = BASE;; k += BASE) {
        uint32_t t = k <= bias ? T_MIN : k - bias;
        t = t > T_MAX ? T_MAX : t;
        if (q < t) {
            break;
        }
        add(name, digit_of(t + (q - t) % (BASE - t)));
        q = (q - t) / (BASE - t);
    }
    add(name, digit_of(q));
}

/** 63 points of at most 21 bits: delta stays within 32 bits. */
static void add_punycode(struct name *name, const uint32_t *points, size_t len)
{
    assert(len > 0 && len <= LABEL_POINTS_MAX);
    uint32_t n = 0x80;
    uint32_t bias = 72;
    uint32_t delta = 0;
    uint32_t basic = 0;
    for (size_t i = 0; i < len; i++) {
        if (points[i] < 0x80) {
            add(name, (char)points[i]);
            basic++;
        }
    }
    if (basic) {
        add(name, '-');
    }
    for (uint32_t h = basic; h < len; delta++, n++) {
        uint32_t least = UINT32_MAX;
        for (size_t i = 0; i < len; i++) {
            least = points[i] >= n && points[i] < least ? points[i] : least;
        }
        delta += (least - n) * (h + 1);
        n = least;
        for (size_t i = 0; i < len; i++) {
            delta += points[i] < n;
            if (points[i] == n) {
                add_number(name, delta, bias);
                bias = adapt(delta, h + 1, h == basic);
                delta = 0;
                h++;
            }
        }
    }
}

/* ---- names ---- */

struct label {
    uint32_t points[LABEL_POINTS_MAX];
    size_t len;
    bool ascii;
};

static void add_label(struct name *name, const struct label *label)
{
    assert(label->len <= LABEL_POINTS_MAX);
    char room[LABEL_BYTES_MAX];
    struct name made = {.at = room, .max = sizeof room};
    if (label->ascii) {
        for (size_t i = 0; i < label->len; i++) {
            add(&made, (char)label->points[i]);
        }
    } else {
        for (const char *c = "xn--"; *c; c++) {
            add(&made, *c);
        }
        add_punycode(&made, label->points, label->len);
    }
    name->failed = name->failed || made.failed || label->len == 0;
    for (size_t i = 0; i < made.len; i++) {
        add(name, room[i]);
    }
}

/** One more letter, or the mark of the last one. */
static bool add_point(struct label *label, uint32_t point)
{
    assert(label->len <= LABEL_POINTS_MAX);
    const uint32_t whole =
        label->len ? with_mark(label->points[label->len - 1], point) : 0;
    if (whole) {
        label->points[label->len - 1] = whole;
        label->ascii = false;
        return true;
    }
    point = small_letter(point);
    if (!is_plain(point) || label->len == LABEL_POINTS_MAX) {
        return false;
    }
    label->ascii = label->ascii && point < 0x80;
    label->points[label->len++] = point;
    return true;
}

bool host_to_ascii(struct str host, char out[static HOST_BYTES_MAX + 1])
{
    char room[HOST_BYTES_MAX];
    struct name name = {.at = room, .max = sizeof room};
    struct label label = {.ascii = true};
    while (host.len > 0) {
        const size_t bytes = str_point_bytes(host);
        if (bytes == 0) {
            return false;
        }
        const uint32_t point = narrow(point_of(host, bytes));
        if (point == '.') {
            add_label(&name, &label);
            add(&name, '.');
            label = (struct label){.ascii = true};
        } else if (!add_point(&label, point)) {
            return false;
        }
        host.at += bytes;
        host.len -= bytes;
    }
    if (label.len > 0 || name.len == 0) {
        add_label(&name, &label); /* else it ended in the root's dot */
    }
    if (name.failed) {
        return false;
    }
    memcpy(out, room, name.len);
    out[name.len] = '\0';
    return true;
}
