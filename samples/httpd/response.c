/* Writes the heads of responses, and the pages that are made here. */
#include "response.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "date.h"
#include "path.h"

void response_write_head(struct text *text, const struct response *response)
{
    char date[DATE_TEXT_SIZE];
    date_write(response->now, date);
    text_append_format(text, "HTTP/1.1 %d %s\r\nDate: %s\r\n", response->status, response_reason(response->status),
                       date);
    text_append_format(text, "Connection: %s\r\n", response->keep_alive ? "keep-alive" : "close");
    if (response->status != 304)
        text_append_format(text, "Content-Length: %" PRId64 "\r\n", response->size);
    if (response->type)
        text_append_format(text, "Content-Type: %s\r\n", response->type);
    if (response->status == 405)
        text_append_string(text, "Allow: GET, HEAD\r\n");
    if (response->status == 503)
        text_append_string(text, "Retry-After: 5\r\n");
    if (response->folder) {
        text_append_string(text, "Location: /");
        text_append_url(text, response->folder);
        text_append_string(text, "/");
        text_append(text, response->query.data, response->query.size);
        text_append_string(text, "\r\n");
    }
    if (response->file) {
        char tag[TAG_SIZE];
        response_write_tag(response->file, tag);
        date_write(response->file->modified / 1000000000, date);
        text_append_format(text, "Last-Modified: %s\r\nETag: %s\r\nAccept-Ranges: bytes\r\n", date, tag);
        if (response->status == 206)
            text_append_format(text, "Content-Range: bytes %" PRId64 "-%" PRId64 "/%" PRId64 "\r\n",
                               response->range_first, response->range_first + response->size - 1, response->file->size);
        else if (response->status == 416)
            text_append_format(text, "Content-Range: bytes */%" PRId64 "\r\n", response->file->size);
    }
    text_append_string(text, "\r\n");
}

const char *response_reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 206:
        return "Partial Content";
    case 301:
        return "Moved Permanently";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 411:
        return "Length Required";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 416:
        return "Range Not Satisfiable";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Unknown";
    }
}

void response_write_error_page(struct text *text, int status)
{
    text_append_format(text, "%d %s\n", status, response_reason(status));
}

static void write_entry(struct text *text, const pl_folder_entry *entry)
{
    const char *slash = entry->info.kind == PL_FILE_FOLDER ? "/" : "";
    char date[DATE_TEXT_SIZE];
    date_write(entry->info.modified / 1000000000, date);
    text_append_string(text, "<tr><td><a href=\"./"); /* so that no name is taken for a scheme */
    text_append_url(text, entry->name);
    text_append_format(text, "%s\">", slash);
    text_append_html(text, entry->name);
    text_append_format(text, "%s</a></td>", slash);
    if (entry->info.kind == PL_FILE_REGULAR)
        text_append_format(text, "<td>%" PRId64 "</td><td>%s</td>", entry->info.size, date);
    text_append_string(text, "</tr>\n");
}

static void write_title(struct text *text, const char *folder)
{
    text_append_string(text, "/");
    text_append_html(text, folder);
    text_append_string(text, folder[0] ? "/" : "");
}

void response_write_listing(struct text *text, const char *folder, const pl_folder_listing *listing)
{
    text_append_string(text, "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>");
    write_title(text, folder);
    text_append_string(text, "</title>\n<style>td { padding-right: 2em }</style></head>\n<body><h1>");
    write_title(text, folder);
    text_append_string(text, "</h1>\n<table>\n");
    if (folder[0])
        text_append_string(text, "<tr><td><a href=\"../\">../</a></td></tr>\n");
    for (size_t i = 0; i < listing->count; i++) {
        const pl_folder_entry *entry = &listing->entries[i];
        if (path_serves_name(entry->name, strlen(entry->name)))
            write_entry(text, entry);
    }
    text_append_string(text, "</table>\n</body></html>\n");
}

const char *response_type(const char *name)
{
    static const struct {
        const char *ending, *type;
    } types[] = {
        {"7z", "application/x-7z-compressed"},
        {"avif", "image/avif"},
        {"bmp", "image/bmp"},
        {"c", "text/plain; charset=utf-8"},
        {"css", "text/css; charset=utf-8"},
        {"csv", "text/csv; charset=utf-8"},
        {"gif", "image/gif"},
        {"gz", "application/gzip"},
        {"h", "text/plain; charset=utf-8"},
        {"htm", "text/html; charset=utf-8"},
        {"html", "text/html; charset=utf-8"},
        {"ico", "image/x-icon"},
        {"jpeg", "image/jpeg"},
        {"jpg", "image/jpeg"},
        {"js", "text/javascript; charset=utf-8"},
        {"json", "application/json"},
        {"log", "text/plain; charset=utf-8"},
        {"md", "text/markdown; charset=utf-8"},
        {"mjs", "text/javascript; charset=utf-8"},
        {"mp3", "audio/mpeg"},
        {"mp4", "video/mp4"},
        {"ogg", "audio/ogg"},
        {"otf", "font/otf"},
        {"pdf", "application/pdf"},
        {"png", "image/png"},
        {"svg", "image/svg+xml"},
        {"tar", "application/x-tar"},
        {"ttf", "font/ttf"},
        {"txt", "text/plain; charset=utf-8"},
        {"wasm", "application/wasm"},
        {"wav", "audio/wav"},
        {"webm", "video/webm"},
        {"webp", "image/webp"},
        {"woff", "font/woff"},
        {"woff2", "font/woff2"},
        {"xml", "text/xml; charset=utf-8"},
        {"zip", "application/zip"},
    };
    const char *slash = strrchr(name, '/');
    const char *dot = strrchr(slash ? slash + 1 : name, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof types[0]; i++) {
        if (piece_equals_ignoring_case(piece_of(dot + 1), types[i].ending))
            return types[i].type;
    }
    return "application/octet-stream";
}

void response_write_tag(const pl_file_info *file, char tag[TAG_SIZE])
{
    snprintf(tag, TAG_SIZE, "\"%" PRIx64 "-%" PRIx64 "\"", (uint64_t)file->modified, (uint64_t)file->size);
}
