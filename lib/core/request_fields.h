#ifndef CORE_REQUEST_FIELDS_H
#define CORE_REQUEST_FIELDS_H

#include "core/json.h"
#include "core/request.h"

/**
 * The fields of a request, as a table, and the judge of one of them. Inside
 * of request.c only: what others need is in request.h.
 */

enum field_shape {
    SHAPE_TEXT,    /* least..most code points; blank only if empty is allowed */
    SHAPE_CHOICE,  /* one of `words` */
    SHAPE_INTEGER, /* least..most */
    SHAPE_SWITCH,  /* true or false */
    SHAPE_URL,
    SHAPE_URLS,   /* least..most elements */
    SHAPE_NAME,   /* [A-Za-z0-9._-], first a letter or digit, at most `most` */
    SHAPE_ID,     /* visible ASCII, at most `most` */
    SHAPE_OBJECT, /* at most `most` bytes as compact JSON; 0: any */
};

#define MODE_BIT(mode) (1u << (mode))
#define MODES_ALL                                                              \
    (MODE_BIT(MODE_TEXT) | MODE_BIT(MODE_IMAGE) | MODE_BIT(MODE_TRANSITION) |  \
     MODE_BIT(MODE_FUSION) | MODE_BIT(MODE_EXTEND))

struct field {
    const char *name;
    enum field_shape shape;
    int64_t least;
    int64_t most;
    const char *words;        /* SHAPE_CHOICE: separated by spaces */
    const char *allowed;      /* in words, for messages */
    const char *usual;        /* its default as JSON; null: none */
    unsigned modes;           /* MODE_BITs in which it is sent */
    enum request_mode starts; /* the mode that its presence asks for */
};

struct field_table {
    const struct field *fields;
    size_t len;
};

extern const struct field_table envelope_fields; /* beside `request` */
extern const struct field_table body_fields;     /* inside `request` */

/** One message being read: where its faults and warnings go. */
struct reading {
    struct arena *arena;
    struct details faults;
    struct details warnings;
    size_t faults_all; /* the details keep REQUEST_DETAILS_MAX of them */
    size_t warnings_all;
};

/** Copies what it keeps; past REQUEST_DETAILS_MAX it only counts. */
void reading_fault(struct reading *reading, struct str field, const char *code,
                   const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void reading_warning(struct reading *reading, struct str field,
                     const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** Whether a fault from now on is only counted: no words need be found for it,
 * and no memory taken. */
bool reading_is_full(const struct reading *reading);

/** A value for a message, cut at 100 code points; never a URL's query. */
const char *reading_quote(struct reading *reading, const json_t *value);

/**
 * Fault for a name that no table has.
 *
 * @param nearest  The name that was probably meant, or null.
 * @param place    Where a field of that very name belongs, or null.
 */
void reading_unknown(struct reading *reading, struct str name,
                     const char *nearest, const char *place);

/** Judge one field that is there; false if it got a fault. */
bool field_judge(struct reading *reading, const struct field *field,
                 const json_t *value);

/** The field of that name, or null. */
const struct field *field_find(const struct field_table *table,
                               struct str name);

/** The name that was probably meant, or null. */
const char *field_nearest(const struct field_table *table, struct str name);

/** Judge the body, tell its mode, and write what will be sent. */
void body_read(struct reading *reading, const json_t *body,
               struct request *request);

#endif
