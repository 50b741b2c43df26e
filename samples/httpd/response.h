/* response.h: writes the heads of responses, and the pages that are made here. Pure text, no input or output. */
#ifndef HTTPD_RESPONSE_H
#define HTTPD_RESPONSE_H

#include <stdbool.h>
#include <stdint.h>

#include <proloop/file.h>

#include "text.h"

enum { TAG_SIZE = 40 };

/** What the head of a response says. */
struct response {
    int status;
    bool keep_alive;
    int64_t now;              /* seconds since 1970 */
    const char *type;         /* of the body; NULL: there is none */
    int64_t size;             /* bytes of the body that HEAD leaves out too */
    const pl_file_info *file; /* the file that is sent; NULL: none */
    int64_t range_first;      /* of 206 */
    const char *folder;       /* of 301: where to go, as path_read gives it */
    struct piece query;       /* and what follows that, as it came */
};

void response_write_head(struct text *text, const struct response *response);

/** "Not Found". */
const char *response_reason(int status);

/** The body of an answer without a file: one line of plain text. */
void response_write_error_page(struct text *text, int status);

/** An HTML page of a folder. @param folder  as path_read gives it: "" or "folder/another" */
void response_write_listing(struct text *text, const char *folder, const pl_folder_listing *listing);

/** The content type of a file, by its name. */
const char *response_type(const char *name);

/** The entity tag of a file: its time and size, in quotes. */
void response_write_tag(const pl_file_info *file, char tag[TAG_SIZE]);

#endif
