//! A file that is being written: beside its place, and readable for its owner alone. It is removed
//! if it is not finished.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The ending of files that are not finished.
pub const ENDING: &str = "part";

/// A file that is not in its place yet. Dropped, it is removed.
pub struct PartialFile {
    file: BufWriter<File>,
    path: PathBuf,
}

impl PartialFile {
    /// Begins a file in `folder`.
    pub fn new(folder: &Path) -> io::Result<Self> {
        // Two associations may bring the same image.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}-{number}.{ENDING}", std::process::id()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(PartialFile { file: BufWriter::with_capacity(1 << 16, options.open(&path)?), path })
    }

    /// At most `most` bytes from byte `start` on.
    pub fn read(&mut self, start: u64, most: u64) -> io::Result<Vec<u8>> {
        self.file.flush()?;
        let (file, mut bytes) = (self.file.get_mut(), Vec::new());
        file.seek(SeekFrom::Start(start))?;
        file.take(most).read_to_end(&mut bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(bytes)
    }

    /// All that was written, from its beginning.
    pub fn whole(&mut self) -> io::Result<&mut File> {
        self.file.flush()?;
        let file = self.file.get_mut();
        file.rewind()?;
        Ok(file)
    }

    /// Flushes what was written, down to the disk.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().sync_all()
    }

    /// Moves the file to its place. That it stays there is sure once the folder is flushed.
    pub fn keep(self, place: &Path) -> io::Result<()> {
        fs::rename(&self.path, place)
    }
}

impl Write for PartialFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        // Kept, it is no longer here.
        let _ = fs::remove_file(&self.path);
    }
}

/// Opens or makes a file for its owner alone.
pub fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    Ok(file)
}

/// Makes a folder for its owner alone, or makes it so.
pub fn private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)?;
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}
