/* A search's body is mostly one vector. Its numbers are read straight from the text
 * (decode_plain_search.c); where the rest is not the usual, it is parsed without them.
 *
 * Path: the array that job->cut names becomes an empty one in a copy of the body; who decodes the
 * query finds the numbers in job->cut. A body that does not parse without its vector is parsed as
 * it came: messages speak of what was sent. */
#include <string.h>

#include "api/api_private.h"

/* The body with an empty array in place of the cut one. */
static bool copy_rest(struct job *job, ins_text body, ins_text *out) {
    size_t from = job->cut.from, behind = body.size - job->cut.to;
    char *copy = job_alloc_aligned(job, from + 2 + behind, 1);
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, body.data, from);
    copy[from] = '[';
    copy[from + 1] = ']';
    memcpy(copy + from + 2, body.data + job->cut.to, behind);
    *out = (ins_text){copy, from + 2 + behind};
    return true;
}

ins_status body_parse_search(struct job *job, const struct api_request *request,
                             struct json_value *out_root, ins_error *error) {
    struct api_request rest = *request;
    if (job->cut.values != NULL && copy_rest(job, request->body, &rest.body) &&
        body_parse(job, &rest, out_root, NULL) == INS_OK) {
        return INS_OK;
    }
    job->cut = (struct job_cut){0};
    return body_parse(job, request, out_root, error);
}

bool take_cut_vector(struct job *job, struct json_value array) {
    if (job->cut.values == NULL || json_count(array) != 0) {
        return false;
    }
    job->points.vector = job->cut.values;
    job->points.dim = job->cut.dim;
    return true;
}
