#ifndef CORE_ADDRESS_H
#define CORE_ADDRESS_H

#include <stdbool.h>

/**
 * Whether an address that a stranger wrote into a URL is a public one.
 *
 * @param family  4 or 6.
 * @param bytes   4 or 16 of them, network order. Mapped, 6to4, Teredo and NAT64
 *                forms are judged by the address inside.
 */
bool address_is_public(int family, const unsigned char *bytes);

/** Link-local and cloud metadata: refused even where private ones are
 * allowed. */
bool address_is_link_local(int family, const unsigned char *bytes);

#endif
