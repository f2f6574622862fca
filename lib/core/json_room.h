#ifndef CORE_JSON_ROOM_H
#define CORE_JSON_ROOM_H

#include <stdbool.h>

/**
 * Room for the values of one text: jansson makes them one behind the other, and
 * they are dropped together, instead of each by itself. For request.c: with a
 * message a third of its reading would go into malloc() and free().
 *
 * Between begin and end every value that this thread makes is in the room, and
 * none that was there before may be let go of. Other threads are not concerned.
 */
void json_room_begin(void);

/** Its values are gone: json_decref() of none of them. false: there was no
 * memory for some. */
bool json_room_end(void);

#endif
