/* Stands before the C library (LD_PRELOAD) and makes the Nth matching call of a program fail, or
 * kills the program there. What a call does to disk counts; what only looks does not, but for the
 * class `read`. The environment says what to do, see src/faulty.rs:
 *
 *   DALSEGNO_FAIL_PROGRAM  short name of the program; any other that inherits this is left alone
 *   DALSEGNO_FAIL_BELOW    only calls on paths that begin with this
 *   DALSEGNO_FAIL_CALLS    classes of calls, divided by commas
 *   DALSEGNO_FAIL_AT       number of the call, from 1; 0: none, calls are only counted
 *   DALSEGNO_FAIL_HOW      a number: the call does nothing and fails with this errno;
 *                          `short`: writes the first half and says so; `kill-before`,
 *                          `kill-within` (half of what is written), `kill-after`: SIGKILL
 *   DALSEGNO_FAIL_ON       `1`: every matching call from there on
 *   DALSEGNO_FAIL_LOG      a line `number class call path` is appended for each call that failed,
 *                          when counting for each that was counted
 *
 * A call is counted before it is made. Nothing is written through a memory map by the programs that
 * are tested, but for SQLite's `-shm`, which means nothing after a crash.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum class { READ, WRITE, SYNC, OPEN, RENAME, TRUNCATE, MKDIR, UNLINK, LINK, ALLOCATE, COPY, META, CLASSES };
static const char *const NAMES[CLASSES] = {"read",   "write",  "sync", "open",     "rename", "truncate",
                                           "mkdir", "unlink", "link", "allocate", "copy",   "meta"};

/* What becomes of a call. */
enum fate { PASS, FAIL, HALF, KILL_WITHIN, KILL_AFTER };

static struct {
    int active;
    const char *below;
    size_t below_length;
    unsigned classes;
    long at;
    int on;
    int error;
    int kill; /* 'b'efore, 'w'ithin, 'a'fter */
    int half;
    int log;
} plan;
static atomic_long calls;
static atomic_int set_up;
static long (*raw)(long, ...);

/* Symbols of the C library, found on first use: other libraries' constructors may run before ours. */
#define REAL(name) \
    ({ \
        static __typeof__(&name) real_; \
        if (!real_) real_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
        real_; \
    })

static const char *text(const char *name) {
    const char *value = getenv(name);
    return value ? value : "";
}

__attribute__((constructor)) static void begin(void) {
    if (atomic_exchange(&set_up, 1)) return;
    raw = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    const char *program = text("DALSEGNO_FAIL_PROGRAM");
    if (!*program || strcmp(program, program_invocation_short_name) != 0) return;
    plan.below = text("DALSEGNO_FAIL_BELOW");
    plan.below_length = strlen(plan.below);
    plan.at = atol(text("DALSEGNO_FAIL_AT"));
    plan.on = *text("DALSEGNO_FAIL_ON") == '1';
    const char *how = text("DALSEGNO_FAIL_HOW");
    if (strncmp(how, "kill-", 5) == 0) plan.kill = how[5];
    else if (strcmp(how, "short") == 0) plan.half = 1;
    else plan.error = atoi(how);
    char *list = strdup(text("DALSEGNO_FAIL_CALLS")), *rest = list, *one;
    while ((one = strsep(&rest, ",")))
        for (int c = 0; c < CLASSES; c++)
            if (strcmp(one, NAMES[c]) == 0) plan.classes |= 1u << c;
    free(list);
    plan.log = -1;
    if (*text("DALSEGNO_FAIL_LOG"))
        plan.log = raw(SYS_openat, AT_FDCWD, text("DALSEGNO_FAIL_LOG"),
                       O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    plan.active = 1;
}

/* The path a call is about, absolute: of a descriptor alone, or of a name below a folder. */
static void resolve(char *out, int fd, const char *path) {
    char link[64];
    size_t length = 0;
    if (!path || path[0] != '/') {
        if (fd == AT_FDCWD) strcpy(link, "/proc/self/cwd");
        else snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        long n = raw(SYS_readlinkat, AT_FDCWD, link, out, PATH_MAX - 1);
        length = n > 0 ? (size_t)n : 0;
    }
    out[length] = 0;
    if (path && *path) {
        if (length) out[length++] = '/';
        snprintf(out + length, PATH_MAX - length, "%s", path);
    }
}

static void note(long number, enum class class, const char *call, const char *path) {
    char line[PATH_MAX + 100];
    int n = snprintf(line, sizeof line, "%ld %s %s %s\n", number, NAMES[class], call, path);
    if (plan.log >= 0) raw(SYS_write, plan.log, line, n < (int)sizeof line ? n : (int)sizeof line);
}

static void die(void) {
    raw(SYS_kill, getpid(), SIGKILL);
    for (;;) raw(SYS_pause);
}

/* Counts a call and decides its fate. Without a path it is about `fd`, else about `path` below it. */
static enum fate gate(enum class class, const char *call, int fd, const char *path) {
    if (!set_up) begin();
    if (!plan.active || !(plan.classes >> class & 1)) return PASS;
    char whole[PATH_MAX];
    int saved = errno;
    resolve(whole, fd, path);
    errno = saved;
    if (strncmp(whole, plan.below, plan.below_length) != 0) return PASS;
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (plan.at == 0) {
        note(number, class, call, whole);
        return PASS;
    }
    if (plan.on ? number < plan.at : number != plan.at) return PASS;
    note(number, class, call, whole);
    if (plan.kill == 'b') die();
    errno = saved;
    if (plan.kill == 'w') return KILL_WITHIN;
    if (plan.kill == 'a') return KILL_AFTER;
    if (plan.half) return class == WRITE ? HALF : PASS;
    errno = plan.error;
    return FAIL;
}

/* A call that either fails or is made whole. */
#define WHOLE(class, name, fd, path, call) \
    do { \
        enum fate fate_ = gate(class, name, fd, path); \
        if (fate_ == FAIL) return -1; \
        __typeof__(call) result_ = call; \
        if (fate_ == KILL_WITHIN || fate_ == KILL_AFTER) die(); \
        return result_; \
    } while (0)

/* A call that moves `size` bytes, `call` being written with it; of one byte there is no half. */
#define PARTLY(class, name, fd, size, call) \
    do { \
        enum fate fate_ = gate(class, name, fd, NULL); \
        if (fate_ == FAIL) return -1; \
        if ((fate_ == HALF || fate_ == KILL_WITHIN) && size > 1) size /= 2; \
        __typeof__(call) result_ = call; \
        if (fate_ == KILL_WITHIN || fate_ == KILL_AFTER) die(); \
        return result_; \
    } while (0)

static int writes(int flags) {
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
}

#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) { \
        va_list list_; \
        va_start(list_, last); \
        mode = va_arg(list_, mode_t); \
        va_end(list_); \
    }

#define OPENING(function) \
    int function(const char *path, int flags, ...) { \
        MODE(flags, flags) \
        if (!writes(flags)) return REAL(function)(path, flags, mode); \
        WHOLE(OPEN, #function, AT_FDCWD, path, REAL(function)(path, flags, mode)); \
    }
OPENING(open)
OPENING(open64)

#define OPENING_AT(function) \
    int function(int fd, const char *path, int flags, ...) { \
        MODE(flags, flags) \
        if (!writes(flags)) return REAL(function)(fd, path, flags, mode); \
        WHOLE(OPEN, #function, fd, path, REAL(function)(fd, path, flags, mode)); \
    }
OPENING_AT(openat)
OPENING_AT(openat64)

int creat(const char *path, mode_t mode) { WHOLE(OPEN, "creat", AT_FDCWD, path, REAL(creat)(path, mode)); }
int creat64(const char *path, mode_t mode) { WHOLE(OPEN, "creat64", AT_FDCWD, path, REAL(creat64)(path, mode)); }

ssize_t read(int fd, void *to, size_t size) { PARTLY(READ, "read", fd, size, REAL(read)(fd, to, size)); }
ssize_t pread(int fd, void *to, size_t size, off_t at) {
    PARTLY(READ, "pread", fd, size, REAL(pread)(fd, to, size, at));
}
ssize_t pread64(int fd, void *to, size_t size, off64_t at) {
    PARTLY(READ, "pread64", fd, size, REAL(pread64)(fd, to, size, at));
}
ssize_t write(int fd, const void *from, size_t size) {
    PARTLY(WRITE, "write", fd, size, REAL(write)(fd, from, size));
}
ssize_t pwrite(int fd, const void *from, size_t size, off_t at) {
    PARTLY(WRITE, "pwrite", fd, size, REAL(pwrite)(fd, from, size, at));
}
ssize_t pwrite64(int fd, const void *from, size_t size, off64_t at) {
    PARTLY(WRITE, "pwrite64", fd, size, REAL(pwrite64)(fd, from, size, at));
}

/* Half of several buffers: half of the first. */
#define VECTOR(function, parameters, ...) \
    ssize_t function parameters { \
        enum fate fate = gate(WRITE, #function, fd, NULL); \
        if (fate == FAIL) return -1; \
        struct iovec first; \
        if ((fate == HALF || fate == KILL_WITHIN) && count > 0) { \
            first = vector[0]; \
            if (first.iov_len > 1) first.iov_len /= 2; \
            vector = &first; \
            count = 1; \
        } \
        ssize_t result = REAL(function)(fd, vector, count __VA_ARGS__); \
        if (fate == KILL_WITHIN || fate == KILL_AFTER) die(); \
        return result; \
    }
VECTOR(writev, (int fd, const struct iovec *vector, int count))
VECTOR(pwritev, (int fd, const struct iovec *vector, int count, off_t at), , at)
VECTOR(pwritev64, (int fd, const struct iovec *vector, int count, off64_t at), , at)
VECTOR(pwritev2, (int fd, const struct iovec *vector, int count, off_t at, int flags), , at, flags)

int fsync(int fd) { WHOLE(SYNC, "fsync", fd, NULL, REAL(fsync)(fd)); }
int fdatasync(int fd) { WHOLE(SYNC, "fdatasync", fd, NULL, REAL(fdatasync)(fd)); }
int syncfs(int fd) { WHOLE(SYNC, "syncfs", fd, NULL, REAL(syncfs)(fd)); }
int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags) {
    WHOLE(SYNC, "sync_file_range", fd, NULL, REAL(sync_file_range)(fd, at, size, flags));
}

int rename(const char *from, const char *to) { WHOLE(RENAME, "rename", AT_FDCWD, to, REAL(rename)(from, to)); }
int renameat(int a, const char *from, int b, const char *to) {
    WHOLE(RENAME, "renameat", b, to, REAL(renameat)(a, from, b, to));
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    WHOLE(RENAME, "renameat2", b, to, REAL(renameat2)(a, from, b, to, flags));
}

int ftruncate(int fd, off_t size) { WHOLE(TRUNCATE, "ftruncate", fd, NULL, REAL(ftruncate)(fd, size)); }
int ftruncate64(int fd, off64_t size) { WHOLE(TRUNCATE, "ftruncate64", fd, NULL, REAL(ftruncate64)(fd, size)); }
int truncate(const char *path, off_t size) {
    WHOLE(TRUNCATE, "truncate", AT_FDCWD, path, REAL(truncate)(path, size));
}
int truncate64(const char *path, off64_t size) {
    WHOLE(TRUNCATE, "truncate64", AT_FDCWD, path, REAL(truncate64)(path, size));
}

int mkdir(const char *path, mode_t mode) { WHOLE(MKDIR, "mkdir", AT_FDCWD, path, REAL(mkdir)(path, mode)); }
int mkdirat(int fd, const char *path, mode_t mode) {
    WHOLE(MKDIR, "mkdirat", fd, path, REAL(mkdirat)(fd, path, mode));
}
int mknodat(int fd, const char *path, mode_t mode, dev_t device) {
    WHOLE(MKDIR, "mknodat", fd, path, REAL(mknodat)(fd, path, mode, device));
}

int unlink(const char *path) { WHOLE(UNLINK, "unlink", AT_FDCWD, path, REAL(unlink)(path)); }
int unlinkat(int fd, const char *path, int flags) {
    WHOLE(UNLINK, "unlinkat", fd, path, REAL(unlinkat)(fd, path, flags));
}
int rmdir(const char *path) { WHOLE(UNLINK, "rmdir", AT_FDCWD, path, REAL(rmdir)(path)); }
int remove(const char *path) { WHOLE(UNLINK, "remove", AT_FDCWD, path, REAL(remove)(path)); }

int link(const char *from, const char *to) { WHOLE(LINK, "link", AT_FDCWD, to, REAL(link)(from, to)); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    WHOLE(LINK, "linkat", b, to, REAL(linkat)(a, from, b, to, flags));
}
int symlink(const char *target, const char *path) {
    WHOLE(LINK, "symlink", AT_FDCWD, path, REAL(symlink)(target, path));
}
int symlinkat(const char *target, int fd, const char *path) {
    WHOLE(LINK, "symlinkat", fd, path, REAL(symlinkat)(target, fd, path));
}

int fallocate(int fd, int mode, off_t at, off_t size) {
    WHOLE(ALLOCATE, "fallocate", fd, NULL, REAL(fallocate)(fd, mode, at, size));
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) {
    WHOLE(ALLOCATE, "fallocate64", fd, NULL, REAL(fallocate64)(fd, mode, at, size));
}
/* This pair gives the error back instead of setting errno. */
#define ALLOCATING(function, offset) \
    int function(int fd, offset at, offset size) { \
        enum fate fate = gate(ALLOCATE, #function, fd, NULL); \
        if (fate == FAIL) return plan.error; \
        int result = REAL(function)(fd, at, size); \
        if (fate != PASS && fate != HALF) die(); \
        return result; \
    }
ALLOCATING(posix_fallocate, off_t)
ALLOCATING(posix_fallocate64, off64_t)

ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t size, unsigned flags) {
    PARTLY(COPY, "copy_file_range", to, size, REAL(copy_file_range)(from, a, to, b, size, flags));
}
ssize_t sendfile(int to, int from, off_t *at, size_t size) {
    PARTLY(COPY, "sendfile", to, size, REAL(sendfile)(to, from, at, size));
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t size) {
    PARTLY(COPY, "sendfile64", to, size, REAL(sendfile64)(to, from, at, size));
}
ssize_t splice(int from, off64_t *a, int to, off64_t *b, size_t size, unsigned flags) {
    PARTLY(COPY, "splice", to, size, REAL(splice)(from, a, to, b, size, flags));
}

int chmod(const char *path, mode_t mode) { WHOLE(META, "chmod", AT_FDCWD, path, REAL(chmod)(path, mode)); }
int fchmod(int fd, mode_t mode) { WHOLE(META, "fchmod", fd, NULL, REAL(fchmod)(fd, mode)); }
int fchmodat(int fd, const char *path, mode_t mode, int flags) {
    WHOLE(META, "fchmodat", fd, path, REAL(fchmodat)(fd, path, mode, flags));
}
int chown(const char *path, uid_t user, gid_t group) {
    WHOLE(META, "chown", AT_FDCWD, path, REAL(chown)(path, user, group));
}
int lchown(const char *path, uid_t user, gid_t group) {
    WHOLE(META, "lchown", AT_FDCWD, path, REAL(lchown)(path, user, group));
}
int fchown(int fd, uid_t user, gid_t group) { WHOLE(META, "fchown", fd, NULL, REAL(fchown)(fd, user, group)); }
int fchownat(int fd, const char *path, uid_t user, gid_t group, int flags) {
    WHOLE(META, "fchownat", fd, path, REAL(fchownat)(fd, path, user, group, flags));
}
int utimensat(int fd, const char *path, const struct timespec times[2], int flags) {
    WHOLE(META, "utimensat", fd, path, REAL(utimensat)(fd, path, times, flags));
}
int futimens(int fd, const struct timespec times[2]) {
    WHOLE(META, "futimens", fd, NULL, REAL(futimens)(fd, times));
}
int utimes(const char *path, const struct timeval times[2]) {
    WHOLE(META, "utimes", AT_FDCWD, path, REAL(utimes)(path, times));
}

/* Calls that a library makes by number: what this C library has no function for, or had none when
 * the library was written. */
long syscall(long number, ...) {
    if (!set_up) begin();
    va_list list;
    va_start(list, number);
    long v[6];
    for (int i = 0; i < 6; i++) v[i] = va_arg(list, long);
    va_end(list);
#define NUMBERED raw(number, v[0], v[1], v[2], v[3], v[4], v[5])
    switch (number) {
    case SYS_openat:
        if (writes((int)v[2])) WHOLE(OPEN, "openat", (int)v[0], (const char *)v[1], NUMBERED);
        break;
    case SYS_write:
    case SYS_pwrite64:
        PARTLY(WRITE, "write", (int)v[0], v[2], NUMBERED);
    case SYS_writev:
    case SYS_pwritev:
    case SYS_pwritev2:
        WHOLE(WRITE, "writev", (int)v[0], NULL, NUMBERED);
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_syncfs:
    case SYS_sync_file_range:
        WHOLE(SYNC, "sync", (int)v[0], NULL, NUMBERED);
    case SYS_renameat:
    case SYS_renameat2:
        WHOLE(RENAME, "renameat2", (int)v[2], (const char *)v[3], NUMBERED);
    case SYS_ftruncate:
        WHOLE(TRUNCATE, "ftruncate", (int)v[0], NULL, NUMBERED);
    case SYS_mkdirat:
        WHOLE(MKDIR, "mkdirat", (int)v[0], (const char *)v[1], NUMBERED);
    case SYS_unlinkat:
        WHOLE(UNLINK, "unlinkat", (int)v[0], (const char *)v[1], NUMBERED);
    case SYS_linkat:
        WHOLE(LINK, "linkat", (int)v[2], (const char *)v[3], NUMBERED);
    case SYS_symlinkat:
        WHOLE(LINK, "symlinkat", (int)v[1], (const char *)v[2], NUMBERED);
    case SYS_fallocate:
        WHOLE(ALLOCATE, "fallocate", (int)v[0], NULL, NUMBERED);
    case SYS_copy_file_range:
        PARTLY(COPY, "copy_file_range", (int)v[2], v[4], NUMBERED);
    case SYS_fchmod:
    case SYS_fchown:
        WHOLE(META, "meta", (int)v[0], NULL, NUMBERED);
    case SYS_fchmodat:
    case SYS_fchownat:
    case SYS_utimensat:
        WHOLE(META, "meta", (int)v[0], (const char *)v[1], NUMBERED);
    default:
        break;
    }
    return NUMBERED;
}
