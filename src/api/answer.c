/* Answers: Qdrant's envelope around a result or an error, written into one buffer that has room for
 * the server's head in front, so that a whole response leaves with one write. */
#include <stdio.h>
#include <string.h>

#include "api/api_private.h"
#include "base/assert.h"

#define TIME_TEXT_MAX 40

static void *answer_grow(void *context, void *old, size_t old_capacity, size_t new_capacity) {
    struct api *api = context;
    void *memory = heap_alloc(api->heap, new_capacity);
    if (memory == NULL) {
        return NULL;
    }
    memcpy(memory, old, old_capacity);
    if (old != api->scratch) {
        heap_free(api->heap, old, old_capacity);
    }
    return memory;
}

static void answer_open(struct api *api, struct json_writer *writer) {
    json_write_init(writer, API_HEAD_SPACE + ANSWER_BYTES_MAX, api, answer_grow);
    writer->data = api->scratch;
    writer->capacity = SCRATCH_BYTES;
    writer->size = API_HEAD_SPACE;
}

static void answer_send(struct api *api, void *user, struct json_writer *writer,
                        struct api_response *response) {
    response->memory = writer->data;
    response->capacity = writer->capacity;
    response->body = writer->data + API_HEAD_SPACE;
    response->size = writer->size - API_HEAD_SPACE;
    response->shared = writer->data == api->scratch;
    api->respond(user, response);
}

void answer_fixed(struct api *api, void *user, unsigned http, const char *content_type,
                  const char *text, size_t size) {
    struct json_writer writer;
    answer_open(api, &writer);
    INS_ASSERT(size <= SCRATCH_BYTES - API_HEAD_SPACE);
    memcpy(writer.data + writer.size, text, size);
    writer.size += size;
    struct api_response response = {.http = http, .content_type = content_type};
    answer_send(api, user, &writer, &response);
}

void answer_text_begin(struct api *api, struct json_writer *writer) {
    answer_open(api, writer);
}

/* Seconds since `start_ns` in plain decimals: a tenth of the cost of a shortest double. */
static void write_time(struct api *api, uint64_t start_ns, struct json_writer *writer) {
    uint64_t now_ns = start_ns == 0 ? 0 : api->runtime->now_ns(api->runtime->context);
    uint64_t elapsed_ns = now_ns > start_ns ? now_ns - start_ns : 0;
    uint64_t seconds = elapsed_ns / 1000000000u;
    uint32_t rest = (uint32_t)(elapsed_ns % 1000000000u);
    char text[TIME_TEXT_MAX];
    size_t at = sizeof(text);
    for (int digit = 0; digit < 9; digit++, rest /= 10) {
        text[--at] = (char)('0' + rest % 10);
    }
    text[--at] = '.';
    do {
        text[--at] = (char)('0' + seconds % 10);
        seconds /= 10;
    } while (seconds != 0);
    json_write_key(writer, "time");
    json_write_value(writer, (ins_text){text + at, sizeof(text) - at});
}

void answer_error(struct api *api, void *user, unsigned http, uint32_t retry_after_s,
                  const char *allow, uint64_t start_ns, const char *message) {
    struct json_writer writer;
    answer_open(api, &writer);
    json_write_begin_object(&writer);
    json_write_key(&writer, "status");
    json_write_begin_object(&writer);
    json_write_key(&writer, "error");
    json_write_string(&writer, message);
    json_write_end_object(&writer);
    write_time(api, start_ns, &writer);
    json_write_end_object(&writer);
    INS_ASSERT(!writer.failed); /* a message is far smaller than the scratch */
    struct api_response response = {.http = http,
                                    .content_type = "application/json",
                                    .allow = allow,
                                    .retry_after_s = retry_after_s};
    answer_send(api, user, &writer, &response);
}

void answer_begin(struct api *api, struct json_writer *writer) {
    answer_open(api, writer);
    json_write_begin_object(writer);
    json_write_key(writer, "result");
}

static void answer_too_large(struct api *api, void *user, uint64_t start_ns,
                             struct json_writer *writer) {
    if (writer->data != api->scratch) {
        heap_free(api->heap, writer->data, writer->capacity);
    }
    char message[160];
    (void)snprintf(message, sizeof(message),
                   "Rate limiting exceeded: the answer needs more memory than answers have now "
                   "(at most %u MiB); ask for fewer points",
                   ANSWER_BYTES_MAX >> 20);
    answer_error(api, user, 429, 1, NULL, start_ns, message);
}

void answer_end(struct api *api, void *user, uint64_t start_ns, struct json_writer *writer) {
    json_write_key(writer, "status");
    json_write_string(writer, "ok");
    write_time(api, start_ns, writer);
    json_write_end_object(writer);
    if (writer->failed) {
        answer_too_large(api, user, start_ns, writer);
        return;
    }
    struct api_response response = {.http = 200, .content_type = "application/json"};
    answer_send(api, user, writer, &response);
}

void answer_text_end(struct api *api, void *user, const char *content_type,
                     struct json_writer *writer) {
    if (writer->failed) {
        answer_too_large(api, user, 0, writer);
        return;
    }
    struct api_response response = {.http = 200, .content_type = content_type};
    answer_send(api, user, writer, &response);
}
