#include "harness.h"

#include "handles.h"
#include "process_child.h"
#include "worker_functions.h"

#include <proloop/proloop.h>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

extern "C" {
#define X(noun) extern const test_suite noun##_suite;
#include TEST_SUITES_FILE
#undef X
}

namespace
{

#ifdef _WIN32
const std::vector<const char *> real_backends = {"iocp"};
#elif defined(__linux__)
const std::vector<const char *> real_backends = {"epoll", "poll", "select"};
#else
const std::vector<const char *> real_backends = {"kqueue", "poll", "select"};
#endif

const std::vector<const test_suite *> suites = {
#define X(noun) &noun##_suite,
#include TEST_SUITES_FILE
#undef X
};

/* Of all cases of the program, so that a run of one suite is held to no more than the whole. */
const std::size_t percent_that_may_be_skipped = 5;

/* Threads of the system let go of memory and handles a moment after what they did for a case was seen. */
const std::chrono::milliseconds settling_limit(3000);

using note = std::pair<std::string, std::string>; /* which case, why */
std::vector<note> skipped_cases;
std::vector<note> keeping_cases;

handle_set before, after;

std::string new_handles()
{
    const std::unordered_set<std::uintptr_t> old(before.values, before.values + before.count);
    std::string list;
    for (std::size_t i = 0; i < after.count; i++) {
        char text[256];
        if (old.count(after.values[i]) != 0)
            continue;
        handles_describe(after.values[i], text, sizeof text);
        list += "\n  " + std::to_string(after.values[i]) + " " + text;
    }
    return list;
}

class case_of_c : public testing::Test
{
  public:
    case_of_c(const test_case &body, const char *backend, std::string full_name)
        : body_(body), full_name_(std::move(full_name))
    {
        context_.backend = backend;
    }

    void SetUp() override
    {
        held_before_ = pl_memory_in_use(); /* 0, unless an earlier case failed */
        ASSERT_TRUE(handles_take(&before));
    }

    void TestBody() override
    {
        body_.run(&context_);
        if (context_.skipped != nullptr) {
            skipped_cases.emplace_back(full_name_, context_.skipped);
            GTEST_SKIP() << context_.skipped;
        }
    }

    void TearDown() override
    {
        if (context_.keeps != nullptr)
            keeping_cases.emplace_back(full_name_, context_.keeps);
        settle();
        if (!handles_are_back() && !HasFailure() && context_.skipped == nullptr)
            run_again();
        EXPECT_EQ(pl_memory_in_use(), held_before_) << "bytes that the library holds after the case";
        EXPECT_TRUE(handles_are_back()) << before.count << " handles were open before the case, " << after.count
                                        << " after it. New:" << new_handles();
    }

  private:
    void settle() const
    {
        const auto give_up = std::chrono::steady_clock::now() + settling_limit;
        while (!settled() && std::chrono::steady_clock::now() < give_up)
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }

    /* A leak leaks again; what the system opened for itself, once, it does not open again. */
    void run_again()
    {
        std::cout << "handles are left after " << full_name_ << ", which runs again:" << new_handles() << std::endl;
        ASSERT_TRUE(handles_take(&before));
        body_.run(&context_);
        settle();
    }

    bool handles_are_back() const
    {
        return context_.keeps != nullptr || handles_restored(&before, &after);
    }

    bool settled() const
    {
        return pl_memory_in_use() == held_before_ && handles_take(&after) && handles_are_back();
    }

    const test_case &body_;
    const std::string full_name_;
    test_context context_ = {};
    std::int64_t held_before_ = 0;
};

/* Whether a list, separated by spaces, has this name; a NULL list has every one. */
bool lists(const char *list, const std::string &name)
{
    return list == nullptr || (" " + std::string(list) + " ").find(" " + name + " ") != std::string::npos;
}

void register_suite(const test_suite &suite, const char *backend)
{
    const std::string name = backend == nullptr ? suite.name : std::string(suite.name) + "/" + backend;
    for (std::size_t i = 0; i < suite.count; i++) {
        const test_case &body = suite.cases[i];
        if (backend != nullptr && !lists(body.backends, backend))
            continue;
        testing::RegisterTest(
            name.c_str(), body.name, nullptr, nullptr, suite.file, body.line,
            [&body, backend, name]() -> case_of_c * { return new case_of_c(body, backend, name + "." + body.name); });
    }
}

/* PROLOOP_TEST_BACKENDS names, separated by spaces, the real backends that are tested; unset: all. */
bool is_wanted(const std::string &backend)
{
    return lists(std::getenv("PROLOOP_TEST_BACKENDS"), backend);
}

void register_all()
{
    for (const test_suite *suite : suites) {
        if (suite->backends == TEST_BACKENDS_NONE) {
            register_suite(*suite, nullptr);
            continue;
        }
        for (const char *backend : real_backends) {
            if (is_wanted(backend) && (suite->backends != TEST_BACKENDS_BEST || backend == real_backends.front()))
                register_suite(*suite, backend);
        }
        if (suite->backends == TEST_BACKENDS_ALL)
            register_suite(*suite, "sim");
    }
}

void print_notes(const char *heading, const std::vector<note> &notes)
{
    if (notes.empty())
        return;
    std::printf("%s: %zu\n", heading, notes.size());
    for (const note &entry : notes)
        std::printf("  %s: %s\n", entry.first.c_str(), entry.second.c_str());
}

/* What was left out and why; whether that is little enough. The last line is read by scripts/test.sh. */
bool report()
{
    const testing::UnitTest &all = *testing::UnitTest::GetInstance();
    const std::size_t total = static_cast<std::size_t>(all.total_test_count());
    const bool few = skipped_cases.size() * 100 <= total * percent_that_may_be_skipped;
    print_notes("left out", skipped_cases);
    print_notes("handles not compared", keeping_cases);
    if (!few)
        std::printf("too many were left out: more than %zu%% of %zu\n", percent_that_may_be_skipped, total);
    std::printf("cases: %d passed, %d failed, %d skipped\n", all.successful_test_count(), all.failed_test_count(),
                all.skipped_test_count());
    return few;
}

std::string number(std::int64_t value)
{
    const std::string digits = std::to_string(value);
    return value < 0 ? digits + " (" + pl_error_name(value) + ")" : digits;
}

std::string quoted(const char *text)
{
    return text == nullptr ? std::string("NULL") : "\"" + std::string(text) + "\"";
}

} // namespace

void t_restore_allocator(void)
{
    const auto give_up = std::chrono::steady_clock::now() + settling_limit;
    while (pl_set_allocator(nullptr) != PL_OK && std::chrono::steady_clock::now() < give_up)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(pl_set_allocator(nullptr), PL_OK) << pl_memory_in_use() << " bytes are held";
}

void t_skip(test_context *t, const char *reason)
{
    t->skipped = reason;
}

void t_keeps_handles(test_context *t, const char *reason)
{
    t->keeps = reason;
}

int test_check(const char *file, int line, bool held, const char *text)
{
    if (!held)
        ADD_FAILURE_AT(file, line) << text;
    return held;
}

int test_check_int(const char *file, int line, int64_t a, int64_t b, const char *a_text, const char *b_text)
{
    if (a != b)
        ADD_FAILURE_AT(file, line) << a_text << " == " << b_text << "\n  " << number(a) << " and " << number(b);
    return a == b;
}

int test_check_string(const char *file, int line, const char *a, const char *b, const char *a_text, const char *b_text)
{
    const bool same = a == b || (a != nullptr && b != nullptr && std::strcmp(a, b) == 0);
    if (!same)
        ADD_FAILURE_AT(file, line) << a_text << " == " << b_text << "\n  " << quoted(a) << "\n  " << quoted(b);
    return same;
}

int test_check_memory(const char *file, int line, const void *a, const void *b, size_t size, const char *a_text,
                      const char *b_text)
{
    const unsigned char *left = static_cast<const unsigned char *>(a);
    const unsigned char *right = static_cast<const unsigned char *>(b);
    std::size_t i = 0;
    while (i < size && left[i] == right[i])
        i++;
    if (i < size)
        ADD_FAILURE_AT(file, line) << a_text << " == " << b_text << "\n  differ at " << i << " of " << size << ": "
                                   << unsigned(left[i]) << " and " << unsigned(right[i]);
    return i == size;
}

/* Valgrind makes the stack grow when it is used, but not for the frame of a signal's handler: so it grows here. */
static void touch_stack()
{
    volatile char room[256 * 1024];
    for (std::size_t i = 0; i < sizeof room; i += 1024)
        room[i] = 0;
}

int main(int argc, char **argv)
{
    touch_stack();
    process_child_main(argc, argv);
    worker_functions_main(argc, argv);
    testing::InitGoogleTest(&argc, argv);
    register_all();
    handles_warm_up();
    testing::ScopedTrace(__FILE__, __LINE__, ""); /* on Windows the first one opens a handle of this thread for good */
    const int failed = RUN_ALL_TESTS();
    const bool few_skipped = report();
    return failed != 0 || !few_skipped;
}
