#include "system.h"

#include <windows.h>

bool system_is_wine(void)
{
    HMODULE library = GetModuleHandleW(L"ntdll.dll");
    return library != NULL && GetProcAddress(library, "wine_get_version") != NULL;
}

bool system_is_valgrind(void)
{
    return false;
}

size_t system_allow_handles(size_t wanted)
{
    return wanted; /* there are millions */
}
