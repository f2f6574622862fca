#ifndef PIXVERSE_CTL_DOCTOR_STORAGE_H
#define PIXVERSE_CTL_DOCTOR_STORAGE_H

#include "doctor_words.h"

/**
 * Whether what was told as completed is in storage, as long as was told; and
 * whether all that is stored under names of ours was told. A page of each at a
 * time, however much there is.
 *
 * @param rows_max  Of the newest completed requests.
 * @return          false after saying why the database can't be asked.
 */
bool doctor_storage(struct doctor *doctor, int64_t rows_max);

#endif
