//! Ioctls on block devices and mounted ext4 that no crate has, each with its source.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use nix::fcntl::{FallocateFlags, fallocate};

// linux/fs.h
nix::ioctl_write_ptr_bad!(blkdiscard, nix::request_code_none!(0x12, 119), [u64; 2]);
nix::ioctl_none!(blkrrpart, 0x12, 95);
nix::ioctl_none!(blkflsbuf, 0x12, 97);
nix::ioctl_read_bad!(blkroget, nix::request_code_none!(0x12, 94), nix::libc::c_int);
nix::ioctl_read_bad!(blksszget, nix::request_code_none!(0x12, 104), nix::libc::c_int);
nix::ioctl_read!(blkgetsize64, 0x12, 114, usize);
// fs/ext4/ext4.h; Documentation/admin-guide/ext4.rst and linux/ext4.h (kernel 6.0 and later for the UUID)
nix::ioctl_write_ptr!(ext4_resize, b'f', 16, u64);
nix::ioctl_write_ptr_bad!(ext4_set_uuid, nix::request_code_write!(b'f', 44, 8), FsUuid);

/// struct fsuuid: the size in the request code covers only the first two fields.
#[repr(C)]
pub(super) struct FsUuid {
    len: u32,
    flags: u32,
    uuid: [u8; 16],
}

/// Discards `[start, start + len)`. What is read there afterwards is undefined.
pub(super) fn discard(device: &File, start: u64, len: u64) -> io::Result<()> {
    // SAFETY: the argument points to two u64 that outlive the call; the descriptor is open.
    unsafe { blkdiscard(device.as_raw_fd(), &[start, len]) }?;
    Ok(())
}

/// Makes the kernel reread the partition table. EBUSY while a partition is open.
pub(super) fn reread_partitions(device: &File) -> nix::Result<()> {
    // SAFETY: no argument; the descriptor is open.
    unsafe { blkrrpart(device.as_raw_fd()) }?;
    Ok(())
}

/// Writes the device's dirty pages and drops the clean ones, so that reads come from the medium.
pub(super) fn drop_cache(device: &File) -> io::Result<()> {
    // SAFETY: no argument; the descriptor is open.
    unsafe { blkflsbuf(device.as_raw_fd()) }?;
    Ok(())
}

/// Size in bytes, logical block size in bytes, whether it is read-only.
pub(super) fn geometry(device: &File) -> io::Result<(u64, u32, bool)> {
    let fd = device.as_raw_fd();
    let (mut size, mut block, mut read_only) = (0usize, 0, 0);
    // SAFETY: each argument points to a variable of the type the request writes; the descriptor is open.
    unsafe {
        blkgetsize64(fd, &mut size)?;
        blksszget(fd, &mut block)?;
        blkroget(fd, &mut read_only)?;
    }
    Ok((size as u64, block as u32, read_only != 0))
}

/// Makes `[start, start + len)` of a block device or file read as zeros without writing them; `Ok(false)` if
/// the device cannot guarantee that. On a block device this is the kernel's "write zeroes, may unmap, no
/// fallback" (block/fops.c): unlike a discard, its result is defined.
pub(super) fn zero_without_writing(file: &File, start: u64, len: u64) -> io::Result<bool> {
    let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
    match fallocate(file, mode, start as i64, len as i64) {
        Ok(()) => Ok(true),
        Err(nix::Error::EOPNOTSUPP | nix::Error::ENODEV | nix::Error::ENOSYS | nix::Error::EINVAL) => {
            Ok(false)
        }
        Err(e) => Err(e.into()),
    }
}

/// Grows a mounted ext4 to `blocks` file system blocks. `dir` is any open file on it.
pub(super) fn ext4_grow(dir: &File, blocks: u64) -> io::Result<()> {
    // SAFETY: the argument points to a u64 that outlives the call; the descriptor is open.
    unsafe { ext4_resize(dir.as_raw_fd(), &blocks) }?;
    Ok(())
}

/// Sets a mounted ext4's UUID in all superblocks. `dir` is any open file on it.
pub(super) fn ext4_uuid(dir: &File, uuid: [u8; 16]) -> io::Result<()> {
    let argument = FsUuid {
        len: 16,
        flags: 0,
        uuid,
    };
    // SAFETY: the argument is an fsuuid followed by the 16 bytes that `len` announces; it outlives the call.
    unsafe { ext4_set_uuid(dir.as_raw_fd(), &argument) }?;
    Ok(())
}
