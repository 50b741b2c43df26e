/* path.h: the guard of the served folder: which request paths name something in it.
 *
 * Pure text, the same on every system: what any system could take for a way out, a device or another name of
 * a file is refused on all of them. Links are not seen here; pl_file_options.beneath stops those.
 */
#ifndef HTTPD_PATH_H
#define HTTPD_PATH_H

#include <stdbool.h>

#include "text.h"

/** Turns the path of a request ("/a%20b/c/") into one relative to the folder ("a b/c").
 *  @param is_folder  whether it ended with "/"
 *  @return 0, or the HTTP status of the refusal: 400: it is malformed; 404: nothing of that name is served.
 */
int path_read(struct piece path, struct text *relative, bool *is_folder);

/** Whether a file or folder of this name is served (UTF-8, no "/" in it). */
bool path_serves_name(const char *name, size_t size);

#endif
