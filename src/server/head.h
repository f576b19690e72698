/* Heads of HTTP/1.x requests: a strict scan for the end of the head, then llhttp over exactly it.
 *
 * The scan refuses what llhttp 8.1 lets pass and proxies read differently: a CR without LF or an LF
 * without CR, NUL, white space before a colon, folded lines. So two parsers never see two requests
 * where there is one. */
#ifndef INS_SERVER_HEAD_H
#define INS_SERVER_HEAD_H

#include <llhttp.h>
#include <stddef.h>
#include <stdint.h>

#include "api/api.h"

#define HEAD_BYTES_MAX (64u << 10)
#define HEAD_LINES_MAX 100u
#define HEAD_TARGET_MAX (8u << 10)

enum head_result { HEAD_MORE, HEAD_DONE, HEAD_BAD };

/* Where a scan of a growing buffer stands; all zero at the start. Linear in the bytes received,
 * however few come at a time. */
struct head_scan {
    uint32_t line;     /* where the line that is not yet complete begins */
    uint32_t searched; /* up to here there is no LF in it */
    uint32_t line_count;
};

struct head_error {
    unsigned http;
    const char *message;
};

/* `data` holds all bytes of this head so far. HEAD_DONE sets *out_size to the head's, with its
 * empty line; HEAD_BAD fills *out_error. */
enum head_result head_scan(struct head_scan *scan, const char *data, size_t size, size_t *out_size,
                           struct head_error *out_error);

struct head {
    enum api_method method;
    bool is_head_method; /* HEAD: like GET, without the body */
    bool keep_alive, chunked, expect_continue;
    bool takes_chunks;                      /* HTTP/1.1: an answer may come in chunks */
    bool json_type, has_type, from_browser; /* Content-Type; an Origin header */
    bool takes_gzip;                        /* Accept-Encoding */
    bool preflight;                         /* a browser asks whether it may ask */
    ins_text wanted_headers;                /* of a preflight: the headers it would send */
    uint64_t content_length;                /* 0 also when absent */
    ins_text path, query;                   /* point into the data */
    ins_text request_id, traceparent;       /* so do these; as they came, size 0: not there */
};

/* Whether `value` of Accept-Encoding prefers or allows gzip: "gzip", "gzip;q=0.5, *", not
 * "gzip;q=0". */
bool accepts_gzip(ins_text value);

/* Parses a whole head that head_scan() accepted. For a chunked body `parser` goes on with
 * chunks_feed(). False: *out_error is filled. */
bool head_parse(llhttp_t *parser, const char *data, size_t size, struct head *out_head,
                struct head_error *out_error);

/* Receives pieces of a chunked body; returns false to stop (too large, no memory). */
typedef bool (*chunk_sink)(void *context, const char *data, size_t size);

struct chunks {
    llhttp_t parser;
    chunk_sink sink;
    void *context;
    bool complete, refused;
};

/* Goes on behind a head whose parse said `chunked`. */
void chunks_init(struct chunks *chunks, const llhttp_t *parser, chunk_sink sink, void *context);
/* Returns how many bytes it took; fewer than `size` when the body is complete or refused.
 * *out_bad is set on malformed chunks. */
size_t chunks_feed(struct chunks *chunks, const char *data, size_t size, bool *out_bad);

#endif
