/* Each operation, cancelled at each moment in each way: see moments.h. */
#include "moments.h"

#define PLAY(row, NAME, name, WAY, way)                                                                                \
    TEST_CASE(row##_##name##_##way)                                                                                    \
    {                                                                                                                  \
        moment_run(t, #row "_" #name "_" #way, &moment_row_##row, MOMENT_##NAME, WAY);                                 \
    }
#define PLAY_WAYS(row, NAME, name)                                                                                     \
    PLAY(row, NAME, name, BY_OPERATION, by_operation)                                                                  \
    PLAY(row, NAME, name, BY_TASK, by_task)                                                                            \
    PLAY(row, NAME, name, BY_TIMEOUT, by_timeout)
#define X(row)                                                                                                         \
    PLAY_WAYS(row, BEFORE, before)                                                                                     \
    PLAY_WAYS(row, QUEUED, queued)                                                                                     \
    PLAY_WAYS(row, PENDING, pending)                                                                                   \
    PLAY_WAYS(row, COMPLETED, completed)                                                                               \
    PLAY_WAYS(row, DEQUEUED, dequeued)                                                                                 \
    PLAY_WAYS(row, DONE, done)
#include "moments_rows.h"
#undef X

/* clang-format off */
#define CASE_WAYS(on, row, name)                                                                                       \
    CASE_ON(on, row##_##name##_by_operation), CASE_ON(on, row##_##name##_by_task), CASE_ON(on, row##_##name##_by_timeout),
#define X_ON(on, row)                                                                                                  \
    CASE_WAYS(on, row, before) CASE_WAYS(on, row, queued) CASE_WAYS(on, row, pending)                                  \
    CASE_WAYS(on, row, completed) CASE_WAYS(on, row, dequeued) CASE_WAYS(on, row, done)
#define X(row) X_ON(NULL, row)
/* clang-format on */

static const test_case cases[] = {
#include "moments_rows.h"
};
#undef X

extern const test_suite moments_suite;
const test_suite moments_suite = {"moments", __FILE__, TEST_BACKENDS_REAL, cases, sizeof cases / sizeof cases[0]};
