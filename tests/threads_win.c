#include "threads.h"

#include <string.h>
#include <windows.h>

static DWORD WINAPI run(void *arg)
{
    test_thread *thread = arg;
    thread->fn(thread->arg);
    return 0;
}

bool test_thread_start(test_thread *thread, test_thread_fn *fn, void *arg)
{
    HANDLE handle;
    thread->fn = fn;
    thread->arg = arg;
    handle = CreateThread(NULL, 0, run, thread, 0, NULL);
    if (!handle)
        return false;
    memcpy(thread->space, &handle, sizeof handle);
    return true;
}

void test_thread_join(test_thread *thread)
{
    HANDLE handle;
    memcpy(&handle, thread->space, sizeof handle);
    WaitForSingleObject(handle, INFINITE);
    CloseHandle(handle);
}

bool test_in_thread(test_thread_fn *fn, void *arg)
{
    test_thread thread;
    if (!test_thread_start(&thread, fn, arg))
        return false;
    test_thread_join(&thread);
    return true;
}

static HANDLE event_of(test_gate *gate)
{
    HANDLE event;
    memcpy(&event, gate->space, sizeof event);
    return event;
}

void test_gate_init(test_gate *gate)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    memcpy(gate->space, &event, sizeof event);
}

void test_gate_open(test_gate *gate)
{
    SetEvent(event_of(gate));
}

void test_gate_wait(test_gate *gate)
{
    WaitForSingleObject(event_of(gate), INFINITE);
}

void test_gate_destroy(test_gate *gate)
{
    CloseHandle(event_of(gate));
}
