/* Assertions of our own invariants, on in every build. Never for input or bytes from disk. */
#ifndef INS_BASE_ASSERT_H
#define INS_BASE_ASSERT_H

void ins_assert_fail(const char *condition, const char *file, int line)
    __attribute__((noreturn)); /* not _Noreturn: C++ includes this */

#define INS_ASSERT(condition)                                                                      \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0)) {                                                   \
            ins_assert_fail(#condition, __FILE__, __LINE__);                                       \
        }                                                                                          \
    } while (0)

#ifdef INS_SLOW_ASSERTS
#define INS_ASSERT_SLOW(condition) INS_ASSERT(condition)
#else
#define INS_ASSERT_SLOW(condition) ((void)0)
#endif

#endif
