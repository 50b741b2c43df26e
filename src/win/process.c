/* process.c: children by CreateProcessW.
 *
 * The file to run is found here and given by its full path, so that the system searches nothing: not the current folder,
 * and no batch file, to which the command line would mean something else. The arguments are quoted for the parser of the
 * C runtime (and of CommandLineToArgvW): a quotation mark is written \", and backslashes before one, or before the closing
 * one, are doubled. The first argument is read by simpler rules, which know no \".
 *
 * Handles are inherited by a list of exactly the child's own, as inheritable copies that live for the call only. A child
 * with a tree of its own is born suspended and put in a job object before it does anything.
 */
#include "system.h"

#include <stdlib.h>
#include <string.h>

#include "../allocator.h"
#include "../subprocess.h"

enum {
    PATH_LENGTH_MAX = 32767, /* of the system; a command line is no longer either */
    INHERITED_MAX = PL__STDIO_COUNT + PL__INHERITED_MAX,
    SIGNAL_KILL = 9,
    SIGNAL_TERMINATE = 15,
    SIGNAL_BREAK = 21,
    KILLED_CODE = 1 /* the exit code of those we end */
};

#if !defined(PROC_THREAD_ATTRIBUTE_HANDLE_LIST)
#define PROC_THREAD_ATTRIBUTE_HANDLE_LIST 0x00020002
#endif

/* --- Text --------------------------------------------------------------------------------------------------------- */

/* UTF-16 that grows; `error` is the first thing that went wrong, and then nothing more is added. */
typedef struct wide {
    WCHAR *text;
    size_t capacity;
    size_t length; /* without the zero behind it */
    DWORD error;
} wide;

static void wide_free(wide *w)
{
    pl__release(w->text, w->capacity * sizeof(WCHAR));
    *w = (wide){.text = NULL};
}

static bool wide_reserve(wide *w, size_t more)
{
    size_t wanted = w->length + more + 1, capacity = w->capacity ? w->capacity : 128;
    if (w->error || wanted <= w->capacity)
        return !w->error;
    while (capacity < wanted)
        capacity *= 2;
    WCHAR *text = pl__reallocate(w->text, w->capacity * sizeof(WCHAR), capacity * sizeof(WCHAR));
    if (!text) {
        w->error = ERROR_NOT_ENOUGH_MEMORY;
        return false;
    }
    w->text = text;
    w->capacity = capacity;
    return true;
}

static void wide_add(wide *w, const WCHAR *text, size_t length)
{
    if (!wide_reserve(w, length))
        return;
    memcpy(w->text + w->length, text, length * sizeof(WCHAR));
    w->length += length;
    w->text[w->length] = 0;
}

static void wide_add_one(wide *w, WCHAR character)
{
    wide_add(w, &character, 1);
}

static void wide_add_utf8(wide *w, const char *utf8)
{
    int size = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8, -1, NULL, 0);
    if (size <= 0 && !w->error)
        w->error = ERROR_NO_UNICODE_TRANSLATION;
    if (w->error || !wide_reserve(w, (size_t)size))
        return;
    (void)MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8, -1, w->text + w->length, size);
    w->length += (size_t)size - 1;
}

/* --- The command line --------------------------------------------------------------------------------------------- */

/* Quoted always: an empty one would vanish, and most have a blank somewhere in their path. */
static void add_first_argument(wide *line, const char *argument)
{
    if (strchr(argument, '"') && !line->error)
        line->error = ERROR_INVALID_PARAMETER; /* it cannot be said */
    wide_add_one(line, L'"');
    wide_add_utf8(line, argument);
    wide_add_one(line, L'"');
}

static void add_backslashes(wide *line, size_t count)
{
    while (count-- > 0)
        wide_add_one(line, L'\\');
}

static void add_quoted(wide *line, const WCHAR *argument)
{
    size_t backslashes = 0;
    wide_add_one(line, L'"');
    for (; *argument; argument++) {
        if (*argument == L'"')
            add_backslashes(line, backslashes + 1);
        backslashes = *argument == L'\\' ? backslashes + 1 : 0;
        wide_add_one(line, *argument);
    }
    add_backslashes(line, backslashes);
    wide_add_one(line, L'"');
}

static void add_argument(wide *line, const char *argument)
{
    wide text = {.text = NULL};
    wide_add_utf8(&text, argument);
    wide_add_one(line, L' ');
    if (text.error && !line->error)
        line->error = text.error;
    else if (!text.error && (text.length == 0 || wcspbrk(text.text, L" \t\n\v\"")))
        add_quoted(line, text.text);
    else if (!text.error)
        wide_add(line, text.text, text.length);
    wide_free(&text);
}

static void write_command_line(wide *line, const char *const *argv)
{
    add_first_argument(line, argv[0]);
    for (size_t i = 1; argv[i]; i++)
        add_argument(line, argv[i]);
    if (!line->error && line->length + 1 > PATH_LENGTH_MAX)
        line->error = ERROR_MORE_DATA; /* too long */
}

/* --- The environment ---------------------------------------------------------------------------------------------- */

/* The part before "=", which may be the first character: "=C:". */
static size_t name_length(const WCHAR *entry)
{
    const WCHAR *equals = entry[0] ? wcschr(entry + 1, L'=') : NULL;
    return equals ? (size_t)(equals - entry) : wcslen(entry);
}

static int compare_names(const WCHAR *left, const WCHAR *right)
{
    return CompareStringOrdinal(left, (int)name_length(left), right, (int)name_length(right), TRUE) - CSTR_EQUAL;
}

static int compare_entries(const void *left, const void *right)
{
    return compare_names(*(WCHAR *const *)left, *(WCHAR *const *)right);
}

/* The entries while they are put together; of one name the last counts. */
typedef struct environment {
    WCHAR **entries; /* pl__allocate(size), each */
    size_t count;
    size_t capacity;
    DWORD error;
} environment;

static void free_entry(WCHAR *entry)
{
    pl__release(entry, (wcslen(entry) + 1) * sizeof *entry);
}

static void environment_free(environment *e)
{
    for (size_t i = 0; i < e->count; i++)
        free_entry(e->entries[i]);
    pl__release(e->entries, e->capacity * sizeof *e->entries);
}

static void remove_entry(environment *e, const WCHAR *name)
{
    for (size_t i = 0; i < e->count; i++) {
        if (compare_names(e->entries[i], name) == 0) {
            free_entry(e->entries[i]);
            e->entries[i] = e->entries[--e->count];
            return;
        }
    }
}

static void set_entry(environment *e, const WCHAR *entry)
{
    size_t size = (wcslen(entry) + 1) * sizeof *entry;
    if (e->error)
        return;
    remove_entry(e, entry);
    if (e->count == e->capacity) {
        size_t capacity = e->capacity ? e->capacity * 2 : 64;
        WCHAR **entries = pl__reallocate(e->entries, e->capacity * sizeof *entries, capacity * sizeof *entries);
        if (!entries) {
            e->error = ERROR_NOT_ENOUGH_MEMORY;
            return;
        }
        e->entries = entries;
        e->capacity = capacity;
    }
    WCHAR *copy = pl__allocate(size);
    if (!copy) {
        e->error = ERROR_NOT_ENOUGH_MEMORY;
        return;
    }
    memcpy(copy, entry, size);
    e->entries[e->count++] = copy;
}

static void change(environment *e, const char *entry)
{
    wide text = {.text = NULL};
    wide_add_utf8(&text, entry);
    if (text.error && !e->error)
        e->error = text.error;
    if (!e->error && text.text[name_length(text.text)] == L'=')
        set_entry(e, text.text);
    else if (!e->error)
        remove_entry(e, text.text);
    wide_free(&text);
}

static void add_own(environment *e)
{
    WCHAR *block = GetEnvironmentStringsW();
    if (!block) {
        e->error = ERROR_NOT_ENOUGH_MEMORY;
        return;
    }
    for (const WCHAR *entry = block; *entry; entry += wcslen(entry) + 1)
        set_entry(e, entry);
    FreeEnvironmentStringsW(block);
}

/* Without it not even Winsock starts. */
static void add_system_root(environment *e)
{
    WCHAR entry[MAX_PATH + 16] = L"SystemRoot=";
    size_t length = wcslen(entry);
    for (size_t i = 0; i < e->count; i++) {
        if (compare_names(e->entries[i], entry) == 0)
            return;
    }
    if (GetEnvironmentVariableW(L"SystemRoot", entry + length, MAX_PATH) > 0)
        set_entry(e, entry);
}

/* Sorted by name, as the system wants it; two zeros at the end. */
static void write_block(environment *e, wide *block)
{
    if (e->count > 1)
        qsort(e->entries, e->count, sizeof *e->entries, compare_entries);
    for (size_t i = 0; i < e->count; i++)
        wide_add(block, e->entries[i], wcslen(e->entries[i]) + 1);
    wide_add(block, L"\0", e->count ? 1 : 2);
}

static void make_environment(const pl__spawn *spawn, wide *block)
{
    environment e = {.entries = NULL};
    if (!spawn->environment)
        add_own(&e);
    for (size_t i = 0; spawn->environment && spawn->environment[i]; i++)
        change(&e, spawn->environment[i]);
    if (spawn->environment)
        add_system_root(&e);
    for (size_t i = 0; spawn->changes && spawn->changes[i]; i++)
        change(&e, spawn->changes[i]);
    if (!e.error)
        write_block(&e, block);
    else
        block->error = e.error;
    environment_free(&e);
}

/* --- Prepared on the caller's thread ------------------------------------------------------------------------------ */

typedef struct prepared {
    wide line;
    wide environment; /* no text: this program's own */
    wide name;        /* of the file to run */
    wide folder;
    wide path; /* the PATH of the time of the call, if the file is searched there; no text: there is none */
} prepared;

static bool is_searched(const wide *name)
{
    return name->text && !wcspbrk(name->text, L"\\/:");
}

static void copy_path(wide *path)
{
    DWORD size = GetEnvironmentVariableW(L"PATH", NULL, 0);
    while (size > path->capacity && wide_reserve(path, size)) /* another thread may make it longer meanwhile */
        size = GetEnvironmentVariableW(L"PATH", path->text, (DWORD)path->capacity);
    path->length = size && !path->error ? size : 0;
    if (path->text)
        path->text[path->length] = 0;
}

int pl__spawn_prepare(pl__spawn *spawn, int32_t *system_error)
{
    prepared *p = pl__allocate_zeroed(sizeof *p);
    if (!p)
        return PL_ENOMEM;
    spawn->prepared = p;
    spawn->prepared_size = sizeof *p;
    write_command_line(&p->line, spawn->argv);
    wide_add_utf8(&p->name, spawn->executable ? spawn->executable : spawn->argv[0]);
    if (spawn->folder)
        wide_add_utf8(&p->folder, spawn->folder);
    if (spawn->environment || spawn->changes)
        make_environment(spawn, &p->environment);
    if (is_searched(&p->name))
        copy_path(&p->path);
    DWORD errors[] = {p->line.error, p->name.error, p->folder.error, p->environment.error, p->path.error};
    for (size_t i = 0; i < PL__COUNT_OF(errors); i++) {
        if (errors[i]) {
            *system_error = (int32_t)errors[i];
            return pl__error_from_win32(errors[i]);
        }
    }
    return PL_OK;
}

void pl__spawn_release(pl__spawn *spawn)
{
    prepared *p = spawn->prepared;
    if (!p)
        return;
    wide_free(&p->line);
    wide_free(&p->environment);
    wide_free(&p->name);
    wide_free(&p->folder);
    wide_free(&p->path);
    pl__release(p, spawn->prepared_size);
    spawn->prepared = NULL;
}

/* --- The file to run ---------------------------------------------------------------------------------------------- */

/* The part of a path from its last "." on, or its end. */
static const WCHAR *extension_of(const WCHAR *path)
{
    const WCHAR *dot = NULL, *end = path;
    for (; *end; end++) {
        if (*end == L'\\' || *end == L'/' || *end == L':')
            dot = NULL;
        else if (*end == L'.')
            dot = end;
    }
    return dot ? dot : end;
}

static bool has_extension(const WCHAR *path, const WCHAR *extension)
{
    return CompareStringOrdinal(extension_of(path), -1, extension, -1, TRUE) == CSTR_EQUAL;
}

static bool is_program_name(const WCHAR *path)
{
    return has_extension(path, L".exe") || has_extension(path, L".com");
}

/* Of a path as the system completes it: blanks and dots that it ignores are gone. */
static bool is_batch_file(const WCHAR *path)
{
    return has_extension(path, L".bat") || has_extension(path, L".cmd");
}

/* The full path of a file that is there: ERROR_SUCCESS, or why not. */
static DWORD try_path(const WCHAR *path, wide *full)
{
    DWORD size = GetFullPathNameW(path, 0, NULL, NULL);
    full->length = 0;
    if (size == 0)
        return GetLastError();
    if (!wide_reserve(full, size))
        return full->error;
    full->length = GetFullPathNameW(path, size, full->text, NULL);
    if (full->length == 0 || full->length >= size)
        return ERROR_FILE_NOT_FOUND;
    DWORD attributes = GetFileAttributesW(full->text);
    if (attributes == INVALID_FILE_ATTRIBUTES)
        return GetLastError();
    if (attributes & FILE_ATTRIBUTE_DIRECTORY)
        return ERROR_ACCESS_DENIED;
    return is_batch_file(full->text) ? ERROR_NOT_SUPPORTED : ERROR_SUCCESS;
}

static bool is_missing(DWORD error)
{
    return error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND;
}

static DWORD try_endings(wide *path, wide *full)
{
    static const WCHAR *const endings[] = {L".com", L".exe"};
    size_t length = path->length;
    DWORD error = ERROR_FILE_NOT_FOUND;
    for (size_t i = 0; i < PL__COUNT_OF(endings) && is_missing(error); i++) {
        path->length = length;
        wide_add(path, endings[i], wcslen(endings[i]));
        error = path->error ? path->error : try_path(path->text, full);
    }
    path->length = length;
    path->text[length] = 0;
    return error;
}

/* A name with an ending is first taken as it is, one without last. */
static DWORD try_extensions(wide *path, wide *full)
{
    if (path->error)
        return path->error;
    bool has_ending = *extension_of(path->text) != 0;
    DWORD error = has_ending ? try_path(path->text, full) : try_endings(path, full);
    if (!is_missing(error) || is_program_name(path->text) || is_batch_file(path->text))
        return error;
    return has_ending ? try_endings(path, full) : try_path(path->text, full);
}

static DWORD try_folder(const WCHAR *folder, size_t length, const wide *name, wide *full)
{
    wide path = {.text = NULL};
    if (length >= 2 && folder[0] == L'"' && folder[length - 1] == L'"') {
        folder++;
        length -= 2;
    }
    bool absolute = length >= 3 && ((folder[1] == L':' && (folder[2] == L'\\' || folder[2] == L'/')) ||
                                    (folder[0] == L'\\' && folder[1] == L'\\'));
    if (!absolute) /* nothing that depends on where the program happens to be */
        return ERROR_FILE_NOT_FOUND;
    wide_add(&path, folder, length);
    wide_add_one(&path, L'\\');
    wide_add(&path, name->text, name->length);
    DWORD error = try_extensions(&path, full);
    wide_free(&path);
    return error;
}

static DWORD search_system_folder(const wide *name, wide *full)
{
    WCHAR folder[MAX_PATH];
    UINT length = GetSystemDirectoryW(folder, MAX_PATH);
    return length > 0 && length < MAX_PATH ? try_folder(folder, length, name, full) : ERROR_FILE_NOT_FOUND;
}

/* Folders of PATH are parted by ";", which inside of quotation marks is a part of a name. */
static size_t folder_length(const WCHAR *folder)
{
    bool quoted = false;
    size_t length = 0;
    while (folder[length] && (quoted || folder[length] != L';'))
        quoted ^= folder[length++] == L'"';
    return length;
}

static DWORD search(const WCHAR *folder, const wide *name, wide *full)
{
    DWORD error = ERROR_FILE_NOT_FOUND;
    while (folder) {
        size_t length = folder_length(folder);
        error = try_folder(folder, length, name, full);
        if (error == ERROR_SUCCESS || error == ERROR_NOT_ENOUGH_MEMORY || error == ERROR_NOT_SUPPORTED ||
            !folder[length])
            break;
        folder += length + 1;
    }
    if (error == ERROR_SUCCESS || error == ERROR_NOT_ENOUGH_MEMORY || error == ERROR_NOT_SUPPORTED)
        return error;
    return search_system_folder(name, full);
}

static DWORD find_program(const prepared *p, wide *full)
{
    if (is_searched(&p->name))
        return search(p->path.text, &p->name, full);
    wide path = {.text = NULL};
    wide_add(&path, p->name.text, p->name.length);
    DWORD error = try_extensions(&path, full);
    wide_free(&path);
    return error;
}

/* --- What the child inherits -------------------------------------------------------------------------------------- */

typedef struct inheritance {
    HANDLE handles[INHERITED_MAX]; /* ours, inheritable, all different: the list must not name one twice */
    size_t count;
    HANDLE standard[PL__STDIO_COUNT];
} inheritance;

static void inheritance_close(inheritance *it)
{
    for (size_t i = 0; i < it->count; i++)
        CloseHandle(it->handles[i]);
    it->count = 0;
}

/* A copy that is inherited; NULL: the last error. */
static HANDLE duplicate(HANDLE handle)
{
    HANDLE self = GetCurrentProcess(), copy = NULL;
    if (!handle || handle == INVALID_HANDLE_VALUE) {
        SetLastError(ERROR_INVALID_HANDLE);
        return NULL;
    }
    return DuplicateHandle(self, handle, self, &copy, 0, TRUE, DUPLICATE_SAME_ACCESS) ? copy : NULL;
}

static HANDLE open_path(const WCHAR *path, DWORD access, DWORD disposition)
{
    SECURITY_ATTRIBUTES inheritable = {sizeof inheritable, NULL, TRUE};
    HANDLE opened = CreateFileW(path, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, &inheritable,
                                disposition, FILE_ATTRIBUTE_NORMAL, NULL);
    return opened == INVALID_HANDLE_VALUE ? NULL : opened;
}

static HANDLE open_nothing(int which)
{
    return open_path(L"NUL", which == 0 ? GENERIC_READ : GENERIC_WRITE, OPEN_EXISTING);
}

/* Each write goes behind what is there, as nothing else is allowed. */
#define APPEND_ACCESS (FILE_APPEND_DATA | FILE_READ_ATTRIBUTES | SYNCHRONIZE)

static HANDLE open_file(const pl__spawn_stdio *stdio, int which)
{
    wide path = {.text = NULL};
    HANDLE opened = NULL;
    wide_add_utf8(&path, stdio->path);
    DWORD error = path.error;
    if (!error) {
        if (which == 0)
            opened = open_path(path.text, GENERIC_READ, OPEN_EXISTING);
        else if (stdio->kind == PL_STDIO_APPEND)
            opened = open_path(path.text, APPEND_ACCESS, OPEN_ALWAYS);
        else
            opened = open_path(path.text, GENERIC_WRITE, CREATE_ALWAYS);
        error = GetLastError();
    }
    wide_free(&path);
    SetLastError(error);
    return opened;
}

/* A file of ours is open for overlapped use, which a child does not expect: so it is opened once more. */
static HANDLE reopen_file(HANDLE file, int which, bool append)
{
    DWORD access = which == 0 ? GENERIC_READ : append ? APPEND_ACCESS : GENERIC_WRITE;
    HANDLE opened = ReOpenFile(file, access, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, 0);
    if (opened == INVALID_HANDLE_VALUE)
        return NULL;
    HANDLE copy = duplicate(opened);
    DWORD error = GetLastError();
    CloseHandle(opened);
    SetLastError(error);
    return copy;
}

/* A program without a console may have no such handle, or one that was closed. */
static HANDLE duplicate_own(int which)
{
    static const DWORD names[PL__STDIO_COUNT] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    HANDLE copy = duplicate(GetStdHandle(names[which]));
    return copy ? copy : open_nothing(which);
}

static HANDLE make_standard(const pl__spawn_stdio *stdio, int which, const inheritance *it)
{
    switch (stdio->kind) {
    case PL_STDIO_INHERIT:
        return duplicate_own(which);
    case PL_STDIO_NULL:
        return open_nothing(which);
    case PL_STDIO_FILE:
        return reopen_file((HANDLE)stdio->object, which, stdio->append);
    case PL_STDIO_PIPE:
    case PL_STDIO_HANDLE:
        return duplicate((HANDLE)stdio->object);
    case PL_STDIO_OUTPUT:
        return duplicate(it->standard[1]);
    default:
        return open_file(stdio, which);
    }
}

/* Those beyond the standard ones keep their values, which the child is told; they are the caller's. */
static DWORD inheritance_make(inheritance *it, const pl__spawn *spawn)
{
    for (int i = 0; i < PL__STDIO_COUNT; i++) {
        it->standard[i] = make_standard(&spawn->stdio[i], i, it);
        if (!it->standard[i])
            return GetLastError();
        it->handles[it->count++] = it->standard[i];
    }
    return ERROR_SUCCESS;
}

/* --- Starting ----------------------------------------------------------------------------------------------------- */

typedef struct launch {
    const pl__spawn *spawn;
    prepared *prepared;
    wide path;
    wide folder;
    inheritance inherited;
    STARTUPINFOEXW startup;
    union {
        uint64_t space[32];
        void *align;
    } attributes;
    HANDLE list[INHERITED_MAX];
} launch;

static DWORD flags_of(const pl__spawn *spawn)
{
    DWORD flags = CREATE_UNICODE_ENVIRONMENT | EXTENDED_STARTUPINFO_PRESENT;
    if (spawn->new_group || spawn->detached)
        flags |= CREATE_NEW_PROCESS_GROUP;
    if (spawn->detached)
        flags |= DETACHED_PROCESS;
    else if (spawn->hidden)
        flags |= CREATE_NO_WINDOW;
    return spawn->kill_tree ? flags | CREATE_SUSPENDED : flags;
}

static DWORD create_process(launch *l, PROCESS_INFORMATION *made)
{
    STARTUPINFOEXW *startup = &l->startup;
    SIZE_T size = sizeof l->attributes;
    size_t count = l->inherited.count;
    DWORD error = ERROR_SUCCESS;
    memcpy(l->list, l->inherited.handles, count * sizeof *l->list);
    for (size_t i = 0; i < l->spawn->inherited_count; i++)
        l->list[count++] = (HANDLE)l->spawn->inherited[i];
    startup->StartupInfo.cb = sizeof *startup;
    startup->StartupInfo.dwFlags = STARTF_USESTDHANDLES | (l->spawn->hidden ? STARTF_USESHOWWINDOW : 0);
    startup->StartupInfo.wShowWindow = SW_HIDE;
    startup->StartupInfo.hStdInput = l->inherited.standard[0];
    startup->StartupInfo.hStdOutput = l->inherited.standard[1];
    startup->StartupInfo.hStdError = l->inherited.standard[2];
    startup->lpAttributeList = (LPPROC_THREAD_ATTRIBUTE_LIST)(void *)&l->attributes;
    if (!InitializeProcThreadAttributeList(startup->lpAttributeList, 1, 0, &size))
        return GetLastError();
    if (!UpdateProcThreadAttribute(startup->lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, l->list,
                                   count * sizeof *l->list, NULL, NULL) ||
        !CreateProcessW(l->path.text, l->prepared->line.text, NULL, NULL, TRUE, flags_of(l->spawn),
                        l->prepared->environment.text, l->folder.text, &startup->StartupInfo, made))
        error = GetLastError();
    DeleteProcThreadAttributeList(startup->lpAttributeList);
    return error;
}

/* NULL: the last error. */
static HANDLE make_job(bool kill_on_close)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
    HANDLE job = CreateJobObjectW(NULL, NULL);
    memset(&limits, 0, sizeof limits);
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    if (job && kill_on_close &&
        !SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits)) {
        DWORD error = GetLastError();
        CloseHandle(job);
        SetLastError(error);
        return NULL;
    }
    return job;
}

/* Puts a suspended process into its job, and lets it go. */
static DWORD set_going(HANDLE job, const PROCESS_INFORMATION *made)
{
    if (AssignProcessToJobObject(job, made->hProcess) && ResumeThread(made->hThread) != (DWORD)-1)
        return ERROR_SUCCESS;
    DWORD error = GetLastError();
    TerminateProcess(made->hProcess, KILLED_CODE);
    return error;
}

static DWORD start(launch *l, pl__subprocess *child)
{
    PROCESS_INFORMATION made;
    HANDLE job = l->spawn->kill_tree ? make_job(l->spawn->kill_on_close) : NULL;
    if (l->spawn->kill_tree && !job)
        return GetLastError();
    DWORD error = create_process(l, &made);
    if (!error) {
        if (job)
            error = set_going(job, &made);
        CloseHandle(made.hThread);
        if (error)
            CloseHandle(made.hProcess);
    }
    if (error) {
        if (job)
            CloseHandle(job);
        return error;
    }
    *child = (pl__subprocess){.object = (uintptr_t)made.hProcess,
                              .job = (uintptr_t)job,
                              .id = made.dwProcessId,
                              .wait = PL__WAIT,
                              .group = l->spawn->new_group || l->spawn->detached};
    return ERROR_SUCCESS;
}

/* The folder where it begins, which must be there: the system's own answer is another one for each version. */
static DWORD complete_folder(launch *l)
{
    const wide *folder = &l->prepared->folder;
    if (!folder->text)
        return ERROR_SUCCESS;
    DWORD size = GetFullPathNameW(folder->text, 0, NULL, NULL);
    if (size == 0)
        return GetLastError();
    if (!wide_reserve(&l->folder, size))
        return l->folder.error;
    if (GetFullPathNameW(folder->text, size, l->folder.text, NULL) >= size)
        return ERROR_PATH_NOT_FOUND;
    DWORD attributes = GetFileAttributesW(l->folder.text);
    if (attributes == INVALID_FILE_ATTRIBUTES)
        return GetLastError();
    return attributes & FILE_ATTRIBUTE_DIRECTORY ? ERROR_SUCCESS : ERROR_DIRECTORY;
}

int64_t pl__spawn_now(pl__spawn *spawn, int32_t *system_error)
{
    launch *l = pl__allocate_zeroed(sizeof *l);
    if (!l)
        return PL_ENOMEM;
    l->spawn = spawn;
    l->prepared = spawn->prepared;
    DWORD error = find_program(l->prepared, &l->path);
    if (!error)
        error = complete_folder(l);
    if (!error)
        error = inheritance_make(&l->inherited, spawn);
    if (!error)
        error = start(l, &spawn->child);
    inheritance_close(&l->inherited);
    wide_free(&l->path);
    wide_free(&l->folder);
    pl__release(l, sizeof *l);
    if (error)
        *system_error = (int32_t)error;
    return error ? pl__error_from_win32(error) : 0;
}

/* --- A running child ---------------------------------------------------------------------------------------------- */

static HANDLE process_of(const pl__subprocess *child)
{
    return (HANDLE)child->object;
}

static bool has_ended(const pl__subprocess *child)
{
    return WaitForSingleObject(process_of(child), 0) == WAIT_OBJECT_0;
}

static pl_duration nanoseconds_of(FILETIME time)
{
    return (pl_duration)((uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime) * 100;
}

int pl__subprocess_collect(pl__subprocess *child, pl_process_result *result)
{
    DWORD code = 0;
    FILETIME created, ended, kernel, user;
    memset(result, 0, sizeof *result);
    result->user_time = result->system_time = -1;
    if (!has_ended(child))
        return 0;
    if (!GetExitCodeProcess(process_of(child), &code))
        return PL_EBROKEN;
    result->exit_code = code;
    if (GetProcessTimes(process_of(child), &created, &ended, &kernel, &user)) {
        result->user_time = nanoseconds_of(user);
        result->system_time = nanoseconds_of(kernel);
    }
    return 1;
}

/* Of a process that has ended the system says that access is denied. */
int pl__subprocess_kill(pl__subprocess *child)
{
    if (has_ended(child))
        return PL_ESTATE;
    if (TerminateProcess(process_of(child), KILLED_CODE))
        return PL_OK;
    DWORD error = GetLastError();
    return has_ended(child) ? PL_ESTATE : pl__error_from_win32(error);
}

int pl__subprocess_terminate(pl__subprocess *child)
{
    return pl__subprocess_kill(child);
}

int pl__subprocess_kill_tree(pl__subprocess *child)
{
    if (!child->job)
        return PL_ESTATE;
    return TerminateJobObject((HANDLE)child->job, KILLED_CODE) ? PL_OK : pl__error_from_win32(GetLastError());
}

int pl__subprocess_signal(pl__subprocess *child, int number)
{
    if (number == SIGNAL_KILL || number == SIGNAL_TERMINATE)
        return pl__subprocess_kill(child);
    if (number != SIGNAL_BREAK || !child->group)
        return PL_ENOTSUP;
    if (has_ended(child))
        return PL_ESTATE;
    return GenerateConsoleCtrlEvent(CTRL_BREAK_EVENT, (DWORD)child->id) ? PL_OK : pl__error_from_win32(GetLastError());
}

void pl__subprocess_close(pl__subprocess *child)
{
    CloseHandle(process_of(child));
    if (child->job)
        CloseHandle((HANDLE)child->job);
    *child = (pl__subprocess){.collected = true};
}
