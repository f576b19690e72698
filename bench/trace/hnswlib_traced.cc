// hnswlib as a subject: M = 16, ef_construction = 200, f32. Its level 0 and the lists of the levels
// above are mapped from the file; the rest of it is small and made anew.
#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <hnswlib/hnswlib.h>

#include "trace/subject.h"

namespace {
constexpr uint64_t page = 4096, no_lists = UINT64_MAX;

struct head {
    uint64_t count, dim, dot, level_bytes, lists_bytes;
    int64_t top_level, entry;
};

hnswlib::SpaceInterface<float> *space;
hnswlib::HierarchicalNSW<float> *index_of;

void make_index(uint64_t count, uint64_t dim, bool dot) {
    if (dot) {
        space = new hnswlib::InnerProductSpace(dim);
    } else {
        space = new hnswlib::L2Space(dim);
    }
    index_of = new hnswlib::HierarchicalNSW<float>(space, count, 16, 200);
}

bool complain(const char *what, const char *name) {
    (void)fprintf(stderr, "insula-traced-hnswlib: %s: %s\n", name, what);
    return false;
}

uint64_t whole_pages(uint64_t bytes) {
    return (bytes + page - 1) / page * page;
}
} // namespace

bool subject_build(const struct subject_rows *rows, const char *layout) {
    (void)layout;
    make_index(rows->count, rows->dim, rows->dot);
    for (uint32_t i = 0; i < rows->count; i++) {
        index_of->addPoint(rows->values + (size_t)i * rows->dim, i);
    }
    return true;
}

// Head, level 0, where each element's lists begin, the lists; each from a page of its own.
bool subject_save(const char *name) {
    uint64_t count = index_of->cur_element_count, lists_bytes = 0;
    std::vector<uint64_t> begins(count, no_lists);
    for (uint64_t i = 0; i < count; i++) {
        if (index_of->element_levels_[i] > 0) {
            begins[i] = lists_bytes;
            lists_bytes +=
                (uint64_t)index_of->element_levels_[i] * index_of->size_links_per_element_;
        }
    }
    head head = {count,
                 *(size_t *)space->get_dist_func_param(),
                 dynamic_cast<hnswlib::InnerProductSpace *>(space) != nullptr,
                 count * index_of->size_data_per_element_,
                 lists_bytes,
                 index_of->maxlevel_,
                 index_of->enterpoint_node_};
    FILE *file = fopen(name, "wb");
    if (file == nullptr) {
        return complain(strerror(errno), name);
    }
    bool good = fwrite(&head, sizeof(head), 1, file) == 1 && fseek(file, page, SEEK_SET) == 0 &&
                fwrite(index_of->data_level0_memory_, head.level_bytes, 1, file) == 1 &&
                fseek(file, (long)(page + whole_pages(head.level_bytes)), SEEK_SET) == 0 &&
                fwrite(begins.data(), sizeof(uint64_t), count, file) == count;
    for (uint64_t i = 0; i < count && good; i++) {
        good = begins[i] == no_lists ||
               fwrite(index_of->linkLists_[i],
                      (size_t)index_of->element_levels_[i] * index_of->size_links_per_element_, 1,
                      file) == 1;
    }
    good = fclose(file) == 0 && good;
    return good || complain(strerror(errno), name);
}

bool subject_open(const char *name, FILE *ranges) {
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    head head;
    if (fd < 0 || read(fd, &head, sizeof(head)) != (ssize_t)sizeof(head)) {
        return complain(strerror(errno), name);
    }
    uint64_t begins_at = page + whole_pages(head.level_bytes);
    uint64_t bytes = begins_at + head.count * sizeof(uint64_t) + head.lists_bytes;
    void *data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    (void)close(fd);
    if (data == MAP_FAILED) {
        return complain(strerror(errno), name);
    }
    char *base = static_cast<char *>(data);
    const uint64_t *begins = reinterpret_cast<const uint64_t *>(base + begins_at);
    make_index(head.count, head.dim, head.dot != 0);
    free(index_of->data_level0_memory_);
    index_of->data_level0_memory_ = base + page;
    for (uint64_t i = 0; i < head.count; i++) {
        index_of->linkLists_[i] =
            begins[i] == no_lists ? nullptr : (char *)(begins + head.count) + begins[i];
    }
    index_of->cur_element_count = head.count;
    index_of->maxlevel_ = (int)head.top_level;
    index_of->enterpoint_node_ = (hnswlib::tableint)head.entry;
    uint64_t pointers = (uint64_t)index_of->linkLists_, begin = (uint64_t)base;
    return fprintf(ranges,
                   "huge all\nindex %" PRIx64 " %" PRIx64 "\nindex %" PRIx64 " %" PRIx64
                   "\nsize %" PRIu64 "\n",
                   begin, begin + bytes, pointers, pointers + head.count * sizeof(char *),
                   head.level_bytes + head.lists_bytes + head.count * sizeof(char *)) > 0;
}

uint32_t subject_search(const float *query, uint32_t limit, uint32_t effort, uint32_t *ids) {
    index_of->setEf(effort);
    auto found = index_of->searchKnn(query, limit);
    uint32_t count = (uint32_t)found.size();
    for (uint32_t i = count; i > 0; i--) {
        ids[i - 1] = (uint32_t)found.top().second;
        found.pop();
    }
    return count;
}
