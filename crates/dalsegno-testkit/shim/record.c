/* Writes down what a program does to files, in order: loaded before the C library by LD_PRELOAD.
 *
 * DALSEGNO_RECORD_LOG names the log.  With DALSEGNO_RECORD_DROP_SYNCS set, no sync is written down, as if
 * the program had none.
 *
 * Only what succeeded is written down.  Call and record are made under one lock, within the process and
 * between processes, so that the order of the records is the order of the changes.  Files are named by
 * device and inode; names by the device and inode of their folder.  Which of them matter is for the reader
 * of the log to say.  What could change a file without being understood here ends the program. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

enum {
  CREATE = 1, MKDIR, SYMLINK, WRITE, TRUNCATE, LINK, UNLINK, RENAME, LOOK, FSYNC, FDATASYNC, SYNCFS, SYNC, MAPPED
};

struct head {
  uint32_t size, op;
  uint64_t n[6];
  uint32_t len[2];
};

#define REAL(name) ((__typeof__(&name))real(#name))

static int log_fd = -1;
static int drop_syncs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *real(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  if (!found) abort();
  return found;
}

static void refuse(const char *what) {
  dprintf(2, "record: %s is not understood\n", what);
  abort();
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("DALSEGNO_RECORD_LOG");
  drop_syncs = getenv("DALSEGNO_RECORD_DROP_SYNCS") != NULL;
  if (!path) return;
  int fd = (int)REAL(syscall)(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  /* Out of the way of programs that expect the lowest numbers. */
  log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 200);
  if (log_fd < 0) refuse("the log");
  REAL(close)(fd);
}

static void take(void) {
  pthread_mutex_lock(&lock);
  if (log_fd >= 0) while (flock(log_fd, LOCK_EX) && errno == EINTR) {}
}

/* Every wrapper ends here: the error number is the call's. */
static void give(int error) {
  if (log_fd >= 0) flock(log_fd, LOCK_UN);
  pthread_mutex_unlock(&lock);
  errno = error;
}

static void note(uint32_t op, const uint64_t n[6], const void *a, size_t la, const void *b, size_t lb) {
  if (log_fd < 0) return;
  struct head head = {(uint32_t)(sizeof head + la + lb), op, {0}, {(uint32_t)la, (uint32_t)lb}};
  memcpy(head.n, n, sizeof head.n);
  struct iovec parts[] = {{&head, sizeof head}, {(void *)a, la}, {(void *)b, lb}};
  if (REAL(writev)(log_fd, parts, 3) != (ssize_t)head.size) refuse("a short write of the log");
}

#define NOTE(op, a, la, b, lb, ...) note(op, (uint64_t[6]){__VA_ARGS__}, a, la, b, lb)

static uint64_t who(const struct stat *st) { return (uint64_t)st->st_uid << 32 | st->st_gid; }

/* Whether a descriptor is of a file that has content. */
static int regular(int fd, struct stat *st) { return fstat(fd, st) == 0 && S_ISREG(st->st_mode); }

/* The folder in which a path's last name lies, and that name. */
static const char *parent(int dir, const char *path, char folder[PATH_MAX], struct stat *st) {
  size_t len = strlen(path);
  if (len + 3 > PATH_MAX) refuse("a long path");
  while (len > 1 && path[len - 1] == '/') len--;
  memcpy(folder, path, len);
  folder[len] = 0;
  char *slash = strrchr(folder, '/');
  static __thread char name[NAME_MAX + 1];
  const char *last = slash ? slash + 1 : folder;
  if (strlen(last) > NAME_MAX) refuse("a long name");
  strcpy(name, last);
  if (!slash) strcpy(folder, ".");
  else if (slash == folder) slash[1] = 0;
  else *slash = 0;
  if (fstatat(dir, folder, st, 0)) refuse("a path without a folder");
  return name;
}

static void note_new(uint32_t op, int dir, const char *path, const struct stat *made, const char *target) {
  char folder[PATH_MAX];
  struct stat in;
  const char *name = parent(dir, path, folder, &in);
  NOTE(op, name, strlen(name), target, target ? strlen(target) : 0, in.st_dev, in.st_ino, made->st_dev, made->st_ino,
       made->st_mode & 07777, who(made));
}

static void note_write(int fd, const void *data, size_t len, off_t at) {
  struct stat st;
  if (len && regular(fd, &st)) NOTE(WRITE, data, len, NULL, 0, st.st_dev, st.st_ino, (uint64_t)at);
}

/* Where the last `len` bytes that were written through a descriptor's own position lie. */
static off_t behind(int fd, size_t len) { return lseek(fd, 0, SEEK_CUR) - (off_t)len; }

static void note_look(const struct stat *st) {
  NOTE(LOOK, NULL, 0, NULL, 0, st->st_dev, st->st_ino, st->st_mode & 07777, who(st), (uint64_t)st->st_mtim.tv_sec,
       (uint64_t)st->st_mtim.tv_nsec);
}

static int open_any(int dir, const char *path, int flags, mode_t mode) {
  int unnamed = (flags & O_TMPFILE) == O_TMPFILE;
  if (!unnamed && !(flags & (O_CREAT | O_TRUNC))) return REAL(openat64)(dir, path, flags, mode);
  take();
  struct stat before, st;
  int existed = !unnamed && fstatat(dir, path, &before, 0) == 0;
  int fd = REAL(openat64)(dir, path, flags, mode), error = errno;
  if (fd >= 0 && regular(fd, &st)) {
    if (unnamed) NOTE(CREATE, NULL, 0, NULL, 0, 0, 0, st.st_dev, st.st_ino, st.st_mode & 07777, who(&st));
    else if (!existed) note_new(CREATE, dir, path, &st, NULL);
    else if (flags & O_TRUNC) NOTE(TRUNCATE, NULL, 0, NULL, 0, st.st_dev, st.st_ino, 0);
  }
  give(error);
  return fd;
}

static mode_t mode_of(int flags, va_list rest) {
  return flags & O_CREAT || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(rest, mode_t) : 0;
}

#define OPEN(dir)                                                                                                   \
  va_list rest;                                                                                                     \
  va_start(rest, flags);                                                                                            \
  mode_t mode = mode_of(flags, rest);                                                                               \
  va_end(rest);                                                                                                     \
  return open_any(dir, path, flags, mode)

EXPORT int open(const char *path, int flags, ...) { OPEN(AT_FDCWD); }
EXPORT int open64(const char *path, int flags, ...) { OPEN(AT_FDCWD); }
EXPORT int openat(int dir, const char *path, int flags, ...) { OPEN(dir); }
EXPORT int openat64(int dir, const char *path, int flags, ...) { OPEN(dir); }
EXPORT int creat(const char *path, mode_t mode) { return open_any(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
EXPORT int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* Pipes and terminals are written to without the lock: whoever reads them may wait for it. */
EXPORT ssize_t write(int fd, const void *data, size_t len) {
  struct stat st;
  if (!regular(fd, &st)) return REAL(write)(fd, data, len);
  take();
  ssize_t done = REAL(write)(fd, data, len);
  int error = errno;
  if (done > 0) note_write(fd, data, (size_t)done, behind(fd, (size_t)done));
  give(error);
  return done;
}

EXPORT ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) {
  take();
  ssize_t done = REAL(pwrite64)(fd, data, len, at);
  int error = errno;
  if (done > 0) note_write(fd, data, (size_t)done, at);
  give(error);
  return done;
}
EXPORT ssize_t pwrite(int fd, const void *data, size_t len, off_t at) { return pwrite64(fd, data, len, at); }

static void note_vector(int fd, const struct iovec *parts, int count, size_t left, off_t at) {
  for (int i = 0; i < count && left; i++) {
    size_t len = parts[i].iov_len < left ? parts[i].iov_len : left;
    note_write(fd, parts[i].iov_base, len, at);
    at += (off_t)len;
    left -= len;
  }
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count) {
  struct stat st;
  if (!regular(fd, &st)) return REAL(writev)(fd, parts, count);
  take();
  ssize_t done = REAL(writev)(fd, parts, count);
  int error = errno;
  if (done > 0) note_vector(fd, parts, count, (size_t)done, behind(fd, (size_t)done));
  give(error);
  return done;
}

EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t at) {
  take();
  ssize_t done = REAL(pwritev64)(fd, parts, count, at);
  int error = errno;
  if (done > 0) note_vector(fd, parts, count, (size_t)done, at);
  give(error);
  return done;
}
EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return pwritev64(fd, parts, count, at); }

/* Bytes that the kernel moved from file to file are read again from where they came. */
static void note_copy(int from, off_t source, int to, off_t at, size_t left) {
  static char block[1 << 16];
  struct stat st;
  if (!regular(to, &st)) return;
  while (left) {
    ssize_t got = pread(from, block, left < sizeof block ? left : sizeof block, source);
    if (got <= 0) refuse("a copy that cannot be read again");
    note_write(to, block, (size_t)got, at);
    source += got;
    at += got;
    left -= (size_t)got;
  }
}

EXPORT ssize_t copy_file_range(int from, off64_t *source, int to, off64_t *at, size_t len, unsigned flags) {
  take();
  ssize_t done = REAL(copy_file_range)(from, source, to, at, len, flags);
  int error = errno;
  if (done > 0) {
    off_t begin = source ? *source - done : behind(from, (size_t)done);
    note_copy(from, begin, to, at ? *at - done : behind(to, (size_t)done), (size_t)done);
  }
  give(error);
  return done;
}

EXPORT ssize_t sendfile64(int to, int from, off64_t *source, size_t len) {
  take();
  ssize_t done = REAL(sendfile64)(to, from, source, len);
  int error = errno;
  struct stat st;
  if (done > 0 && regular(to, &st)) {
    note_copy(from, source ? *source - done : behind(from, (size_t)done), to, behind(to, (size_t)done), (size_t)done);
  }
  give(error);
  return done;
}
EXPORT ssize_t sendfile(int to, int from, off_t *source, size_t len) { return sendfile64(to, from, source, len); }

EXPORT ssize_t splice(int from, off64_t *source, int to, off64_t *at, size_t len, unsigned flags) {
  struct stat st;
  if (regular(to, &st)) refuse("splice into a file");
  return REAL(splice)(from, source, to, at, len, flags);
}

EXPORT int ftruncate64(int fd, off_t size) {
  take();
  int done = REAL(ftruncate64)(fd, size), error = errno;
  struct stat st;
  if (!done && regular(fd, &st)) NOTE(TRUNCATE, NULL, 0, NULL, 0, st.st_dev, st.st_ino, (uint64_t)size);
  give(error);
  return done;
}
EXPORT int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

EXPORT int truncate64(const char *path, off_t size) {
  take();
  int done = REAL(truncate64)(path, size), error = errno;
  struct stat st;
  if (!done && !stat(path, &st)) NOTE(TRUNCATE, NULL, 0, NULL, 0, st.st_dev, st.st_ino, (uint64_t)size);
  give(error);
  return done;
}
EXPORT int truncate(const char *path, off_t size) { return truncate64(path, size); }

/* Only the plain kind, which makes a file longer, is known. */
EXPORT int fallocate64(int fd, int mode, off_t at, off_t len) {
  if (mode & ~FALLOC_FL_KEEP_SIZE) refuse("fallocate of this kind");
  take();
  int done = REAL(fallocate64)(fd, mode, at, len), error = errno;
  struct stat st;
  if (!done && !mode && regular(fd, &st)) NOTE(TRUNCATE, NULL, 0, NULL, 0, st.st_dev, st.st_ino, (uint64_t)st.st_size);
  give(error);
  return done;
}
EXPORT int fallocate(int fd, int mode, off_t at, off_t len) { return fallocate64(fd, mode, at, len); }
EXPORT int posix_fallocate64(int fd, off_t at, off_t len) {
  return fallocate64(fd, 0, at, len) ? errno : 0;
}
EXPORT int posix_fallocate(int fd, off_t at, off_t len) { return posix_fallocate64(fd, at, len); }

EXPORT void *mmap64(void *where, size_t len, int access, int flags, int fd, off_t at) {
  struct stat st;
  void *mapped = REAL(mmap64)(where, len, access, flags, fd, at);
  int shared = (flags & MAP_TYPE) == MAP_SHARED || (flags & MAP_TYPE) == MAP_SHARED_VALIDATE;
  if (mapped != MAP_FAILED && fd >= 0 && shared && access & PROT_WRITE && regular(fd, &st)) {
    take();
    NOTE(MAPPED, NULL, 0, NULL, 0, st.st_dev, st.st_ino);
    give(0);
  }
  return mapped;
}
EXPORT void *mmap(void *where, size_t len, int access, int flags, int fd, off_t at) {
  return mmap64(where, len, access, flags, fd, at);
}

EXPORT int ioctl(int fd, unsigned long request, ...) {
  va_list rest;
  va_start(rest, request);
  void *argument = va_arg(rest, void *);
  va_end(rest);
  if (request == FICLONE || request == FICLONERANGE) {
    /* As on a file system without shared extents: the caller then copies. */
    errno = EOPNOTSUPP;
    return -1;
  }
  return REAL(ioctl)(fd, request, argument);
}

static int rename_any(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
  take();
  int done = (int)REAL(syscall)(SYS_renameat2, from_dir, from, to_dir, to, flags), error = errno;
  if (!done && flags & RENAME_WHITEOUT) refuse("a rename of this kind");
  if (!done) {
    char folder[PATH_MAX], first[NAME_MAX + 1];
    struct stat a, b;
    strcpy(first, parent(from_dir, from, folder, &a));
    const char *second = parent(to_dir, to, folder, &b);
    NOTE(RENAME, first, strlen(first), second, strlen(second), a.st_dev, a.st_ino, b.st_dev, b.st_ino,
         flags & RENAME_EXCHANGE);
  }
  give(error);
  return done;
}

EXPORT int rename(const char *from, const char *to) { return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0); }
EXPORT int renameat(int a, const char *from, int b, const char *to) { return rename_any(a, from, b, to, 0); }
EXPORT int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
  return rename_any(a, from, b, to, flags);
}

EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
  take();
  int done = REAL(linkat)(from_dir, from, to_dir, to, flags), error = errno;
  struct stat st;
  if (!done && !fstatat(to_dir, to, &st, AT_SYMLINK_NOFOLLOW)) note_new(LINK, to_dir, to, &st, NULL);
  give(error);
  return done;
}
EXPORT int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

EXPORT int symlinkat(const char *target, int dir, const char *path) {
  take();
  int done = REAL(symlinkat)(target, dir, path), error = errno;
  struct stat st;
  if (!done && !fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW)) note_new(SYMLINK, dir, path, &st, target);
  give(error);
  return done;
}
EXPORT int symlink(const char *target, const char *path) { return symlinkat(target, AT_FDCWD, path); }

EXPORT int mkdirat(int dir, const char *path, mode_t mode) {
  take();
  int done = REAL(mkdirat)(dir, path, mode), error = errno;
  struct stat st;
  if (!done && !fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW)) note_new(MKDIR, dir, path, &st, NULL);
  give(error);
  return done;
}
EXPORT int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

EXPORT int mknodat(int dir, const char *path, mode_t mode, dev_t device) {
  if (S_ISREG(mode)) refuse("mknod of a file");
  return REAL(mknodat)(dir, path, mode, device);
}

EXPORT int unlinkat(int dir, const char *path, int flags) {
  take();
  int done = REAL(unlinkat)(dir, path, flags), error = errno;
  if (!done) {
    char folder[PATH_MAX];
    struct stat in;
    const char *name = parent(dir, path, folder, &in);
    NOTE(UNLINK, name, strlen(name), NULL, 0, in.st_dev, in.st_ino);
  }
  give(error);
  return done;
}
EXPORT int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
EXPORT int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

#define LOOKING(call, seen)                                                                                         \
  take();                                                                                                           \
  int done = call, error = errno;                                                                                   \
  struct stat st;                                                                                                   \
  if (!done && !(seen)) note_look(&st);                                                                             \
  give(error);                                                                                                      \
  return done

EXPORT int fchmod(int fd, mode_t mode) { LOOKING(REAL(fchmod)(fd, mode), fstat(fd, &st)); }
EXPORT int chmod(const char *path, mode_t mode) { LOOKING(REAL(chmod)(path, mode), stat(path, &st)); }
EXPORT int fchmodat(int dir, const char *path, mode_t mode, int flags) {
  LOOKING(REAL(fchmodat)(dir, path, mode, flags), fstatat(dir, path, &st, flags));
}
EXPORT int fchown(int fd, uid_t u, gid_t g) { LOOKING(REAL(fchown)(fd, u, g), fstat(fd, &st)); }
EXPORT int chown(const char *path, uid_t u, gid_t g) { LOOKING(REAL(chown)(path, u, g), stat(path, &st)); }
EXPORT int lchown(const char *path, uid_t u, gid_t g) { LOOKING(REAL(lchown)(path, u, g), lstat(path, &st)); }
EXPORT int fchownat(int dir, const char *path, uid_t u, gid_t g, int flags) {
  LOOKING(REAL(fchownat)(dir, path, u, g, flags), fstatat(dir, path, &st, flags));
}
EXPORT int futimens(int fd, const struct timespec times[2]) { LOOKING(REAL(futimens)(fd, times), fstat(fd, &st)); }
EXPORT int utimensat(int dir, const char *path, const struct timespec times[2], int flags) {
  LOOKING(REAL(utimensat)(dir, path, times, flags), fstatat(dir, path, &st, flags));
}
EXPORT int utimes(const char *path, const struct timeval times[2]) { LOOKING(REAL(utimes)(path, times), stat(path, &st)); }

static void note_sync(uint32_t op, int fd) {
  struct stat st;
  if (!drop_syncs && !fstat(fd, &st)) NOTE(op, NULL, 0, NULL, 0, st.st_dev, st.st_ino);
}

#define SYNCING(name, op)                                                                                           \
  EXPORT int name(int fd) {                                                                                         \
    take();                                                                                                         \
    int done = REAL(name)(fd), error = errno;                                                                       \
    if (!done) note_sync(op, fd);                                                                                   \
    give(error);                                                                                                    \
    return done;                                                                                                    \
  }
SYNCING(fsync, FSYNC)
SYNCING(fdatasync, FDATASYNC)
SYNCING(syncfs, SYNCFS)

EXPORT void sync(void) {
  take();
  REAL(sync)();
  if (!drop_syncs) NOTE(SYNC, NULL, 0, NULL, 0, 0);
  give(0);
}

/* Some calls of the standard library and of rustix come without a wrapper of the C library. */
EXPORT long syscall(long number, ...) {
  va_list rest;
  va_start(rest, number);
  long a[6];
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  switch (number) {
    case SYS_renameat2: return rename_any((int)a[0], (char *)a[1], (int)a[2], (char *)a[3], (unsigned)a[4]);
    case SYS_copy_file_range:
      return copy_file_range((int)a[0], (off64_t *)a[1], (int)a[2], (off64_t *)a[3], (size_t)a[4], (unsigned)a[5]);
    case SYS_syncfs: return syncfs((int)a[0]);
    case SYS_open: return open_any(AT_FDCWD, (char *)a[0], (int)a[1], (mode_t)a[2]);
    case SYS_openat: return open_any((int)a[0], (char *)a[1], (int)a[2], (mode_t)a[3]);
    case SYS_fchmod: return fchmod((int)a[0], (mode_t)a[1]);
    case SYS_fchmodat: return fchmodat((int)a[0], (char *)a[1], (mode_t)a[2], 0);
    case SYS_fchown: return fchown((int)a[0], (uid_t)a[1], (gid_t)a[2]);
    case SYS_getdents64: case SYS_statx: case SYS_futex: case SYS_getrandom: case SYS_gettid: case SYS_tgkill: case SYS_pidfd_open:
    case SYS_mount: case SYS_membarrier: case SYS_faccessat2: case SYS_sched_getaffinity: case SYS_ioprio_set:
      return REAL(syscall)(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    case SYS_openat2: case SYS_clone3: case SYS_preadv2:
      /* As on a kernel that is older: the caller has another way. */
      errno = ENOSYS;
      return -1;
    default: dprintf(2, "record: system call %ld\n", number); refuse("a bare system call");
  }
  return -1;
}
