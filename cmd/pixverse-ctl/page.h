#ifndef PIXVERSE_CTL_PAGE_H
#define PIXVERSE_CTL_PAGE_H

#include <stddef.h>

/** A file of page/, inside the program (page/embed.cmake). */
struct page_file {
    const char *path; /* "/console.js" */
    const char *content_type;
    const char *bytes;
    size_t len;
};

extern const struct page_file page_files[]; /* ends with a null path */

#endif
