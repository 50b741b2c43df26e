/* date.h: dates as HTTP writes them. All are UTC, in seconds since 1970-01-01. */
#ifndef HTTPD_DATE_H
#define HTTPD_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

enum { DATE_TEXT_SIZE = 32 };

/** "Sun, 06 Nov 1994 08:49:37 GMT". What lies outside the years 1 to 9999 becomes their end. */
void date_write(int64_t seconds, char text[DATE_TEXT_SIZE]);

/** "06/Nov/1994:08:49:37 +0000", as access logs have it. */
void date_write_log(int64_t seconds, char text[DATE_TEXT_SIZE]);

/** Reads the form above, and the two older ones that HTTP still allows:
 *  "Sunday, 06-Nov-94 08:49:37 GMT" and "Sun Nov  6 08:49:37 1994". False: it is none of them. */
bool date_read(struct piece piece, int64_t *seconds);

#endif
