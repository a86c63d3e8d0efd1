//! Small disks that can be filled: file systems in memory, which only the calling thread and its children see.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// How much a disk holds.
const SIZE: &std::ffi::CStr = c"size=16m,mode=755";
/// The file that takes all the room.
const FILLER: &str = "filler";

/// A mounted disk, unmounted when it is dropped.
#[derive(Debug)]
pub struct SmallDisk {
    directory: PathBuf,
}

/// Gives the calling thread mounts of its own: what it mounts from now on only it and its children see, and the
/// kernel removes it with the last of them.
///
/// # Errors
/// When the kernel refuses: root may.
#[expect(unsafe_code, reason = "the library takes no safe flags apart from those that are not")]
pub fn own_mounts() -> Result<()> {
    // SAFETY: only unsharing the table of descriptors can harm other threads (see `unshare_unsafe`), and that is shared
    // as before.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.context("giving a thread its own mounts (root may)")?;
    let flags = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", flags).context("keeping mounts from others")
}

impl SmallDisk {
    /// Makes a directory that is a disk of its own. The thread has [`own_mounts`].
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn mount(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        mount("tmpfs", directory, "tmpfs", MountFlags::empty(), SIZE)
            .with_context(|| format!("mounting a small disk at {}", directory.display()))?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// Takes all the room that is left.
    ///
    /// # Errors
    /// When anything else goes wrong than that there is no more.
    pub fn fill(&self) -> Result<()> {
        let mut filler = File::options().create(true).append(true).open(self.directory.join(FILLER))?;
        let mut piece = vec![0; 1 << 16];
        while !piece.is_empty() {
            match filler.write_all(&piece) {
                Ok(()) => {}
                // What is left may be less than a piece.
                Err(error) if error.kind() == ErrorKind::StorageFull => piece.truncate(piece.len() / 2),
                Err(error) => return Err(error).context("filling a disk"),
            }
        }
        Ok(())
    }

    /// Ends [`fill`](Self::fill); harmless when it was not filled.
    ///
    /// # Errors
    /// When the room cannot be given back.
    pub fn clear(&self) -> Result<()> {
        match std::fs::remove_file(self.directory.join(FILLER)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("clearing a disk"),
            _ => Ok(()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still has a file there keeps it; the directory can be removed.
        let _ = unmount(&self.directory, UnmountFlags::DETACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_full_and_has_room_again_and_nobody_else_sees_it() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("data");
        let path = directory.clone();
        let thread = std::thread::spawn(move || {
            own_mounts().unwrap();
            let disk = SmallDisk::mount(&path).unwrap();
            let write = || std::fs::write(path.join("a"), [1; 100]);
            write().unwrap();
            std::fs::remove_file(path.join("a")).unwrap();
            disk.fill().unwrap();
            assert_eq!(write().unwrap_err().kind(), ErrorKind::StorageFull);
            disk.clear().unwrap();
            write().unwrap();
            disk
        });
        let disk = thread.join().unwrap();
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "seen from outside");
        drop(disk);
        parent.close().unwrap();
    }
}
