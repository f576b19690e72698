#include "server/head.h"

#include <string.h>
#include <strings.h>

#include "base/assert.h"

static enum head_result bad(struct head_error *out_error, unsigned http, const char *message) {
    *out_error = (struct head_error){http, message};
    return HEAD_BAD;
}

/* One whole line without its LF. NULL when it is right, else what is wrong. */
static const char *line_check(const char *line, size_t size, bool first) {
    if (size == 0 || line[size - 1] != '\r') {
        return "a line of the head ends without CR LF";
    }
    size--;
    if (memchr(line, '\r', size) != NULL) {
        return "a CR in the head that no LF follows";
    }
    if (memchr(line, '\0', size) != NULL) {
        return "a NUL in the head";
    }
    if (first || size == 0) {
        return NULL;
    }
    if (line[0] == ' ' || line[0] == '\t') {
        return "a folded header line";
    }
    const char *colon = memchr(line, ':', size);
    if (colon == line) {
        return "a header without a name";
    }
    if (colon != NULL && (colon[-1] == ' ' || colon[-1] == '\t')) {
        return "white space before the colon of a header";
    }
    return NULL;
}

enum head_result head_scan(struct head_scan *scan, const char *data, size_t size, size_t *out_size,
                           struct head_error *out_error) {
    size_t end = size < HEAD_BYTES_MAX ? size : HEAD_BYTES_MAX;
    INS_ASSERT(scan->searched <= end);
    const char *line_feed;
    while ((line_feed = memchr(data + scan->searched, '\n', end - scan->searched)) != NULL) {
        const char *line = data + scan->line;
        size_t line_size = (size_t)(line_feed - line);
        const char *wrong = line_check(line, line_size, scan->line_count == 0);
        if (wrong != NULL) {
            return bad(out_error, 400, wrong);
        }
        scan->line = scan->searched = (uint32_t)(line_feed + 1 - data);
        if (line_size == 1 && scan->line_count == 0) {
            return bad(out_error, 400, "an empty line where a request should begin");
        }
        if (line_size == 1) {
            *out_size = scan->line;
            return HEAD_DONE;
        }
        if (++scan->line_count > HEAD_LINES_MAX + 1) { /* the request line is none of them */
            return bad(out_error, 431, "more than 100 headers");
        }
    }
    scan->searched = (uint32_t)end;
    return end == HEAD_BYTES_MAX ? bad(out_error, 431, "the head is larger than 64 KiB")
                                 : HEAD_MORE;
}

struct parse {
    struct head *head;
    ins_text target, field;
    uint16_t flags; /* llhttp's at the end of the headers; it clears them with the message */
    bool other_coding, encoded, asks_method;
};

static int on_url(llhttp_t *parser, const char *at, size_t size) {
    struct parse *parse = parser->data;
    parse->target = (ins_text){at, size};
    return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t size) {
    struct parse *parse = parser->data;
    parse->field = (ins_text){at, size};
    return 0;
}

static bool field_is(ins_text field, const char *name, size_t size) {
    return field.size == size && strncasecmp(field.data, name, size) == 0;
}

#define FIELD_IS(field, name) field_is(field, name, sizeof(name) - 1)

static bool type_is_json(const char *at, size_t size) {
    static const char json[] = "application/json";
    return size >= sizeof(json) - 1 && strncasecmp(at, json, sizeof(json) - 1) == 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t size) {
    struct parse *parse = parser->data;
    struct head *head = parse->head;
    ins_text value = {at, size};
    if (FIELD_IS(parse->field, "content-type")) {
        head->has_type = true;
        head->json_type = type_is_json(at, size);
    } else if (FIELD_IS(parse->field, "expect")) {
        head->expect_continue = FIELD_IS(value, "100-continue");
    } else if (FIELD_IS(parse->field, "accept-encoding")) {
        head->takes_gzip |= accepts_gzip(value);
    } else if (FIELD_IS(parse->field, "x-request-id")) {
        head->request_id = value;
    } else if (FIELD_IS(parse->field, "traceparent")) {
        head->traceparent = value;
    } else if (FIELD_IS(parse->field, "origin")) {
        head->from_browser = true;
    } else if (FIELD_IS(parse->field, "access-control-request-method")) {
        parse->asks_method = true;
    } else if (FIELD_IS(parse->field, "access-control-request-headers")) {
        head->wanted_headers = value;
    } else if (FIELD_IS(parse->field, "transfer-encoding")) {
        parse->other_coding |= !FIELD_IS(value, "chunked");
    } else if (FIELD_IS(parse->field, "content-encoding")) {
        parse->encoded |= !FIELD_IS(value, "identity");
    }
    return 0;
}

/* An offer to change the protocol is answered by going on with this one. */
static int on_headers(llhttp_t *parser) {
    struct parse *parse = parser->data;
    parser->upgrade = 0;
    parse->flags = parser->flags;
    parse->head->content_length = parser->content_length;
    return 0;
}

static enum api_method method_of(uint8_t method) {
    switch (method) {
    case HTTP_GET:
        return API_GET;
    case HTTP_PUT:
        return API_PUT;
    case HTTP_POST:
        return API_POST;
    case HTTP_DELETE:
        return API_DELETE;
    case HTTP_PATCH:
        return API_PATCH;
    case HTTP_HEAD:
        return API_HEAD;
    default:
        return API_OTHER;
    }
}

/* "/path?query", or the absolute form that a proxy sends. */
static bool target_split(ins_text target, struct head *head) {
    const char *at = target.data;
    const char *end = target.data + target.size;
    if (target.size != 0 && *at != '/') {
        const char *scheme = memmem(at, target.size, "://", 3);
        const char *path =
            scheme == NULL ? NULL : memchr(scheme + 3, '/', (size_t)(end - scheme - 3));
        if (path == NULL) {
            return false;
        }
        at = path;
    }
    const char *fragment = memchr(at, '#', (size_t)(end - at));
    end = fragment == NULL ? end : fragment;
    const char *mark = memchr(at, '?', (size_t)(end - at));
    head->path = (ins_text){at, (size_t)((mark == NULL ? end : mark) - at)};
    head->query =
        mark == NULL ? (ins_text){end, 0} : (ins_text){mark + 1, (size_t)(end - mark - 1)};
    return target.size != 0;
}

static bool head_check(const llhttp_t *parser, const struct parse *parse,
                       struct head_error *out_error) {
    bool modern = parser->http_major == 1 && parser->http_minor == 1;
    if (parser->http_major != 1 || parser->http_minor > 1) {
        (void)bad(out_error, 505, "HTTP/1.1 and HTTP/1.0 are spoken here");
    } else if (parse->other_coding || (!modern && (parse->flags & F_TRANSFER_ENCODING) != 0)) {
        (void)bad(out_error, 501, "the transfer coding is not chunked");
    } else if (parse->encoded) {
        (void)bad(out_error, 415, "compressed request bodies are not taken");
    } else if (parse->target.size > HEAD_TARGET_MAX) {
        (void)bad(out_error, 414, "the request target is longer than 8 KiB");
    } else if (!target_split(parse->target, parse->head)) {
        (void)bad(out_error, 400, "the request target is not a path");
    } else {
        return true;
    }
    return false;
}

bool head_parse(llhttp_t *parser, const char *data, size_t size, struct head *out_head,
                struct head_error *out_error) {
    static const llhttp_settings_t settings = {
        .on_url = on_url,
        .on_header_field = on_field,
        .on_header_value = on_value,
        .on_headers_complete = on_headers,
    };
    struct parse parse = {.head = out_head};
    *out_head = (struct head){.method = API_OTHER};
    llhttp_init(parser, HTTP_REQUEST, &settings);
    parser->data = &parse;
    llhttp_errno_t status = llhttp_execute(parser, data, size);
    parser->data = NULL;
    if (status != HPE_OK) {
        (void)bad(out_error, status == HPE_INVALID_VERSION ? 505 : 400,
                  status == HPE_PAUSED_H2_UPGRADE ? "HTTP/2 is not spoken on this port"
                                                  : "the head is not that of an HTTP/1.1 request");
        return false;
    }
    if (!head_check(parser, &parse, out_error)) {
        return false;
    }
    out_head->method = method_of(parser->method);
    out_head->preflight =
        parser->method == HTTP_OPTIONS && out_head->from_browser && parse.asks_method;
    out_head->is_head_method = out_head->method == API_HEAD;
    out_head->chunked = (parse.flags & F_CHUNKED) != 0;
    if (out_head->chunked || (parse.flags & F_CONTENT_LENGTH) == 0) {
        out_head->content_length = 0;
    }
    bool close = (parse.flags & F_CONNECTION_CLOSE) != 0;
    bool keep = (parse.flags & F_CONNECTION_KEEP_ALIVE) != 0;
    out_head->takes_chunks = parser->http_minor == 1;
    out_head->keep_alive = !close && (parser->http_minor == 1 || keep);
    return true;
}

static int on_chunk_data(llhttp_t *parser, const char *at, size_t size) {
    struct chunks *chunks = parser->data;
    if (!chunks->sink(chunks->context, at, size)) {
        chunks->refused = true;
        return -1;
    }
    return 0;
}

static int on_chunks_end(llhttp_t *parser) {
    struct chunks *chunks = parser->data;
    chunks->complete = true;
    return HPE_PAUSED;
}

void chunks_init(struct chunks *chunks, const llhttp_t *parser, chunk_sink sink, void *context) {
    static const llhttp_settings_t settings = {
        .on_body = on_chunk_data,
        .on_message_complete = on_chunks_end,
    };
    *chunks = (struct chunks){.parser = *parser, .sink = sink, .context = context};
    union {
        const llhttp_settings_t *settings;
        void *memory;
    } shared = {&settings}; /* llhttp only reads them */
    chunks->parser.settings = shared.memory;
    chunks->parser.data = chunks;
}

size_t chunks_feed(struct chunks *chunks, const char *data, size_t size, bool *out_bad) {
    *out_bad = false;
    llhttp_errno_t status = llhttp_execute(&chunks->parser, data, size);
    if (status == HPE_OK) {
        return size;
    }
    if (chunks->complete && status == HPE_PAUSED) {
        const char *stop = llhttp_get_error_pos(&chunks->parser);
        INS_ASSERT(stop >= data && stop <= data + size);
        return (size_t)(stop - data);
    }
    *out_bad = !chunks->refused;
    return 0;
}
