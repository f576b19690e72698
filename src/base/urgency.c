#include "base/urgency.h"

#include <sched.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/limits.h"

/* The kernel's struct sched_attr, first version, of which the C library has no declaration. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};
_Static_assert(sizeof(struct attributes) == 48, "as the kernel has it");

void urgency_set(enum urgency urgency) {
    struct attributes attributes = {0};
    if (urgency == URGENCY_USUAL ||
        syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0) != 0 ||
        attributes.policy != SCHED_OTHER) {
        return;
    }
    attributes.size = sizeof(attributes);
    if (urgency == URGENCY_PATIENT) {
        attributes.policy = SCHED_BATCH;
    } else {
        attributes.runtime_ns = INS_PROMPT_SLICE_NS;
    }
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0); /* a wish: see the header */
}
