/* Groups: children, their errors, and the verdict. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"

/* The fixture knows the group, for children and callbacks that use it. */
static void begin(fixture *f, pl_group *group, int flags)
{
    CHECK_EQ_INT(pl_group_begin(group, flags), PL_OK);
    f->group = group;
}

static void spawn(fixture *f, pl_task_fn *fn)
{
    CHECK_EQ_INT(pl_group_spawn(f->group, fn, f, fixture_drop), PL_OK);
}

static void spawn_slot(fixture *f, int slot, pl_task_fn *fn)
{
    pl_task_options options = {.size = sizeof options, .drop = fixture_drop};
    CHECK_EQ_INT(pl_group_spawn_task(f->group, &f->tasks[slot], fn, f, &options), PL_OK);
}

static int64_t result_of(const fixture *f, int slot)
{
    return pl_future_result(pl_task_future(f->tasks[slot]));
}

/* --- Children ----------------------------------------------------------------------------------------------------- */

static int64_t return_seven(void *arg)
{
    note(arg, "seven");
    return 7;
}

static int64_t sleep_for_ever(void *arg)
{
    int rc = pl_sleep(PL_FOREVER);
    note_code(arg, rc);
    return rc;
}

static int64_t await_first(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_await(f->futures[0]);
    note_code(f, rc);
    return rc;
}

static int64_t yield_then_fail(void *arg)
{
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(arg, "fail");
    return PL_EIO;
}

static int64_t fail_at_once(void *arg)
{
    note(arg, "fail");
    return PL_EIO;
}

static int64_t yield_twice(void *arg)
{
    if (pl_yield() < 0 || pl_yield() < 0)
        return PL_ECANCELED;
    note(arg, "end");
    return 3;
}

static int64_t fail_in_clean_up(void *arg)
{
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    note(arg, "clean");
    return PL_EPIPE;
}

static int64_t catch_cancel(void *arg)
{
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    note(arg, "caught");
    return 11;
}

/* --- Waiting for children ----------------------------------------------------------------------------------------- */

FIXTURE_CASE(an_empty_group_ends_with_the_result_of_its_body)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_group_size(&group), 0);
    CHECK_EQ_INT(pl_group_end(&group, 17), 17);
    begin(f, &group, PL_GROUP_SUPERVISE); /* and may begin again */
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    return 0;
}

/* test_taskgroup_01 */
FIXTURE_CASE(the_end_waits_for_every_child)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn_slot(f, 0, yield_twice);
    spawn_slot(f, 1, return_seven);
    CHECK_EQ_INT(pl_group_size(&group), 2);
    EXPECT_TRACE(f, "");
    CHECK_EQ_INT(pl_group_end(&group, 5), 5);
    EXPECT_TRACE(f, "seven end ");
    CHECK_EQ_INT(pl_group_size(&group), 0);
    CHECK_EQ_INT(result_of(f, 0), 3);
    CHECK_EQ_INT(result_of(f, 1), 7);
    CHECK_EQ_INT(f->drops, 0);
    return 0;
}

/* test_taskgroup_02, test_taskgroup_23 */
FIXTURE_CASE(children_come_and_go_while_the_body_runs)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    for (int i = 0; i < 10; i++) {
        spawn(f, yield_twice);
        CHECK(pl_group_size(&group) <= 4);
        CHECK_EQ_INT(pl_yield(), PL_OK);
    }
    for (int i = 0; i < 5; i++)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_group_size(&group), 0);
    spawn(f, return_seven); /* it is not over */
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    return 0;
}

static int64_t spawn_two_more(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_yield(), PL_OK);
    spawn(f, yield_twice);
    spawn(f, yield_twice);
    return 0;
}

/* test_taskgroup_24 */
FIXTURE_CASE(the_end_waits_for_children_that_are_spawned_while_ending)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, spawn_two_more);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    EXPECT_TRACE(f, "end end ");
    return 0;
}

static void spawn_from_callback(void *arg)
{
    fixture *f = arg;
    spawn(f, return_seven);
}

FIXTURE_CASE(a_callback_of_the_loop_may_spawn_a_child)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, yield_twice);
    CHECK_EQ_INT(pl_call_soon(NULL, spawn_from_callback, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    EXPECT_TRACE(f, "seven end ");
    return 0;
}

/* A callback of the last child's future runs after that child, perhaps before the parent. */
static void spawn_after_the_last(void *arg)
{
    fixture *f = arg;
    int rc = pl_group_spawn(f->group, yield_twice, f, fixture_drop);
    CHECK(rc == PL_OK || rc == PL_ESTATE);
    f->counts[0] = rc == PL_OK;
    CHECK_EQ_INT(f->drops, rc == PL_OK ? 0 : 1);
}

FIXTURE_CASE(a_child_spawned_after_the_last_has_ended_runs_or_is_dropped)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn_slot(f, 0, yield_twice);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_task_future(f->tasks[0]), &f->callbacks[0], spawn_after_the_last, f),
                 PL_OK);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    note(f, "over");
    CHECK_EQ_INT(pl_group_size(&group), 0);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    EXPECT_TRACE(f, f->counts[0] ? "end end over " : "end over ");
    CHECK_EQ_INT(f->drops + f->counts[0], 1);
    return 0;
}

static int64_t hydra(void *arg)
{
    fixture *f = arg;
    f->counts[0]++;
    if (pl_yield() < 0)
        return PL_ECANCELED;
    for (int i = 0; i < 2; i++) {
        int rc = pl_group_spawn(f->group, hydra, f, fixture_drop);
        CHECK(rc == PL_OK || rc == PL_ECANCELED);
    }
    return 0;
}

static int64_t hercules(void *arg)
{
    fixture *f = arg;
    while (f->counts[0] < 1000)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    return PL_EIO;
}

/* test_taskgroup_25 */
FIXTURE_CASE(a_group_that_grows_for_ever_ends_by_an_error)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, hydra);
    spawn(f, hercules);
    CHECK_EQ_INT(pl_group_end(&group, 0), PL_EIO);
    CHECK(f->counts[0] >= 1000);
    return 0;
}

/* test_taskgroup_03 */
FIXTURE_CASE(a_child_that_is_cancelled_alone_ends_in_silence)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn_slot(f, 0, sleep_for_ever);
    spawn_slot(f, 1, yield_twice);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(f->tasks[0]), 1);
    CHECK_EQ_INT(pl_group_end(&group, 5), 5);
    CHECK_EQ_INT(result_of(f, 0), PL_ECANCELED);
    CHECK_EQ_INT(result_of(f, 1), 3);
    return 0;
}

FIXTURE_CASE(a_child_cancelled_before_its_first_step_drops_its_argument_once)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn_slot(f, 0, return_seven);
    CHECK_EQ_INT(pl_task_cancel(f->tasks[0]), 1);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    EXPECT_TRACE(f, "");
    CHECK_EQ_INT(f->drops, 1);
    return 0;
}

/* test_taskgroup_task_name */
FIXTURE_CASE(a_child_has_the_name_it_was_given)
{
    fixture *f = arg;
    pl_group group = {0};
    pl_task_options options = {.size = sizeof options, .name = "yolo"};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_group_spawn_task(&group, &f->tasks[0], return_seven, f, &options), PL_OK);
    CHECK_STR(pl_task_name(f->tasks[0]), "yolo");
    CHECK_EQ_INT(pl_group_spawn_task(&group, NULL, return_seven, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    EXPECT_TRACE(f, "seven seven ");
    return 0;
}

FIXTURE_CASE(an_eager_child_may_have_ended_when_spawn_returns)
{
    fixture *f = arg;
    pl_group group = {0};
    pl_task_options options = {.size = sizeof options, .eager = 1};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_group_spawn_task(&group, &f->tasks[0], return_seven, f, &options), PL_OK);
    EXPECT_TRACE(f, "seven ");
    CHECK_EQ_INT(pl_group_size(&group), 0);
    CHECK_EQ_INT(pl_group_spawn_task(&group, &f->tasks[1], yield_twice, f, &options), PL_OK);
    CHECK_EQ_INT(pl_group_size(&group), 1);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_group_spawn_task(&group, &f->tasks[2], fail_at_once, f, &options), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    CHECK_EQ_INT(pl_group_end(&group, PL_ECANCELED), PL_EIO);
    return 0;
}

/* --- Errors ------------------------------------------------------------------------------------------------------- */

/* test_taskgroup_04, test_cancel_children_on_child_error */
FIXTURE_CASE(the_first_error_cancels_the_other_children_and_the_body)
{
    fixture *f = arg;
    pl_group group = {0};
    int rc;
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, yield_then_fail);
    spawn_slot(f, 0, sleep_for_ever);
    spawn_slot(f, 1, sleep_for_ever);
    rc = pl_sleep(PL_FOREVER);
    CHECK_EQ_INT(rc, PL_ECANCELED);
    CHECK_EQ_INT(pl_group_end(&group, rc), PL_EIO);
    EXPECT_TRACE(f, "fail PL_ECANCELED PL_ECANCELED ");
    CHECK_EQ_INT(result_of(f, 0), PL_ECANCELED);
    CHECK_EQ_INT(result_of(f, 1), PL_ECANCELED);
    CHECK_EQ_INT(pl_task_cancelling(pl_task_current()), 0); /* test_cancelling_level_preserved */
    CHECK_EQ_INT(pl_yield(), PL_OK); /* test_cancellation_does_not_leak_out_of_tg */
    return 0;
}

FIXTURE_CASE(an_error_while_ending_cancels_the_other_children)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, yield_then_fail);
    spawn(f, sleep_for_ever);
    CHECK_EQ_INT(pl_group_end(&group, 5), PL_EIO);
    EXPECT_TRACE(f, "fail PL_ECANCELED ");
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

FIXTURE_CASE(an_error_drops_children_that_have_not_begun)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, fail_at_once);
    spawn(f, return_seven); /* ready, behind it */
    spawn(f, return_seven);
    CHECK_EQ_INT(pl_group_end(&group, 0), PL_EIO);
    EXPECT_TRACE(f, "fail ");
    CHECK_EQ_INT(f->drops, 2);
    return 0;
}

FIXTURE_CASE(the_cancel_after_an_error_is_a_level_for_the_body)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, fail_at_once);
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ_INT(pl_check_cancelled(), PL_ECANCELED);
        CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
        CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    }
    CHECK_EQ_INT(pl_group_end(&group, 5), PL_EIO); /* though the body ended well */
    CHECK_EQ_INT(pl_check_cancelled(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

static int64_t ignore_many(void *arg)
{
    fixture *f = arg;
    for (int i = 0; i < 100; i++) {
        if (pl_sleep(PL_FOREVER) == PL_ECANCELED)
            f->counts[0]++;
    }
    return PL_ECANCELED;
}

FIXTURE_CASE(the_cancel_after_an_error_is_a_level_for_the_children)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, ignore_many);
    spawn(f, yield_then_fail);
    CHECK_EQ_INT(pl_group_end(&group, 0), PL_EIO);
    CHECK_EQ_INT(f->counts[0], 100);
    return 0;
}

/* test_taskgroup_09, test_taskgroup_10 */
FIXTURE_CASE(an_error_of_the_body_cancels_the_children)
{
    fixture *f = arg;
    for (int i = 0; i < 2; i++) {
        pl_group group = {0};
        begin(f, &group, PL_GROUP_FAIL_FAST);
        spawn(f, sleep_for_ever);
        spawn(f, sleep_for_ever);
        if (i == 0)
            CHECK_EQ_INT(pl_yield(), PL_OK); /* they run; the second time they have not begun */
        CHECK_EQ_INT(pl_group_end(&group, PL_EPIPE), PL_EPIPE);
        EXPECT_TRACE(f, i == 0 ? "PL_ECANCELED PL_ECANCELED " : "");
    }
    CHECK_EQ_INT(f->drops, 2);
    return 0;
}

FIXTURE_CASE(an_error_of_the_body_of_an_empty_group_passes)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_group_end(&group, PL_EPIPE), PL_EPIPE);
    begin(f, &group, PL_GROUP_SUPERVISE);
    CHECK_EQ_INT(pl_group_end(&group, PL_EPIPE), PL_EPIPE);
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_group_end(&group, PL_ECANCELED), PL_ECANCELED);
    return 0;
}

/* test_taskgroup_08: errors of children that were being cancelled. */
FIXTURE_CASE(the_bodys_error_comes_before_the_errors_it_caused)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, fail_in_clean_up);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_group_end(&group, PL_EIO), PL_EIO);
    EXPECT_TRACE(f, "clean ");
    EXPECT_REPORTS(f, "PL_EPIPE "); /* an error that is not the verdict is told to somebody */
    return 0;
}

/* test_taskgroup_19. */
FIXTURE_CASE(an_error_of_the_body_comes_before_the_one_of_a_child_that_failed_earlier)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, yield_then_fail);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_group_end(&group, PL_EPIPE), PL_EPIPE);
    EXPECT_TRACE(f, "fail ");
    EXPECT_REPORTS(f, "PL_EIO "); /* the child's error is told to somebody */
    return 0;
}

FIXTURE_CASE(all_errors_are_collected_the_bodys_first)
{
    fixture *f = arg;
    pl_group group = {0};
    pl_group_error errors[4] = {{0}};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_group_collect(&group, errors, 4), PL_OK);
    pl_task_options options = {.size = sizeof options, .name = "cleaner"};
    CHECK_EQ_INT(pl_group_spawn_task(&group, NULL, fail_in_clean_up, f, &options), PL_OK);
    options.name = "first";
    CHECK_EQ_INT(pl_group_spawn_task(&group, NULL, yield_then_fail, f, &options), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_group_error_count(&group), 2);
    CHECK_EQ_INT(pl_group_end(&group, PL_ENOENT), PL_ENOENT);
    CHECK_EQ_INT(pl_group_error_count(&group), 3);
    CHECK_EQ_INT(errors[0].error, PL_ENOENT);
    CHECK_STR(errors[0].task, "");
    CHECK_EQ_INT(errors[1].error, PL_EIO);
    CHECK_STR(errors[1].task, "first");
    CHECK(strstr(errors[1].where, "group_test.c:") != NULL);
    CHECK_EQ_INT(errors[2].error, PL_EPIPE);
    CHECK_STR(errors[2].task, "cleaner");
    fixture_clear(f);
    return 0;
}

FIXTURE_CASE(errors_beyond_the_capacity_are_counted_and_reported)
{
    fixture *f = arg;
    pl_group group = {0};
    pl_group_error errors[1] = {{0}};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_group_collect(&group, errors, 1), PL_OK);
    spawn(f, fail_in_clean_up);
    spawn(f, yield_then_fail);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(errors[0].error, PL_EIO);
    EXPECT_REPORTS(f, "PL_EPIPE "); /* who was beyond it */
    CHECK_EQ_INT(pl_group_end(&group, PL_ENOENT), PL_ENOENT);
    CHECK_EQ_INT(errors[0].error, PL_ENOENT);
    CHECK_EQ_INT(pl_group_error_count(&group), 3);
    EXPECT_REPORTS(f, "PL_EIO "); /* who had to make room for the body */
    fixture_clear(f);
    return 0;
}

FIXTURE_CASE(errors_are_collected_only_from_an_open_group_without_any)
{
    fixture *f = arg;
    pl_group group = {0};
    pl_group_error errors[2] = {{0}};
    CHECK_EQ_INT(pl_group_collect(&group, errors, 2), PL_ESTATE);
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_group_collect(NULL, errors, 2), PL_EINVAL);
    CHECK_EQ_INT(pl_group_collect(&group, NULL, 2), PL_EINVAL);
    CHECK_EQ_INT(pl_group_collect(&group, NULL, 0), PL_OK);
    spawn(f, yield_then_fail);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_group_collect(&group, errors, 2), PL_ESTATE);
    CHECK_EQ_INT(pl_group_end(&group, PL_OK), PL_EIO);
    CHECK_EQ_INT(pl_group_collect(&group, errors, 2), PL_ESTATE);
    CHECK_EQ_INT(pl_group_error_count(NULL), 0);
    fixture_clear(f);
    return 0;
}

FIXTURE_CASE(of_several_errors_the_first_is_the_verdict)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, fail_in_clean_up); /* PL_EPIPE, as the other has failed */
    spawn(f, yield_then_fail);
    CHECK_EQ_INT(pl_group_end(&group, 0), PL_EIO);
    EXPECT_TRACE(f, "fail clean ");
    EXPECT_REPORTS(f, "PL_EPIPE ");
    return 0;
}

FIXTURE_CASE(a_child_that_catches_the_cancel_and_ends_well_changes_nothing)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn_slot(f, 0, catch_cancel);
    spawn(f, yield_then_fail);
    CHECK_EQ_INT(pl_group_end(&group, 0), PL_EIO);
    CHECK_EQ_INT(result_of(f, 0), 11);
    return 0;
}

static int64_t spawn_while_aborting(void *arg)
{
    fixture *f = arg;
    int drops;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    drops = f->drops;
    CHECK_EQ_INT(pl_group_spawn(f->group, return_seven, f, fixture_drop), PL_ECANCELED);
    CHECK_EQ_INT(f->drops, drops + 1);
    CHECK_EQ_INT(pl_group_spawn(f->group, return_seven, f, NULL), PL_ECANCELED);
    note(f, "refused");
    return PL_ECANCELED;
}

/* test_taskgroup_no_create_task_after_failure */
FIXTURE_CASE(a_child_spawned_while_the_group_is_being_cancelled_is_refused_and_dropped)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, spawn_while_aborting);
    spawn(f, yield_then_fail);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_group_spawn(&group, return_seven, f, fixture_drop), PL_ECANCELED); /* by the body too */
    CHECK_EQ_INT(pl_group_end(&group, PL_ECANCELED), PL_EIO);
    EXPECT_TRACE(f, "fail refused ");
    CHECK_EQ_INT(f->drops, 2);
    return 0;
}

static int64_t third_task(void *arg)
{
    (void)arg;
    return PL_EIO;
}

static int64_t second_task(void *arg)
{
    fixture *f = arg;
    pl_task_options options = {.size = sizeof options, .eager = 1};
    CHECK_EQ_INT(pl_group_spawn_task(f->group, NULL, third_task, f, f->counts[0] ? &options : NULL), PL_OK);
    if (pl_yield() == PL_OK)
        CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    note(f, "ran");
    return PL_ECANCELED;
}

/* test_cancels_task_if_created_during_creation, gh-128550 */
FIXTURE_CASE(a_child_is_cancelled_by_the_error_of_one_that_it_spawned)
{
    fixture *f = arg;
    for (f->counts[0] = 0; f->counts[0] < 2; f->counts[0]++) {
        pl_group group = {0};
        pl_task_options options = {.size = sizeof options, .eager = f->counts[0]};
        begin(f, &group, PL_GROUP_FAIL_FAST);
        CHECK_EQ_INT(pl_group_spawn_task(&group, NULL, second_task, f, &options), PL_OK);
        CHECK_EQ_INT(pl_group_end(&group, 0), PL_EIO);
        EXPECT_TRACE(f, "ran ");
    }
    return 0;
}

FIXTURE_CASE(an_error_of_a_child_counts_as_looked_at)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn_slot(f, 0, fail_at_once);
    spawn_slot(f, 1, fail_in_clean_up);
    CHECK_EQ_INT(pl_group_end(&group, 0), PL_EIO);
    return 0; /* fixture_close finds no report */
}

/* --- Supervising -------------------------------------------------------------------------------------------------- */

FIXTURE_CASE(a_supervising_group_reports_errors_and_cancels_nobody)
{
    fixture *f = arg;
    pl_group group = {0};
    pl_task_options options = {.size = sizeof options, .name = "clumsy"};
    begin(f, &group, PL_GROUP_SUPERVISE);
    CHECK_EQ_INT(pl_group_spawn_task(&group, NULL, yield_then_fail, f, &options), PL_OK);
    spawn_slot(f, 0, yield_twice);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_group_end(&group, 5), 5);
    EXPECT_TRACE(f, "fail end ");
    CHECK_EQ_INT(result_of(f, 0), 3);
    CHECK_STR(f->report_task, "clumsy");
    EXPECT_REPORTS(f, "PL_EIO ");
    return 0;
}

FIXTURE_CASE(a_supervising_group_reports_each_error_once_and_no_cancel)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_SUPERVISE);
    spawn_slot(f, 0, fail_at_once);
    spawn(f, fail_at_once);
    spawn_slot(f, 1, sleep_for_ever);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(f->tasks[1]), 1);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    fixture_release_slots(f);
    EXPECT_REPORTS(f, "PL_EIO PL_EIO ");
    return 0;
}

FIXTURE_CASE(an_error_of_the_body_cancels_the_children_of_a_supervising_group_too)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_SUPERVISE);
    spawn(f, sleep_for_ever);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_group_end(&group, PL_EPIPE), PL_EPIPE);
    EXPECT_TRACE(f, "PL_ECANCELED ");
    return 0;
}

/* The body is cancelled, its children not yet: it may let them finish. */
static int64_t let_children_finish(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, f->counts[7]);
    spawn(f, await_first);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    note(f, "body");
    while (pl_group_size(&group) > 0)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    return pl_group_end(&group, PL_ECANCELED);
}

TEST_CASE(a_cancel_of_the_body_does_not_reach_the_children_before_the_end)
{
    for (int flags = PL_GROUP_FAIL_FAST; flags <= PL_GROUP_SUPERVISE; flags++) {
        fixture f;
        REQUIRE(fixture_open(&f, t));
        f.counts[7] = flags;
        new_future(&f, 0);
        start_slot(&f, 0, let_children_finish);
        turn(&f, 2);
        CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
        turn(&f, 5);
        EXPECT_TRACE(&f, "body ");
        CHECK_EQ_INT(pl_future_set_result(f.futures[0], 4), PL_OK);
        CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
        EXPECT_TRACE(&f, "4 ");
        fixture_close(&f);
    }
}

/* --- Cancelling the group ----------------------------------------------------------------------------------------- */

FIXTURE_CASE(a_cancelled_group_ends_without_an_error)
{
    fixture *f = arg;
    for (int flags = PL_GROUP_FAIL_FAST; flags <= PL_GROUP_SUPERVISE; flags++) {
        pl_group group = {0};
        int rc;
        begin(f, &group, flags);
        spawn(f, sleep_for_ever);
        spawn(f, sleep_for_ever);
        CHECK_EQ_INT(pl_yield(), PL_OK);
        pl_group_cancel(&group);
        pl_group_cancel(&group);
        CHECK_EQ_INT(pl_check_cancelled(), PL_ECANCELED); /* the body too */
        rc = pl_sleep(PL_FOREVER);
        CHECK_EQ_INT(rc, PL_ECANCELED);
        CHECK_EQ_INT(pl_group_end(&group, rc), PL_OK);
        EXPECT_TRACE(f, "PL_ECANCELED PL_ECANCELED ");
        CHECK_EQ_INT(pl_yield(), PL_OK);
    }
    return 0;
}

FIXTURE_CASE(a_cancelled_group_keeps_the_result_of_a_body_that_ended_well)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, sleep_for_ever);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_group_cancel(&group);
    CHECK_EQ_INT(pl_group_end(&group, 5), 5);
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, sleep_for_ever);
    pl_group_cancel(&group);
    CHECK_EQ_INT(pl_group_end(&group, PL_EPIPE), PL_EPIPE);
    CHECK_EQ_INT(f->drops, 1);
    return 0;
}

static int64_t cancel_the_group(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_group_cancel(f->group);
    note(f, "cancel");
    CHECK_EQ_INT(pl_check_cancelled(), PL_ECANCELED);
    return pl_sleep(PL_FOREVER);
}

FIXTURE_CASE(a_child_may_cancel_its_group_while_it_ends)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, sleep_for_ever);
    spawn(f, cancel_the_group);
    CHECK_EQ_INT(pl_group_end(&group, 5), 5);
    EXPECT_TRACE(f, "cancel PL_ECANCELED ");
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

static void cancel_group_from_callback(void *arg)
{
    fixture *f = arg;
    pl_group_cancel(f->group);
}

FIXTURE_CASE(a_callback_may_cancel_a_group_whose_body_waits)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, sleep_for_ever);
    CHECK_EQ_INT(pl_call_soon(NULL, cancel_group_from_callback, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_end(&group, pl_sleep(PL_FOREVER)), PL_OK);
    CHECK_EQ_INT(f->drops, 0);
    return 0;
}

/* asyncio 3.15: TaskGroup.cancel before it is entered */
FIXTURE_CASE(a_group_cancelled_before_it_begins_is_cancelled_from_the_start)
{
    fixture *f = arg;
    pl_group group = {0};
    int rc;
    pl_group_cancel(&group);
    pl_group_cancel(&group);
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_check_cancelled(), PL_ECANCELED);
    CHECK_EQ_INT(pl_group_spawn(&group, return_seven, f, fixture_drop), PL_ECANCELED);
    CHECK_EQ_INT(f->drops, 1);
    rc = pl_sleep(PL_FOREVER);
    CHECK_EQ_INT(rc, PL_ECANCELED);
    CHECK_EQ_INT(pl_group_end(&group, rc), PL_OK);
    begin(f, &group, PL_GROUP_FAIL_FAST); /* that was for once */
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_group_end(&group, 2), 2);
    return 0;
}

FIXTURE_CASE(cancelling_a_group_that_has_ended_is_harmless)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, return_seven);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    pl_group_cancel(&group);
    CHECK_EQ_INT(pl_check_cancelled(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

FIXTURE_CASE(children_that_have_not_begun_are_dropped_by_the_cancel)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_SUPERVISE);
    for (int i = 0; i < 10; i++)
        spawn(f, return_seven);
    pl_group_cancel(&group);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    EXPECT_TRACE(f, "");
    CHECK_EQ_INT(f->drops, 10);
    return 0;
}

FIXTURE_CASE(an_error_of_a_child_of_a_cancelled_group_is_the_verdict)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, fail_in_clean_up);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_group_cancel(&group);
    CHECK_EQ_INT(pl_group_end(&group, pl_yield()), PL_EPIPE);
    return 0;
}

/* --- Cancelled from outside --------------------------------------------------------------------------------------- */

static int64_t group_of_sleepers(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    int64_t rc;
    begin(f, &group, f->counts[7]);
    for (int i = 0; i < 3; i++)
        spawn(f, sleep_for_ever);
    rc = pl_group_end(&group, 5);
    f->counts[6] = pl_group_size(&group) == 0;
    return rc;
}

/* test_cancellation, test_taskgroup_22 */
TEST_CASE(a_cancel_of_the_parent_that_waits_for_its_children_cancels_them)
{
    for (int flags = PL_GROUP_FAIL_FAST; flags <= PL_GROUP_SUPERVISE; flags++) {
        fixture f;
        REQUIRE(fixture_open(&f, t));
        f.counts[7] = flags;
        start_slot(&f, 0, group_of_sleepers);
        turn(&f, 2);
        CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
        CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
        EXPECT_TRACE(&f, "PL_ECANCELED PL_ECANCELED PL_ECANCELED ");
        CHECK_EQ_INT(f.counts[6], 1);
        fixture_close(&f);
    }
}

static int64_t group_with_sleeping_body(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    int64_t rc;
    begin(f, &group, PL_GROUP_FAIL_FAST);
    for (int i = 0; i < 3; i++)
        spawn(f, sleep_for_ever);
    rc = pl_sleep(PL_FOREVER);
    note(f, "body");
    return pl_group_end(&group, rc);
}

/* test_taskgroup_07, test_taskgroup_17 */
TEST_CASE(a_cancel_of_the_body_cancels_the_children_and_is_the_verdict)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, group_with_sleeping_body);
    turn(&f, 2);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(&f, "body PL_ECANCELED PL_ECANCELED PL_ECANCELED ");
    fixture_close(&f);
}

static int64_t group_with_failing_clean_up(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    for (int i = 0; i < 3; i++)
        spawn(f, fail_in_clean_up);
    return pl_group_end(&group, pl_sleep(PL_FOREVER));
}

static int64_t ending_group_with_failing_clean_up(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, fail_in_clean_up);
    return pl_group_end(&group, 0);
}

/* test_taskgroup_08, test_taskgroup_12 */
TEST_CASE(errors_go_before_a_cancel_from_outside)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, group_with_failing_clean_up);
    start_slot(&f, 1, ending_group_with_failing_clean_up);
    turn(&f, 2);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_EPIPE);
    EXPECT_REPORTS(&f, "PL_EPIPE PL_EPIPE "); /* the other two */
    CHECK_EQ_INT(pl_task_cancel(f.tasks[1]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), PL_EPIPE);
    fixture_close(&f);
}

static int64_t group_that_fails_when_cancelled(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    int64_t rc;
    begin(f, &group, PL_GROUP_FAIL_FAST);
    rc = pl_sleep(PL_FOREVER) == PL_ECANCELED ? PL_EPIPE : 0;
    return pl_group_end(&group, rc);
}

/* test_taskgroup_18 */
TEST_CASE(an_error_in_place_of_the_cancel_passes)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, group_that_fails_when_cancelled);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_EPIPE);
    fixture_close(&f);
}

static int64_t group_that_is_cancelled_twice(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, await_first);
    spawn(f, sleep_for_ever);
    return pl_group_end(&group, 0);
}

static int64_t ignore_then_await_second(void *arg)
{
    fixture *f = arg;
    pl_shielded shielded = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    rc = pl_await(f->futures[1]);
    pl_shielded_end(&shielded);
    note(f, "clean");
    return rc;
}

static int64_t group_with_slow_clean_up(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, ignore_then_await_second);
    return pl_group_end(&group, 0);
}

FIXTURE_CASE(cancelling_a_group_twice_is_cancelling_it_once)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn_slot(f, 0, sleep_for_ever);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_group_cancel(&group);
    pl_group_cancel(&group);
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    pl_group_cancel(&group);
    CHECK_EQ_INT(pl_group_end(&group, PL_ECANCELED), PL_OK);
    pl_group_cancel(&group);
    EXPECT_TRACE(f, "PL_ECANCELED ");
    CHECK_EQ_INT(pl_task_cancelling(f->tasks[0]), 0);
    CHECK_EQ_INT(pl_task_cancelling(pl_task_current()), 0);
    return pl_yield();
}

TEST_CASE(a_group_cancelled_again_while_it_ends_still_waits_for_its_children)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    start_slot(&f, 0, group_that_is_cancelled_twice);
    start_slot(&f, 1, group_with_slow_clean_up);
    turn(&f, 2);
    for (int i = 0; i < 3; i++) {
        (void)pl_task_cancel(f.tasks[0]);
        CHECK_EQ_INT(pl_task_cancel(f.tasks[1]), 1);
        turn(&f, 2);
        CHECK_EQ_INT(pl_future_state(pl_task_future(f.tasks[1])), PL_PENDING);
    }
    CHECK_EQ_INT(result_of(&f, 0), PL_ECANCELED);
    CHECK_EQ_INT(pl_future_set_result(f.futures[1], 1), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), PL_ECANCELED);
    CHECK(strstr(f.trace, "clean ") != NULL);
    fixture_close(&f);
}

static int64_t nested_groups(void *arg)
{
    fixture *f = arg;
    pl_group outer = {0}, inner = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_group_begin(&outer, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&outer, sleep_for_ever, f, NULL), PL_OK);
    begin(f, &inner, PL_GROUP_FAIL_FAST);
    for (int i = 0; i < 3; i++)
        spawn(f, fail_in_clean_up);
    rc = pl_group_end(&inner, pl_sleep(PL_FOREVER));
    note_code(f, rc);
    return pl_group_end(&outer, rc);
}

/* test_taskgroup_11, test_taskgroup_12 */
TEST_CASE(a_cancel_goes_through_nested_groups)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, nested_groups);
    turn(&f, 2);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_EPIPE);
    CHECK(strstr(f.trace, "clean clean clean PL_EPIPE ") != NULL);
    CHECK(strstr(f.trace, "PL_ECANCELED ") != NULL);
    EXPECT_REPORTS(&f, "PL_EPIPE PL_EPIPE ");
    fixture_close(&f);
}

/* test_taskgroup_13: the outer one's child fails while the inner one ends. */
FIXTURE_CASE(an_error_in_an_outer_group_cancels_the_inner_one)
{
    fixture *f = arg;
    pl_group outer = {0}, inner = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_group_begin(&outer, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&outer, yield_then_fail, f, NULL), PL_OK);
    begin(f, &inner, PL_GROUP_FAIL_FAST);
    spawn(f, sleep_for_ever);
    rc = pl_group_end(&inner, 0);
    CHECK_EQ_INT(rc, PL_ECANCELED);
    CHECK_EQ_INT(pl_group_end(&outer, rc), PL_EIO);
    EXPECT_TRACE(f, "fail PL_ECANCELED ");
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

/* test_taskgroup_14 */
FIXTURE_CASE(an_error_in_an_inner_group_goes_up_as_its_result)
{
    fixture *f = arg;
    pl_group outer = {0}, inner = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_group_begin(&outer, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&outer, sleep_for_ever, f, NULL), PL_OK);
    begin(f, &inner, PL_GROUP_FAIL_FAST);
    spawn(f, yield_then_fail);
    rc = pl_group_end(&inner, 0);
    CHECK_EQ_INT(rc, PL_EIO);
    CHECK_EQ_INT(pl_check_cancelled(), PL_OK); /* the outer one goes on */
    CHECK_EQ_INT(pl_group_end(&outer, rc), PL_EIO);
    EXPECT_TRACE(f, "fail PL_ECANCELED ");
    return 0;
}

static int64_t break_at_once(void *arg)
{
    (void)arg;
    return PL_EPIPE;
}

/* test_nested_groups_both_cancelled: in one iteration, in both orders. */
FIXTURE_CASE(errors_in_both_of_two_nested_groups)
{
    fixture *f = arg;
    for (int order = 0; order < 2; order++) {
        pl_group outer = {0}, inner = {0};
        int64_t rc;
        CHECK_EQ_INT(pl_group_begin(&outer, PL_GROUP_FAIL_FAST), PL_OK);
        begin(f, &inner, PL_GROUP_FAIL_FAST);
        if (order == 0)
            spawn(f, break_at_once);
        CHECK_EQ_INT(pl_group_spawn(&outer, third_task, f, NULL), PL_OK);
        if (order == 1)
            spawn(f, break_at_once);
        rc = pl_group_end(&inner, 0);
        if (order == 1 && f->drops == 1) /* the outer one's cancel was there before it began; in asyncio it comes after */
            CHECK_EQ_INT(rc, PL_ECANCELED);
        else
            CHECK_EQ_INT(rc, PL_EPIPE);
        CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
        CHECK_EQ_INT(pl_group_end(&outer, 0), PL_EIO);
        CHECK_EQ_INT(pl_yield(), PL_OK);
    }
    return 0;
}

static int64_t set_and_fail(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_future_set_result(f->futures[0], 0), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return PL_EIO;
}

static int64_t error_and_cancel(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, set_and_fail);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    note_code(f, pl_group_end(&group, PL_ECANCELED));
    CHECK_EQ_INT(pl_task_cancelling(pl_task_current()), 1);
    note_code(f, pl_sleep(PL_MS(1))); /* the cancel from outside is not lost */
    return PL_ECANCELED;
}

/* Cancels the first task when the future is done, which is in the iteration in which the child fails. */
static int64_t cancel_it_then(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_await(f->futures[0]), 0);
    CHECK_EQ_INT(pl_task_cancelling(f->tasks[0]), 0);
    CHECK_EQ_INT(pl_task_cancel(f->tasks[0]), 1);
    return 0;
}

/* test_error_and_cancel */
TEST_CASE(an_error_and_a_cancel_from_outside_are_both_delivered)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, error_and_cancel);
    start_slot(&f, 1, cancel_it_then);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(&f, "PL_EIO PL_ECANCELED ");
    CHECK_EQ_INT(result_of(&f, 1), 0);
    fixture_close(&f);
}

static int64_t fail_when_told(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_await(f->futures[0]), 0);
    return PL_EIO;
}

/* The body is cancelled from outside; while it cleans up a child fails. */
static int64_t group_whose_child_fails_in_the_bodys_clean_up(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    int rc;
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, fail_when_told);
    rc = pl_sleep(PL_FOREVER);
    note_code(f, rc);
    CHECK_EQ_INT(pl_future_set_result(f->futures[0], 0), PL_OK);
    note_code(f, pl_sleep(PL_FOREVER)); /* which the group's cancel ends */
    return pl_group_end(&group, rc);
}

static int64_t await_the_first(void *arg)
{
    fixture *f = arg;
    return pl_task_await(f->tasks[0]);
}

/* test_taskgroup_15, test_taskgroup_16 */
TEST_CASE(a_childs_error_in_the_clean_up_of_a_cancelled_body_goes_before_the_cancel)
{
    for (int nested = 0; nested < 2; nested++) {
        fixture f;
        REQUIRE(fixture_open(&f, t));
        new_future(&f, 0);
        start_slot(&f, 0, group_whose_child_fails_in_the_bodys_clean_up);
        start_slot(&f, 1, await_the_first);
        turn(&f, 2);
        CHECK_EQ_INT(pl_task_cancel(f.tasks[nested]), 1);
        CHECK_EQ_INT(finish_task(&f, f.tasks[1]), PL_EIO);
        EXPECT_TRACE(&f, "PL_ECANCELED PL_ECANCELED ");
        CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 1); /* the one from outside, and none of the group's */
        fixture_close(&f);
    }
}

static void cancel_when_last_child_ended(void *arg)
{
    fixture *f = arg;
    note(f, "late");
    CHECK_EQ_INT(pl_task_cancel(f->tasks[0]), 1);
}

static int64_t group_of_one(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn_slot(f, 1, yield_twice);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_task_future(f->tasks[1]), &f->callbacks[0],
                                             cancel_when_last_child_ended, f),
                 PL_OK);
    note_code(f, pl_group_end(&group, 0));
    note_code(f, pl_yield());
    return PL_ECANCELED;
}

/* The race of the end with a cancel: the last child has ended, the parent is ready to go on. */
TEST_CASE(a_cancel_that_comes_when_the_last_child_has_just_ended_is_not_lost)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, group_of_one);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK(strcmp(f.trace, "end late PL_ECANCELED PL_OK ") == 0 || strcmp(f.trace, "end late PL_OK PL_ECANCELED ") == 0);
    fixture_close(&f);
}

static int64_t swallow_then_end(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, await_first);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED); /* and it does not care */
    return pl_group_end(&group, 5);
}

TEST_CASE(a_cancel_that_the_body_caught_does_not_cancel_the_children)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, swallow_then_end);
    turn(&f, 2);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 3);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 2), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 5);
    EXPECT_TRACE(&f, "2 ");
    fixture_close(&f);
}

/* --- With limits -------------------------------------------------------------------------------------------------- */

/* test_timeout_taskgroup */
FIXTURE_CASE(a_limit_around_a_group_cancels_its_children)
{
    fixture *f = arg;
    for (int i = 0; i < 4; i++) {
        pl_timeout limit = {0};
        pl_group group = {0};
        int64_t rc;
        CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
        begin(f, &group, i % 2 ? PL_GROUP_SUPERVISE : PL_GROUP_FAIL_FAST);
        spawn(f, sleep_for_ever);
        spawn(f, sleep_for_ever);
        rc = i < 2 ? 0 : pl_sleep(PL_FOREVER); /* it runs out in the end, or in the body */
        rc = pl_group_end(&group, rc);
        CHECK_EQ_INT(rc, PL_ECANCELED);
        CHECK_EQ_INT(pl_timeout_end(&limit, rc), PL_ETIMEDOUT);
        EXPECT_TRACE(f, "PL_ECANCELED PL_ECANCELED ");
    }
    return 0;
}

FIXTURE_CASE(an_error_of_a_child_in_its_clean_up_goes_before_the_limit)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    pl_group group = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, fail_in_clean_up);
    rc = pl_group_end(&group, pl_sleep(PL_FOREVER));
    CHECK_EQ_INT(rc, PL_EPIPE);
    CHECK_EQ_INT(pl_timeout_end(&limit, rc), PL_EPIPE);
    CHECK(pl_timeout_expired(&limit) != 0);
    return 0;
}

FIXTURE_CASE(a_limit_inside_a_group_leaves_the_children_alone)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    pl_group group = {0};
    new_future(f, 0);
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, await_first);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_FOREVER)), PL_ETIMEDOUT);
    EXPECT_TRACE(f, "");
    CHECK_EQ_INT(pl_future_set_result(f->futures[0], 1), PL_OK);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    EXPECT_TRACE(f, "1 ");
    return 0;
}

FIXTURE_CASE(a_group_that_fails_inside_a_limit_is_not_the_limits)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    pl_group group = {0};
    int64_t rc;
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, yield_then_fail);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_SECONDS(3600)), PL_OK);
    rc = pl_timeout_end(&limit, pl_sleep(PL_FOREVER)); /* the group's cancel */
    CHECK_EQ_INT(rc, PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_expired(&limit), 0);
    CHECK_EQ_INT(pl_group_end(&group, rc), PL_EIO);
    return 0;
}

static int64_t limited_child(void *arg)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    rc = pl_timeout_end(&limit, pl_sleep(PL_FOREVER));
    note_code(f, rc);
    return rc;
}

FIXTURE_CASE(a_child_whose_limit_ran_out_fails_the_group)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, limited_child);
    spawn(f, sleep_for_ever);
    CHECK_EQ_INT(pl_group_end(&group, 0), PL_ETIMEDOUT);
    EXPECT_TRACE(f, "PL_ETIMEDOUT PL_ECANCELED ");
    return 0;
}

static int64_t limited_child_of_a_cancelled_group(void *arg)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_SECONDS(3600)), PL_OK);
    rc = pl_timeout_end(&limit, pl_sleep(PL_FOREVER));
    note_code(f, rc);
    return rc;
}

FIXTURE_CASE(a_limit_in_a_child_is_not_to_blame_for_the_groups_cancel)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, limited_child_of_a_cancelled_group);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_group_cancel(&group);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    EXPECT_TRACE(f, "PL_ECANCELED ");
    return 0;
}

static int64_t tree(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    int64_t rc;
    f->counts[0]++;
    if (f->counts[0] > 200) {
        rc = pl_sleep(PL_FOREVER);
        f->counts[1]++;
        return rc;
    }
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&group, tree, f, fixture_drop), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&group, tree, f, fixture_drop), PL_OK);
    rc = pl_group_end(&group, 0);
    f->counts[1]++;
    return rc;
}

TEST_CASE(a_cancel_at_the_root_ends_a_tree_of_groups)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, tree);
    turn(&f, 30);
    CHECK(f.counts[0] > 200);
    CHECK_EQ_INT(f.counts[1], 0);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(f.counts[0], f.counts[1]);
    CHECK_EQ_INT(f.drops, 0);
    fixture_close(&f);
}

static int64_t await_the_parent(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_task_await(f->tasks[0]);
    note_code(f, rc);
    return 0;
}

static int64_t parent_that_is_awaited(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, await_the_parent);
    return pl_group_end(&group, 3);
}

TEST_CASE(a_child_that_awaits_the_parent_that_waits_for_it_is_told)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, parent_that_is_awaited);
    turn(&f, 5);
    EXPECT_TRACE(&f, "PL_EDEADLOCK ");
    CHECK_EQ_INT(pl_future_state(pl_task_future(f.tasks[0])), PL_FINISHED);
    fixture_close(&f);
}

typedef struct nest {
    fixture *f;
    int left;
    int ended;
} nest;

static int64_t nest_one_more(void *arg)
{
    nest *n = arg;
    pl_group group = {0};
    int64_t rc;
    if (n->left-- == 0) {
        rc = pl_await(n->f->futures[0]);
        n->ended++;
        return rc;
    }
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&group, nest_one_more, n, NULL), PL_OK);
    rc = pl_group_end(&group, 0);
    n->ended++;
    return rc;
}

static int64_t cancel_the_nest(void *arg)
{
    pl_task *task = arg;
    CHECK_EQ_INT(pl_task_cancel(task), 1);
    return 0;
}

/* From inside a task: its stack is no deep one. */
TEST_CASE(a_cancel_runs_down_a_long_chain_of_groups)
{
    fixture f;
    const int count = scaled(10000);
    nest n = {.f = &f, .left = count};
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    f.tasks[0] = start_task(&f, nest_one_more, &n);
    turn(&f, count + 2);
    CHECK_EQ_INT(n.left, -1);
    CHECK_EQ_INT(run_task(&f, cancel_the_nest, f.tasks[0]), 0);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(n.ended, count + 1);
    fixture_close(&f);
}

/* --- Waiting for one another -------------------------------------------------------------------------------------- */

static int64_t await_the_root(void *arg)
{
    fixture *f = arg;
    note_code(f, pl_task_await(f->tasks[0]));
    return 0;
}

static int64_t await_in_a_group_inside(void *arg)
{
    fixture *f = arg;
    pl_group inner = {0};
    CHECK_EQ_INT(pl_group_begin(&inner, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&inner, await_the_root, f, NULL), PL_OK);
    return pl_group_end(&inner, 0);
}

static int64_t have_children_that_await_their_parent(void *arg)
{
    pl_group group = {0};
    begin(arg, &group, PL_GROUP_FAIL_FAST);
    spawn(arg, await_the_root);
    spawn(arg, await_in_a_group_inside);
    CHECK_EQ_INT(pl_yield(), PL_OK); /* the first does so while the body runs */
    return pl_group_end(&group, 5);
}

/* The parent ends after its children: they would wait for ever, and keep the loop. */
TEST_CASE(a_task_that_awaits_the_parent_of_its_group_is_told)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, have_children_that_await_their_parent);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 5);
    EXPECT_TRACE(&f, "PL_EDEADLOCK PL_EDEADLOCK ");
    fixture_close(&f);
}

static int64_t await_the_second(void *arg)
{
    fixture *f = arg;
    note_code(f, pl_task_await(f->tasks[1]));
    return 0;
}

static int64_t await_the_root_later(void *arg)
{
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    return await_the_root(arg);
}

static int64_t wait_for_one(fixture *f, pl_task_fn *child)
{
    pl_group group = {0};
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&group, child, f, NULL), PL_OK);
    return pl_group_end(&group, 0);
}

static int64_t have_a_child_that_awaits_the_second(void *arg)
{
    return wait_for_one(arg, await_the_second);
}

static int64_t have_a_child_that_awaits_the_root_later(void *arg)
{
    return wait_for_one(arg, await_the_root_later);
}

/* The one that closes the circle is told, wherever in it there are groups; then the others go on. */
TEST_CASE(a_circle_of_waits_through_groups_ends)
{
    static pl_task_fn *const seconds[] = {await_the_root_later, have_a_child_that_awaits_the_root_later};
    for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
        fixture f;
        REQUIRE(fixture_open(&f, t));
        start_slot(&f, 0, have_a_child_that_awaits_the_second);
        start_slot(&f, 1, seconds[i]);
        CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 0);
        EXPECT_TRACE(&f, "PL_EDEADLOCK PL_OK ");
        fixture_close(&f);
    }
}

/* --- Misuse ------------------------------------------------------------------------------------------------------- */

/* test_taskgroup_without_parent_task, test_taskgroup_not_entered */
TEST_CASE(outside_of_a_task_there_is_no_group)
{
    fixture f;
    pl_group group = {0};
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_ENOTASK);
    CHECK_EQ_INT(pl_group_spawn(&group, return_seven, &f, fixture_drop), PL_ESTATE);
    CHECK_EQ_INT(f.drops, 1);
    CHECK_EQ_INT(pl_group_size(&group), 0);
    turn(&f, 1);
    fixture_close(&f);
    EXPECT_TRACE(&f, "");
}

/* test_taskgroup_finished, test_coro_closed_when_tg_closed */
FIXTURE_CASE(a_group_that_was_not_begun_or_has_ended_takes_no_child_and_drops_it)
{
    fixture *f = arg;
    pl_group group = {0};
    pl_task *task = NULL;
    pl_task_options options = {.size = sizeof options, .drop = fixture_drop};
    CHECK_EQ_INT(pl_group_spawn(&group, return_seven, f, fixture_drop), PL_ESTATE);
    CHECK_EQ_INT(f->drops, 1);
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    CHECK_EQ_INT(pl_group_spawn(&group, return_seven, f, fixture_drop), PL_ESTATE);
    CHECK_EQ_INT(f->drops, 2);
    CHECK_EQ_INT(pl_group_spawn_task(&group, &task, return_seven, f, &options), PL_ESTATE);
    CHECK(task == NULL);
    CHECK_EQ_INT(f->drops, 3);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    EXPECT_TRACE(f, "");
    return 0;
}

/* test_taskgroup_already_entered */
FIXTURE_CASE(a_group_that_is_begun_is_busy)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    spawn(f, return_seven);
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_EBUSY);
    CHECK_EQ_INT(pl_group_size(&group), 1); /* as it was */
    CHECK_EQ_INT(pl_group_end(&group, 4), 4);
    return 0;
}

FIXTURE_CASE(flags_of_no_meaning_are_refused)
{
    pl_group group = {0};
    (void)arg;
    CHECK_EQ_INT(pl_group_begin(&group, 17), PL_EINVAL);
    CHECK_EQ_INT(pl_group_begin(&group, -1), PL_EINVAL);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

FIXTURE_CASE(no_function_for_a_child_is_refused_and_the_argument_dropped)
{
    fixture *f = arg;
    pl_group group = {0};
    begin(f, &group, PL_GROUP_FAIL_FAST);
    CHECK_EQ_INT(pl_group_spawn(&group, NULL, f, fixture_drop), PL_EINVAL);
    CHECK_EQ_INT(f->drops, 1);
    CHECK_EQ_INT(pl_group_size(&group), 0);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    return 0;
}

static int64_t count_child(void *arg)
{
    fixture *f = arg;
    f->counts[0]++;
    if (pl_yield() < 0)
        return PL_ECANCELED;
    f->counts[1]++;
    return 0;
}

FIXTURE_CASE(a_group_of_many_children)
{
    fixture *f = arg;
    pl_group group = {0};
    const int count = scaled(10000);
    begin(f, &group, PL_GROUP_FAIL_FAST);
    for (int i = 0; i < count; i++)
        spawn(f, count_child);
    CHECK_EQ_INT(pl_group_size(&group), count);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    CHECK_EQ_INT(f->counts[0], count);
    CHECK_EQ_INT(f->counts[1], count);
    return 0;
}

/* --- A group inside the exception handler ------------------------------------------------------------------------- */

/* A group that begins, is cancelled and ends without a wait. */
static int64_t cancel_and_end_at_once(void *arg)
{
    pl_group group = {0};
    (void)arg;
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    pl_group_cancel(&group);
    return pl_group_end(&group, PL_OK);
}

/* Uses the stack that the one before it had. */
static int64_t spoil_stack(void *arg)
{
    volatile unsigned char spoiled[4096];
    (void)arg;
    for (size_t i = 0; i < sizeof spoiled; i++)
        spoiled[i] = 0xa5;
    return spoiled[17] == 0xa5 ? PL_OK : PL_EIO;
}

static void use_a_group_in_the_handler(pl_loop *loop, const pl_report *report, void *arg)
{
    fixture *f = arg;
    const pl_task_options eager = {.size = sizeof eager, .loop = loop, .eager = 1};
    note_code(f, report->error);
    CHECK_EQ_INT(pl_spawn(NULL, cancel_and_end_at_once, f, &eager), PL_OK);
    CHECK_EQ_INT(pl_spawn(NULL, spoil_stack, f, &eager), PL_OK);
}

/* The cancel of the group is the thousandth that is ignored. */
static int64_t ignore_all_but_one_and_wait(void *arg)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    pl_shielded shielded = {0};
    pl_group group = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_OK);
    for (int i = 0; i < 999; i++)
        CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    f->group = &group;
    rc = pl_group_end(&group, pl_await(f->futures[0]));
    pl_shielded_end(&shielded);
    (void)pl_timeout_end(&limit, rc);
    return rc;
}

static void cancel_that_group(void *arg)
{
    pl_group_cancel(((fixture *)arg)->group);
}

TEST_CASE(a_group_that_the_handler_uses_while_another_is_cancelled_leaves_nothing_behind)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_set_exception_handler(f.loop, use_a_group_in_the_handler, &f), PL_OK);
    new_future(&f, 0);
    start_slot(&f, 0, ignore_all_but_one_and_wait);
    turn(&f, 1002);
    REQUIRE(f.group != NULL);
    CHECK_EQ_INT(pl_call_soon(f.loop, cancel_that_group, &f, NULL), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_OK);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
    fixture_close(&f);
}

TEST_SUITE(group, TEST_BACKENDS_ALL,
           CASE(an_empty_group_ends_with_the_result_of_its_body),
           CASE(the_end_waits_for_every_child),
           CASE(children_come_and_go_while_the_body_runs),
           CASE(the_end_waits_for_children_that_are_spawned_while_ending),
           CASE(a_callback_of_the_loop_may_spawn_a_child),
           CASE(a_child_spawned_after_the_last_has_ended_runs_or_is_dropped),
           CASE(a_group_that_grows_for_ever_ends_by_an_error),
           CASE(a_child_that_is_cancelled_alone_ends_in_silence),
           CASE(a_child_cancelled_before_its_first_step_drops_its_argument_once),
           CASE(a_child_has_the_name_it_was_given),
           CASE(an_eager_child_may_have_ended_when_spawn_returns),
           CASE(the_first_error_cancels_the_other_children_and_the_body),
           CASE(an_error_while_ending_cancels_the_other_children),
           CASE(an_error_drops_children_that_have_not_begun),
           CASE(the_cancel_after_an_error_is_a_level_for_the_body),
           CASE(the_cancel_after_an_error_is_a_level_for_the_children),
           CASE(an_error_of_the_body_cancels_the_children),
           CASE(an_error_of_the_body_of_an_empty_group_passes),
           CASE(the_bodys_error_comes_before_the_errors_it_caused),
           CASE(an_error_of_the_body_comes_before_the_one_of_a_child_that_failed_earlier),
           CASE(all_errors_are_collected_the_bodys_first),
           CASE(errors_beyond_the_capacity_are_counted_and_reported),
           CASE(errors_are_collected_only_from_an_open_group_without_any),
           CASE(of_several_errors_the_first_is_the_verdict),
           CASE(a_child_that_catches_the_cancel_and_ends_well_changes_nothing),
           CASE(a_child_spawned_while_the_group_is_being_cancelled_is_refused_and_dropped),
           CASE(a_child_is_cancelled_by_the_error_of_one_that_it_spawned),
           CASE(an_error_of_a_child_counts_as_looked_at),
           CASE(a_supervising_group_reports_errors_and_cancels_nobody),
           CASE(a_supervising_group_reports_each_error_once_and_no_cancel),
           CASE(an_error_of_the_body_cancels_the_children_of_a_supervising_group_too),
           CASE(a_cancel_of_the_body_does_not_reach_the_children_before_the_end),
           CASE(a_cancelled_group_ends_without_an_error),
           CASE(cancelling_a_group_twice_is_cancelling_it_once),
           CASE(a_cancelled_group_keeps_the_result_of_a_body_that_ended_well),
           CASE(a_child_may_cancel_its_group_while_it_ends),
           CASE(a_callback_may_cancel_a_group_whose_body_waits),
           CASE(a_group_cancelled_before_it_begins_is_cancelled_from_the_start),
           CASE(cancelling_a_group_that_has_ended_is_harmless),
           CASE(children_that_have_not_begun_are_dropped_by_the_cancel),
           CASE(an_error_of_a_child_of_a_cancelled_group_is_the_verdict),
           CASE(a_cancel_of_the_parent_that_waits_for_its_children_cancels_them),
           CASE(a_cancel_of_the_body_cancels_the_children_and_is_the_verdict),
           CASE(errors_go_before_a_cancel_from_outside),
           CASE(an_error_in_place_of_the_cancel_passes),
           CASE(a_group_cancelled_again_while_it_ends_still_waits_for_its_children),
           CASE(a_cancel_goes_through_nested_groups),
           CASE(an_error_in_an_outer_group_cancels_the_inner_one),
           CASE(an_error_in_an_inner_group_goes_up_as_its_result),
           CASE(errors_in_both_of_two_nested_groups),
           CASE(a_childs_error_in_the_clean_up_of_a_cancelled_body_goes_before_the_cancel),
           CASE(an_error_and_a_cancel_from_outside_are_both_delivered),
           CASE(a_cancel_that_comes_when_the_last_child_has_just_ended_is_not_lost),
           CASE(a_cancel_that_the_body_caught_does_not_cancel_the_children),
           CASE(a_limit_around_a_group_cancels_its_children),
           CASE(an_error_of_a_child_in_its_clean_up_goes_before_the_limit),
           CASE(a_limit_inside_a_group_leaves_the_children_alone),
           CASE(a_group_that_fails_inside_a_limit_is_not_the_limits),
           CASE(a_child_whose_limit_ran_out_fails_the_group),
           CASE(a_limit_in_a_child_is_not_to_blame_for_the_groups_cancel),
           CASE(a_cancel_at_the_root_ends_a_tree_of_groups),
           CASE(a_child_that_awaits_the_parent_that_waits_for_it_is_told),
           CASE(a_cancel_runs_down_a_long_chain_of_groups),
           CASE(a_task_that_awaits_the_parent_of_its_group_is_told),
           CASE(a_circle_of_waits_through_groups_ends),
           CASE(outside_of_a_task_there_is_no_group),
           CASE(a_group_that_was_not_begun_or_has_ended_takes_no_child_and_drops_it),
           CASE(a_group_that_is_begun_is_busy),
           CASE(flags_of_no_meaning_are_refused),
           CASE(no_function_for_a_child_is_refused_and_the_argument_dropped),
           CASE(a_group_of_many_children),
           CASE(a_group_that_the_handler_uses_while_another_is_cancelled_leaves_nothing_behind))
