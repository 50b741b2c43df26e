/* What Microsoft's C runtime links into every program and Wine's import libraries lack: the entry point, the
 * TLS directory, and the mark that floating point is used. C only: no constructors run. */

__declspec(dllimport) int _configure_narrow_argv(int mode);
__declspec(dllimport) int *__p___argc(void);
__declspec(dllimport) char ***__p___argv(void);
__declspec(dllimport) __declspec(noreturn) void exit(int code);

int main(int argc, char **argv);

int _fltused = 0x9875;

/* The linker sorts thread-local data between these two, and finds the directory by its name. */
#pragma section(".tls", long, read, write)
#pragma section(".tls$ZZZ", long, read, write)
__declspec(allocate(".tls")) char _tls_start;
__declspec(allocate(".tls$ZZZ")) char _tls_end;
unsigned long _tls_index;
const struct {
    const void *start, *end;
    const unsigned long *index;
    const void *callbacks;
    unsigned long zero_fill, characteristics;
} _tls_used = {&_tls_start, &_tls_end, &_tls_index, 0, 0, 0};

void mainCRTStartup(void)
{
    _configure_narrow_argv(2); /* with wildcards left as they are */
    exit(main(*__p___argc(), *__p___argv()));
}
