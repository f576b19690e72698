#include "engine/slices.h"

#include "base/assert.h"
#include "engine/operation.h"

static const int64_t weights[] = {
    [INS_PRIORITY_NORMAL] = 4, [INS_PRIORITY_LOW] = 1, [INS_PRIORITY_HIGH] = 16};

static void post(struct ins_db *db) {
    if (!db->slices.posted) {
        db->slices.posted = true;
        db_run(db, INS_LANE_REQUEST, &db->slices.task);
    }
}

/* ---- The ring ---- */

static void enter(struct slices *slices, struct account *account) {
    if (slices->last == NULL) {
        slices->at = account;
    } else {
        slices->last->turn_next = account;
    }
    slices->last = account;
    account->turn_next = slices->at;
    account->in_turns = true;
    slices->accounts++;
}

/* Debts stay, so that nobody gets rid of one by ending; what was saved does not. */
static void leave(struct slices *slices, struct account *account) {
    account->in_turns = false;
    slices->accounts--;
    account->credit_ns = account->credit_ns < 0 ? account->credit_ns : 0;
    if (slices->at == slices->last) {
        slices->at = slices->last = NULL;
        return;
    }
    slices->at = account->turn_next;
    slices->last->turn_next = slices->at;
}

/* To the next account that may run: rounds go by until one has credit. */
static struct account *next_account(struct slices *slices) {
    while (slices->at->credit_ns <= 0) {
        slices->at->credit_ns += weights[slices->at->quota.priority] * (int64_t)SLICES_CREDIT_NS;
        if (slices->at->credit_ns <= 0) {
            slices->last = slices->at;
            slices->at = slices->at->turn_next;
        }
    }
    return slices->at;
}

static struct operation *take(struct account *account) {
    struct operation *operation = account->first;
    account->first = operation->next_slice;
    account->last = account->first == NULL ? NULL : account->last;
    account->waiting--;
    operation->next_slice = NULL;
    return operation;
}

/* One step of the account whose turn it is. */
static uint64_t step(struct ins_db *db, uint64_t now) {
    struct slices *slices = &db->slices;
    struct account *account = next_account(slices);
    struct operation *operation = take(account);
    operation->slice_wait_ns += now - operation->slice_since_ns;
    slices->late |= operation->slice_wait_ns > SLICES_PATIENCE_NS;
    if (operation->slice_wait_ns >
        SLICES_LATE_WAIT_NS + SLICES_LATE_TIMES * operation->slice_run_ns) {
        account->refuses_until_ns = now + SLICES_REFUSE_NS;
    }
    account->uses++;          /* its operation may end, and another one want its place */
    operation_run(operation); /* it may add itself again, at the end, or be gone */
    account->uses--;
    uint64_t after = db_now(db);
    uint64_t cost = after - now;
    cost = cost < SLICES_STEP_NS_MIN ? SLICES_STEP_NS_MIN : cost;
    account->credit_ns -= (int64_t)(cost < SLICES_STEP_NS_MAX ? cost : SLICES_STEP_NS_MAX);
    if (account->first == NULL) {
        leave(slices, account);
    } else if (account->credit_ns <= 0) {
        slices->last = account;
        slices->at = account->turn_next;
    }
    return after;
}

static void run(ins_task *task) {
    struct slices *slices = container_of(task, struct slices, task);
    struct ins_db *db = container_of(slices, struct ins_db, slices);
    uint64_t now = db_now(db);
    uint64_t end_ns = now + (slices->late ? SLICES_LATE_NS : SLICES_NS);
    slices->posted = slices->late = false;
    for (uint32_t steps = 0; slices->at != NULL && steps < SLICES_STEPS_MAX && now < end_ns;
         steps++) {
        now = step(db, now);
    }
    if (slices->at != NULL) {
        post(db);
    }
}

void slices_init(struct slices *slices) {
    *slices = (struct slices){.task.run = run};
}

/* What is part of another call goes on: that one's work would be lost. */
static bool may_refuse(const struct operation *operation) {
    return operation->account != NULL && operation->account != &operation->db->accounts.others &&
           operation->is_read && !operation->within && operation->slice_wait_ns == 0;
}

static bool is_late(const struct slices *slices, const struct account *account, uint64_t now_ns) {
    return now_ns < account->refuses_until_ns && account->waiting > 0 &&
           (account->waiting >= SLICES_FEW || slices->accounts > SLICES_FEW);
}

bool slices_add(struct operation *operation, uint64_t now_ns) {
    struct ins_db *db = operation->db;
    struct account *account =
        operation->account != NULL ? operation->account : &db->accounts.others;
    if (is_late(&db->slices, account, now_ns) && may_refuse(operation)) {
        return false;
    }
    INS_ASSERT(operation->next_slice == NULL && operation != account->last);
    *(account->last == NULL ? &account->first : &account->last->next_slice) = operation;
    account->last = operation;
    operation->slice_since_ns = now_ns;
    account->waiting++;
    if (!account->in_turns) {
        enter(&db->slices, account);
    }
    post(db);
    return true;
}
