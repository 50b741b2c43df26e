/* debug.c: the stack of the present thread, for reports. Names of functions are in the program's database, if anywhere: an
 * address in a module is enough for a debugger to find them. */
#include "system.h" /* first: a compiler's own header of atomic operations, which others include, disturbs it */

#include <stdio.h>
#include <string.h>

#include "../debug.h"

PL__NOINLINE size_t pl__stack_capture(void **frames, size_t capacity, size_t skip)
{
    return RtlCaptureStackBackTrace((DWORD)skip + 1, (DWORD)capacity, frames, NULL);
}

void pl__stack_describe(void *frame, char *text, size_t size)
{
    HMODULE module;
    char path[MAX_PATH];
    if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS | GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                            (LPCWSTR)frame, &module) ||
        GetModuleFileNameA(module, path, sizeof path) == 0) {
        (void)snprintf(text, size, "%p", frame);
        return;
    }
    path[sizeof path - 1] = '\0';
    const char *name = strrchr(path, '\\');
    (void)snprintf(text, size, "%s+0x%llx", name ? name + 1 : path,
                   (unsigned long long)((uintptr_t)frame - (uintptr_t)module));
}
