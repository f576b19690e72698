/* The files that `insula-bench ann` reads, and what is right by them. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ann_private.h"

/* ---- Files ---- */

static const void *map_file(const char *name, size_t *out_size) {
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    if (fd < 0 || fstat(fd, &stat) != 0) {
        (void)ann_complain(strerror(errno), name);
        if (fd >= 0) {
            (void)close(fd);
        }
        return NULL;
    }
    void *data = mmap(NULL, (size_t)stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    *out_size = (size_t)stat.st_size;
    return data == MAP_FAILED ? NULL : data;
}

bool ann_read_matrix(const struct ann *ann, const char *name, uint32_t count_max,
                     struct matrix *out) {
    static const size_t sizes[] = {[ROW_F32] = 4, [ROW_F16] = 2, [ROW_U8] = 1};
    size_t size;
    const uint8_t *data = map_file(name, &size);
    uint32_t head[2];
    if (data == NULL) {
        return false;
    }
    memcpy(head, data, sizeof(head));
    if (head[1] == 0 || size < 8 + (size_t)head[0] * head[1] * sizes[ann->type]) {
        (void)ann_complain("shorter than its head says, or another type", name);
        return false;
    }
    out->count = count_max != 0 && count_max < head[0] ? count_max : head[0];
    out->dim = head[1];
    size_t total = (size_t)out->count * out->dim;
    out->values = malloc(total * sizeof(float));
    if (out->values == NULL) {
        return false;
    }
    for (size_t i = 0; i < total; i++) {
        const uint8_t *at = data + 8 + i * sizes[ann->type];
        uint16_t half;
        if (ann->type == ROW_F32) {
            memcpy(&out->values[i], at, sizeof(float));
        } else if (ann->type == ROW_F16) {
            memcpy(&half, at, sizeof(half));
            kernel_floats_from_halves(&half, 1, &out->values[i]);
        } else {
            out->values[i] = *at;
        }
    }
    for (uint32_t row = 0; row < out->count && ann->cosine; row++) {
        float *values = out->values + (size_t)row * out->dim;
        kernel_normalize_f32(values, out->dim, values);
    }
    (void)munmap((void *)(uintptr_t)data, size);
    return true;
}

bool ann_read_truth(struct ann *ann) {
    size_t size;
    const uint8_t *data = map_file(ann->truth_file, &size);
    uint32_t head[2];
    if (data == NULL) {
        return false;
    }
    memcpy(head, data, sizeof(head));
    size_t total = (size_t)head[0] * head[1];
    if (size < 8 + total * 8 || head[1] < ann->limit || head[0] < ann->queries.count) {
        (void)ann_complain("too few queries or neighbours", ann->truth_file);
        return false;
    }
    ann->truth = (struct truth){.count = head[0],
                                .k = head[1],
                                .ids = (const uint32_t *)(const void *)(data + 8),
                                .distances = (const float *)(const void *)(data + 8 + total * 4)};
    return true;
}

/* ---- Recall ---- */

static double exact_distance(const struct ann *ann, uint32_t query, uint32_t row) {
    uint32_t dim = ann->queries.dim;
    const float *q = ann->queries.values + (size_t)query * dim;
    const float *x = ann->rows_in.values + (size_t)row * dim;
    double product = 0, l2 = 0;
    for (uint32_t i = 0; i < dim; i++) {
        double difference = (double)q[i] - (double)x[i];
        product += (double)q[i] * (double)x[i];
        l2 += difference * difference;
    }
    return ann->cosine ? 1 - product : ann->metric == INDEX_DOT ? -product : l2;
}

uint32_t ann_right_ones(const struct ann *ann, uint32_t query, const uint32_t *ids,
                        uint32_t count) {
    double last = (double)ann->truth.distances[(size_t)query * ann->truth.k + ann->limit - 1];
    double bound = last + fabs(last) * 1e-5 + 1e-9;
    const uint32_t *true_ids = ann->truth.ids + (size_t)query * ann->truth.k;
    uint32_t right = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool named = false;
        for (uint32_t j = 0; j < ann->limit; j++) {
            named = named || true_ids[j] == ids[i];
        }
        right += named || exact_distance(ann, query, ids[i]) <= bound;
    }
    return right;
}
