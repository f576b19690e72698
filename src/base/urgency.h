/* How soon the kernel is to run a thread that has something to do, when others want its core.
 *
 * Only the order is said, not the share: all threads keep the same weight, so that a flush that
 * writers wait for gets as much of the cores as before (decision 0009). A thread that somebody
 * waits for asks for short slices, which Linux runs sooner (EEVDF, from 6.12 on; earlier ones take
 * no notice), and a patient one is SCHED_BATCH: it takes no core away from who runs when it wakes.
 * Neither needs a privilege. What the kernel refuses stays as it was, and so does a thread whose
 * policy the operator chose (chrt). */
#ifndef INS_BASE_URGENCY_H
#define INS_BASE_URGENCY_H

enum urgency {
    URGENCY_USUAL,   /* as the process was started */
    URGENCY_PROMPT,  /* a request waits for it */
    URGENCY_PATIENT, /* nobody does */
};

/* Of the calling thread. */
void urgency_set(enum urgency urgency);

#endif
