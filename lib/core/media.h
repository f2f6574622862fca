#ifndef CORE_MEDIA_H
#define CORE_MEDIA_H

#include "base/str.h"
#include "core/codec.h"

#include <stdbool.h>
#include <stdint.h>

/**
 * What a film is, as its own boxes say (ISO/IEC 14496-12): its picture, length
 * and sound. What can't be read is not known; nothing is guessed.
 */

#define MEDIA_TRACKS_MAX 4 /* of picture and sound */

enum media_audio {
    MEDIA_AUDIO_UNKNOWN,
    MEDIA_AUDIO_NONE,
    MEDIA_AUDIO_THERE, /* a track of sound, silent or not */
};

/** What is told of a film. All zero: nothing is known. */
struct media {
    int32_t width; /* pixels as displayed, turned as its matrix says */
    int32_t height;
    int64_t duration_ms;
    int32_t frame_rate_milli; /* thousandths of a frame a second, on average */
    enum media_audio audio;
    /* RFC 6381, in the tracks' order, each once; the first empty one ends it */
    char codecs[MEDIA_TRACKS_MAX][CODEC_BYTES];
};

/** Whether anything is. */
bool media_is_known(const struct media *media);

/** How boxes turn and stretch a picture: 16.16, its four numbers that count. */
struct media_matrix {
    int32_t a, b, c, d;
};

struct media_track {
    uint32_t id;
    bool video; /* else sound */
    bool enabled;
    bool counted; /* samples and ticks are all that came so far */
    bool has_run_ticks;
    uint32_t run_ticks;   /* of a sample in a fragment that doesn't say */
    uint32_t timescale;   /* ticks in a second */
    uint64_t media_ticks; /* what mdhd says; 0: nothing */
    uint64_t samples;
    uint64_t ticks;
    uint64_t width; /* 16.16, by its own matrix; 0: not known */
    uint64_t height;
    char codec[CODEC_BYTES]; /* "": can't be told */
};

/** A film that is being read. */
struct media_scan {
    struct media_track tracks[MEDIA_TRACKS_MAX];
    size_t tracks_len;
    bool read;           /* its moov */
    bool fragmented;     /* more of it comes in fragments */
    bool missed;         /* something of it could not be read */
    int64_t movie_ms;    /* what moov says of all of it; 0: nothing */
    int64_t extended_ms; /* the same, with its fragments */
    struct media_matrix matrix;
};

/** @param body  Of a moov box, behind its head; of several the first counts. */
void media_read_moov(struct media_scan *scan, struct str body);

/** @param body  Of a moof box that lies behind the moov. */
void media_read_moof(struct media_scan *scan, struct str body);

/** A moov or moof was too large to be kept, or there was no memory for it. */
void media_miss(struct media_scan *scan);

/** What is known by now. */
void media_tell(const struct media_scan *scan, struct media *media);

#endif
