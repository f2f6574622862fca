#ifndef CORE_REQUEST_FIELDS_H
#define CORE_REQUEST_FIELDS_H

#include "core/reading.h"
#include "core/request_mode.h"

/**
 * The fields of a request, as a table, and the judge of one of them. For
 * request.c and request_body.c only: what others need is in request.h.
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

#define BODY_FIELDS 17 /* how many body_fields has */

/** Judge one field that is there; false if it got a fault. */
bool field_judge(struct reading *reading, const struct field *field,
                 const json_t *value);

/** The field of that name, or null. */
const struct field *field_find(const struct field_table *table,
                               struct str name);

/** The name that was probably meant, or null. */
const char *field_nearest(const struct field_table *table, struct str name);

#endif
