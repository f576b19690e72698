/* Where an HTTP answer ends, and numbers in small JSON. For servers that we trust to be well
 * behaved: what is not understood ends the connection. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http.h"

static void parse_field(struct http_parser *parser, const char *line, size_t size) {
    static const char length[] = "content-length:", transfer[] = "transfer-encoding:",
                      connection[] = "connection:", retry[] = "retry-after:";
    if (size > sizeof(length) - 1 && strncasecmp(line, length, sizeof(length) - 1) == 0) {
        parser->body_size = strtoull(line + sizeof(length) - 1, NULL, 10);
    } else if (size > sizeof(transfer) - 1 &&
               strncasecmp(line, transfer, sizeof(transfer) - 1) == 0) {
        parser->chunked = memmem(line, size, "chunked", 7) != NULL;
    } else if (size > sizeof(connection) - 1 &&
               strncasecmp(line, connection, sizeof(connection) - 1) == 0) {
        parser->close = memmem(line, size, "close", 5) != NULL;
    } else if (size > sizeof(retry) - 1 && strncasecmp(line, retry, sizeof(retry) - 1) == 0) {
        parser->retry_after = true;
    }
}

static enum http_parsed parse_head(struct http_parser *parser, const char *in, size_t size) {
    const char *end = memmem(in, size, "\r\n\r\n", 4);
    if (end == NULL) {
        return HTTP_MORE;
    }
    if (size < 12 || strncmp(in, "HTTP/1.", 7) != 0) {
        return HTTP_BAD;
    }
    parser->status = atoi(in + 9);
    const char *at = in;
    while (at < end) {
        const char *line_end = memmem(at, (size_t)(end - at) + 2, "\r\n", 2);
        INS_ASSERT(line_end != NULL); /* at the latest at `end` */
        parse_field(parser, at, (size_t)(line_end - at));
        at = line_end + 2;
    }
    parser->head_size = (size_t)(end - in) + 4;
    parser->at = parser->head_size;
    if (parser->chunked) {
        parser->body_size = 0;
    }
    return parser->body_size > HTTP_ANSWER_MAX ? HTTP_BAD : HTTP_WHOLE;
}

static enum http_parsed parse_chunks(struct http_parser *parser, char *in, size_t size) {
    while (true) {
        const char *line_end = memmem(in + parser->at, size - parser->at, "\r\n", 2);
        if (line_end == NULL) {
            return HTTP_MORE;
        }
        size_t chunk = strtoull(in + parser->at, NULL, 16);
        size_t begin = (size_t)(line_end - in) + 2;
        if (chunk > HTTP_ANSWER_MAX) {
            return HTTP_BAD;
        }
        if (size < begin + chunk + 2) {
            return HTTP_MORE;
        }
        if (chunk == 0) {
            return HTTP_WHOLE;
        }
        memmove(in + parser->head_size + parser->body_size, in + begin, chunk);
        parser->body_size += chunk;
        parser->at = begin + chunk + 2;
    }
}

enum http_parsed http_parse(struct http_parser *parser, char *in, size_t size) {
    if (parser->head_size == 0) {
        enum http_parsed parsed = parse_head(parser, in, size);
        if (parsed != HTTP_WHOLE) {
            return parsed;
        }
    }
    if (parser->chunked) {
        return parse_chunks(parser, in, size);
    }
    return size >= parser->head_size + parser->body_size ? HTTP_WHOLE : HTTP_MORE;
}

bool json_find_u64(const char *json, const char *after, const char *key, uint64_t *out) {
    char quoted[64];
    if (after != NULL) {
        (void)snprintf(quoted, sizeof(quoted), "\"%s\":", after);
        json = strstr(json, quoted);
    }
    if (json == NULL) {
        return false;
    }
    (void)snprintf(quoted, sizeof(quoted), "\"%s\":", key);
    const char *at = strstr(json, quoted);
    if (at == NULL) {
        return false;
    }
    char *end = NULL;
    at += strlen(quoted);
    *out = strtoull(at, &end, 10);
    return end != at;
}

void server_stats_read(const struct http_server *server, struct server_stats *out_stats) {
    char body[8192];
    *out_stats = (struct server_stats){0};
    if (http_once(server, "GET", "/insula/stats", NULL, body, sizeof(body)) != 200) {
        return;
    }
    struct server_stats stats = {0};
    stats.available = json_find_u64(body, "log", "syncs", &stats.syncs) &&
                      json_find_u64(body, "log", "batches", &stats.batches) &&
                      json_find_u64(body, "log", "bytes", &stats.log_bytes) &&
                      json_find_u64(body, NULL, "file_syncs", &stats.file_syncs) &&
                      json_find_u64(body, NULL, "flushes", &stats.flushes) &&
                      json_find_u64(body, NULL, "merges", &stats.merges) &&
                      json_find_u64(body, NULL, "requests_pending", &stats.pending) &&
                      json_find_u64(body, NULL, "timers", &stats.timers) &&
                      json_find_u64(body, NULL, "collections", &stats.collections) &&
                      json_find_u64(body, NULL, "tenants", &stats.tenants) &&
                      json_find_u64(body, NULL, "runs", &stats.runs) &&
                      json_find_u64(body, "memory", "arena_used", &stats.arena_used) &&
                      json_find_u64(body, "memory", "arena_committed", &stats.arena_committed) &&
                      json_find_u64(body, "catalog", "used", &stats.catalog_bytes);
    stats.has_file_bytes = json_find_u64(body, NULL, "flush_bytes", &stats.flush_bytes) &&
                           json_find_u64(body, NULL, "merge_bytes", &stats.merge_bytes) &&
                           json_find_u64(body, NULL, "clean_bytes", &stats.clean_bytes);
    (void)json_find_u64(body, NULL, "graphs_waiting", &stats.graphs_waiting);
    *out_stats = stats;
}
