/* debug.c: the stack of the present thread, for reports: backtrace() where the C library has it, else nothing. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* dladdr */
#endif

#include "../debug.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#if defined(__GLIBC__) || defined(__APPLE__)
#define PL__HAS_BACKTRACE 1
#include <execinfo.h>
#endif

enum { PL__FRAMES_SKIPPED = 8 };

PL__NOINLINE size_t pl__stack_capture(void **frames, size_t capacity, size_t skip)
{
#if defined(PL__HAS_BACKTRACE)
    void *all[PL__STACK_FRAMES + PL__FRAMES_SKIPPED];
    skip++; /* this function */
    PL__CHECK(capacity <= PL__STACK_FRAMES && skip <= PL__FRAMES_SKIPPED);
    int captured = backtrace(all, (int)(capacity + skip));
    size_t count = captured > (int)skip ? (size_t)captured - skip : 0;
    memcpy(frames, all + skip, count * sizeof *frames);
    return count;
#else
    PL__UNUSED(frames);
    PL__UNUSED(capacity);
    PL__UNUSED(skip);
    return 0;
#endif
}

void pl__stack_describe(void *frame, char *text, size_t size)
{
    Dl_info info;
    if (!dladdr(frame, &info) || !info.dli_fname) {
        (void)snprintf(text, size, "%p", frame);
        return;
    }
    const char *name = strrchr(info.dli_fname, '/');
    name = name ? name + 1 : info.dli_fname;
    unsigned long long offset = (unsigned long long)((uintptr_t)frame - (uintptr_t)info.dli_fbase);
    if (info.dli_sname)
        (void)snprintf(text, size, "%s+0x%llx (%s)", name, offset, info.dli_sname);
    else
        (void)snprintf(text, size, "%s+0x%llx", name, offset);
}
