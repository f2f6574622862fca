#ifndef EDGE_WEB_DECODE_H
#define EDGE_WEB_DECODE_H

#include "base/buf.h"

/**
 * Bodies that came in a coding which nobody asked for (RFC 9110 8.4): gzip,
 * deflate, br and zstd are undone. What the bytes are decides, not what
 * `Content-Encoding` says: stores keep labels as they were given, and relays
 * forget to change them.
 */
struct decoder;

enum decode_end {
    DECODE_MORE, /* the input is used up */
    DECODE_ROOM, /* `out` is full, or could not take the next piece */
    DECODE_BAD,  /* broken, or in a coding that we don't know */
};

/**
 * @param label  Of Content-Encoding, its last coding; copied.
 * @return       null: no memory.
 */
struct decoder *decoder_new(struct str label);
void decoder_free(struct decoder *decoder); /* null: accepted */

/**
 * Go on. Nothing is decided before the first 16 bytes are there.
 *
 * @param in    Moves behind what was taken.
 * @param last  Nothing comes behind *in.
 * @param out   Room for at least 16 bytes.
 * @param len   Bytes written, also with DECODE_BAD.
 */
enum decode_end decoder_turn(struct decoder *decoder, struct str *in, bool last,
                             char *out, size_t room, size_t *len);

/** Known to be no coding: bytes pass as they are. */
bool decoder_is_plain(const struct decoder *decoder);

/** The coded stream has come to its own end; a plain one has none. */
bool decoder_is_done(const struct decoder *decoder);

/** A label as people are shown it: foreign bytes end in logs and rows. */
void decode_label_show(char *label);

enum decoded {
    DECODED_PLAIN,     /* it was not coded; `out` is empty */
    DECODED,           /* `out` is what was meant */
    DECODED_NOT,       /* `out` holds what could be read of it */
    DECODED_TOO_LARGE, /* over the limit of `out` */
};

/**
 * Undo all codings of a short text, JSON usually.
 *
 * @param labels  Content-Encoding, several in the order in which they were
 *                applied, between commas; absent: none.
 * @param out     With the limit that holds for what comes out; emptied first.
 */
enum decoded decode_text(struct str bytes, struct str labels, struct buf *out);

#endif
