/* Answers requests: finds out what a path means, and sends it.
 *
 * Each function that answers sends one response, whatever its status, and returns >= 0; a negative code means
 * that the connection is of no use any more.
 */
#include "answer.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "date.h"
#include "path.h"
#include "response.h"

enum {
    SMALL_FILE = 64 * 1024, /* goes out in one write with the head */
    PIECE_SIZE = 256 * 1024 /* of larger files: so much must go out within transfer_time */
};

static int64_t answer_folder(struct connection *c, const struct request *request, pl_file *folder);
static int64_t answer_listing(struct connection *c, pl_file *folder);
static int64_t answer_redirect(struct connection *c, const struct request *request);
static int64_t answer_file(struct connection *c, const struct request *request, pl_file *file,
                           const pl_file_info *info);
static int64_t answer_failure(struct connection *c, int64_t error);
static int64_t answer_page(struct connection *c, int status, const pl_file_info *info);
static int64_t send_small_file(struct connection *c, struct response *response, pl_file *file);
static int64_t send_large_file(struct connection *c, struct response *response, pl_file *file);
static int64_t send_response(struct connection *c, struct response *response, const void *body, size_t size);

/* Opens what the path names, or a file in that folder. */
static int64_t open_file(struct connection *c, const char *name, pl_file **file, pl_file_info *info)
{
    const char *root = c->server->root;
    text_clear(&c->file_name);
    text_append_string(&c->file_name, root);
    if (!strchr("/\\", root[strlen(root) - 1]))
        text_append_string(&c->file_name, "/");
    text_append_string(&c->file_name, c->path.data);
    if (c->path.size > 0 && name[0])
        text_append_string(&c->file_name, "/");
    text_append_string(&c->file_name, name);
    if (c->file_name.failed)
        return PL_ENOMEM;
    pl_file_options options = {.size = sizeof options, .beneath = root};
    int64_t rc = pl_file_open(file, c->file_name.data, &options);
    return rc < 0 ? rc : pl_file_info_get(*file, info);
}

int64_t answer(struct connection *c, const struct request *request)
{
    if (request->method == METHOD_OTHER)
        return answer_status(c, 405);
    bool wants_folder;
    int refusal = path_read(request->path, &c->path, &wants_folder);
    if (refusal)
        return answer_status(c, refusal);
    pl_file *file;
    pl_file_info info;
    int64_t rc = open_file(c, "", &file, &info);
    if (rc < 0)
        return answer_failure(c, rc);
    if (info.kind == PL_FILE_REGULAR && !wants_folder)
        rc = answer_file(c, request, file, &info);
    else if (info.kind == PL_FILE_FOLDER && wants_folder)
        rc = answer_folder(c, request, file);
    else if (info.kind == PL_FILE_FOLDER)
        rc = answer_redirect(c, request);
    else
        rc = answer_status(c, 404);
    pl_file_close(file);
    return rc;
}

static int64_t answer_folder(struct connection *c, const struct request *request, pl_file *folder)
{
    pl_file *file;
    pl_file_info info;
    int64_t rc = open_file(c, "index.html", &file, &info);
    if (rc == PL_ENOENT)
        return answer_listing(c, folder);
    if (rc < 0)
        return answer_failure(c, rc);
    if (info.kind == PL_FILE_REGULAR)
        rc = answer_file(c, request, file, &info);
    else
        rc = answer_status(c, 404);
    pl_file_close(file);
    return rc;
}

static int64_t answer_listing(struct connection *c, pl_file *folder)
{
    pl_folder_listing listing;
    int64_t rc = pl_folder_list(folder, &listing);
    if (rc < 0)
        return answer_failure(c, rc);
    text_clear(&c->page);
    response_write_listing(&c->page, c->path.data, &listing);
    pl_folder_listing_free(&listing);
    if (c->page.failed)
        return PL_ENOMEM;
    struct response response = {.status = 200, .type = "text/html; charset=utf-8", .size = (int64_t)c->page.size};
    return send_response(c, &response, c->page.data, c->page.size);
}

static int64_t answer_redirect(struct connection *c, const struct request *request)
{
    struct response response = {.status = 301, .folder = c->path.data, .query = request->query};
    return send_response(c, &response, NULL, 0);
}

static bool is_date_of(struct piece text, const pl_file_info *info, bool or_later)
{
    int64_t date;
    int64_t modified = info->modified / 1000000000;
    return text.data && date_read(text, &date) && (or_later ? modified <= date : modified == date);
}

/* Whether the client's copy is as good as ours. */
static bool is_unchanged(const struct request *request, const pl_file_info *info, const char *tag)
{
    if (request->if_none_match.data)
        return request_names_tag(request->if_none_match, tag);
    return is_date_of(request->if_modified_since, info, true);
}

/* Whether the range is wanted of the file as it is now. */
static bool wants_range(const struct request *request, const pl_file_info *info, const char *tag)
{
    if (request->method != METHOD_GET || !request->range.data)
        return false;
    return !request->if_range.data || piece_equals(request->if_range, tag) ||
           is_date_of(request->if_range, info, false);
}

static int64_t answer_file(struct connection *c, const struct request *request, pl_file *file, const pl_file_info *info)
{
    char tag[TAG_SIZE];
    response_write_tag(info, tag);
    struct response response = {
        .status = 200, .type = response_type(c->file_name.data), .size = info->size, .file = info};
    if (is_unchanged(request, info, tag)) {
        response.status = 304;
        return send_response(c, &response, NULL, 0);
    }
    if (wants_range(request, info, tag)) {
        switch (request_read_range(request->range, info->size, &response.range_first, &response.size)) {
        case RANGE_WHOLE:
            break;
        case RANGE_PART:
            response.status = 206;
            break;
        case RANGE_OUTSIDE:
            return answer_page(c, 416, info);
        }
    }
    if (c->head_only)
        return send_response(c, &response, NULL, 0);
    return response.size <= SMALL_FILE ? send_small_file(c, &response, file) : send_large_file(c, &response, file);
}

/* What must not be read is not there: that tells least. */
static int64_t answer_failure(struct connection *c, int64_t error)
{
    switch (error) {
    case PL_ECANCELED:
        return error;
    case PL_ENOENT:
    case PL_ENOTDIR:
    case PL_EISDIR:
    case PL_EACCES:
    case PL_ELOOP:
    case PL_EINVAL:
    case PL_ENAMETOOLONG:
        return answer_status(c, 404);
    case PL_EMFILE:
    case PL_ENOMEM:
    case PL_ELOCKED:
        c->keep_alive = false; /* gives back what the connection takes */
        return answer_status(c, 503);
    default:
        return answer_status(c, 500);
    }
}

int64_t answer_status(struct connection *c, int status)
{
    return answer_page(c, status, NULL);
}

/* An answer that is nothing but its status. @param info  of the file that 416 is about; else NULL */
static int64_t answer_page(struct connection *c, int status, const pl_file_info *info)
{
    text_clear(&c->page);
    response_write_error_page(&c->page, status);
    if (c->page.failed)
        return PL_ENOMEM;
    struct response response = {
        .status = status, .type = "text/plain; charset=utf-8", .size = (int64_t)c->page.size, .file = info};
    return send_response(c, &response, c->page.data, c->page.size);
}

/* --- Sending ------------------------------------------------------------------------------------------------------ */

/* Head and body in one write. A file that became shorter meanwhile is an error. */
static int64_t send_small_file(struct connection *c, struct response *response, pl_file *file)
{
    size_t size = (size_t)response->size;
    void *data = malloc(size + 1);
    if (!data)
        return PL_ENOMEM;
    int64_t rc = size > 0 ? pl_file_read(file, data, size, response->range_first) : 0;
    if (rc >= 0 && (size_t)rc < size)
        rc = PL_EIO;
    rc = rc < 0 ? answer_failure(c, rc) : send_response(c, response, data, size);
    free(data);
    return rc;
}

/* Piece by piece, so that the time for it grows with its size. */
static int64_t send_large_file(struct connection *c, struct response *response, pl_file *file)
{
    int64_t rc = send_response(c, response, NULL, 0);
    while (rc >= 0 && c->sent < response->size) {
        int64_t left = response->size - c->sent;
        pl_timeout limit = {0};
        rc = pl_timeout_begin(&limit, c->server->transfer_time);
        if (rc < 0)
            break;
        rc = pl_stream_send_file(c->peer, file, response->range_first + c->sent, left < PIECE_SIZE ? left : PIECE_SIZE);
        rc = pl_timeout_end(&limit, rc);
        if (rc == 0)
            rc = PL_EOF; /* the file became shorter */
        if (rc > 0)
            c->sent += rc;
    }
    return rc;
}

/* A head, and the body or its beginning. With HEAD the body stays here. */
static int64_t send_response(struct connection *c, struct response *response, const void *body, size_t size)
{
    if (c->server->stopping)
        c->keep_alive = false;
    if (c->head_only)
        size = 0;
    response->keep_alive = c->keep_alive;
    response->now = (int64_t)time(NULL);
    text_clear(&c->output);
    response_write_head(&c->output, response);
    if (c->output.failed)
        return PL_ENOMEM;
    pl_buffer buffers[] = {{c->output.data, c->output.size}, {body, size}};
    pl_timeout limit = {0};
    int64_t rc = pl_timeout_begin(&limit, c->server->transfer_time);
    if (rc < 0)
        return rc;
    rc = pl_write_buffers(c->peer, buffers, size > 0 ? 2 : 1);
    rc = pl_timeout_end(&limit, rc);
    c->status = response->status;
    c->sent = rc < 0 ? 0 : (int64_t)size;
    return rc;
}
