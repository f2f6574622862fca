#include "edge/bucket/fs_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/*
 * ext4 and XFS write names and sizes into one journal, in the order in which
 * they came to be, and the disk's own cache is emptied before each commit. So
 * what was written out before a file got its name is on the disk before that
 * name is, and one fsync() of the folder, behind both, makes all durable that
 * leads there. Elsewhere each step is made durable before the next one begins.
 */

/** With a journal on the same disk: one elsewhere commits without emptying this
 * one's cache, and ext4 may have none. */
static bool has_journal_inside(dev_t device)
{
    char link[64];
    char target[512];
    char journal[600];
    snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(device),
             minor(device));
    const ssize_t len = readlink(link, target, sizeof target - 1);
    if (len <= 0) {
        return false;
    }
    target[len] = '\0';
    const char *slash = strrchr(target, '/');
    snprintf(journal, sizeof journal, "/proc/fs/jbd2/%s-8",
             slash ? slash + 1 : target);
    return access(journal, F_OK) == 0;
}

/** Files of a second disk without a journal are made there. */
static bool is_realtime(int folder_fd)
{
    struct fsxattr attributes;
    return ioctl(folder_fd, FS_IOC_FSGETXATTR, &attributes) != 0 ||
           (attributes.fsx_xflags & (FS_XFLAG_REALTIME | FS_XFLAG_RTINHERIT));
}

bool fs_journal_orders(int folder_fd)
{
    struct statfs fs;
    struct stat folder;
    if (fstatfs(folder_fd, &fs) != 0 || fstat(folder_fd, &folder) != 0) {
        return false;
    }
    switch ((unsigned long)fs.f_type) {
    case EXT4_SUPER_MAGIC: /* ext2's and ext3's too */
        return has_journal_inside(folder.st_dev);
    case XFS_SUPER_MAGIC:
        return !is_realtime(folder_fd);
    default:
        return false;
    }
}

bool fs_write_out(int fd)
{
    if (sync_file_range(fd, 0, 0,
                        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                            SYNC_FILE_RANGE_WAIT_AFTER) == 0) {
        return true;
    }
    /* A sandbox may refuse the call. */
    return (errno == ENOSYS || errno == EPERM) && fdatasync(fd) == 0;
}
