// hnswlib as `insula-bench ann` asks for it: M = 16, ef_construction = 200, f32, one thread.
#include <hnswlib/hnswlib.h>

#include "ann.h"

namespace {
struct peer {
    hnswlib::SpaceInterface<float> *space;
    hnswlib::HierarchicalNSW<float> *index;
    uint32_t dim;
};
} // namespace

void *ann_peer_build(const float *rows, uint32_t count, uint32_t dim, bool dot,
                     uint64_t *out_bytes) {
    auto *made = new peer;
    made->dim = dim;
    if (dot) {
        made->space = new hnswlib::InnerProductSpace(dim);
    } else {
        made->space = new hnswlib::L2Space(dim);
    }
    made->index = new hnswlib::HierarchicalNSW<float>(made->space, count, 16, 200);
    for (uint32_t i = 0; i < count; i++) {
        made->index->addPoint(rows + (size_t)i * dim, i);
    }
    // Level 0, and the lists of the levels above it.
    uint64_t bytes = (uint64_t)count * made->index->size_data_per_element_;
    for (uint32_t i = 0; i < count; i++) {
        bytes += (uint64_t)made->index->element_levels_[i] * made->index->size_links_per_element_;
    }
    *out_bytes = bytes + (uint64_t)count * sizeof(void *);
    return made;
}

void ann_peer_search(void *peer_pointer, const float *queries, uint32_t count, uint32_t limit,
                     uint32_t effort, uint32_t *out_ids) {
    auto *of = static_cast<peer *>(peer_pointer);
    of->index->setEf(effort);
    for (uint32_t q = 0; q < count; q++) {
        auto found = of->index->searchKnn(queries + (size_t)q * of->dim, limit);
        for (uint32_t i = (uint32_t)found.size(); i > 0; i--) {
            out_ids[(size_t)q * limit + i - 1] = (uint32_t)found.top().second;
            found.pop();
        }
    }
}
