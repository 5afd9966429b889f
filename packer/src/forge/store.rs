//! The place of a forge: a folder, or a cloud bucket (`s3://`, `gs://`, `az://`) if packer was
//! built with that feature.
//!
//! A file is created under a name and never changed. If two processes create the same name at once,
//! exactly one succeeds. In a folder, a file is written beside its place, flushed to disk and then
//! linked. In a bucket, the put is conditional.
//!
//! Refused: other addresses, and files larger than the caller expects.

use std::collections::BTreeSet;
use std::path::{Path as FilePath, PathBuf};

use futures_util::{StreamExt, TryStreamExt, stream};
use medforge_runtime::file;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use crate::Error;

/// An open store.
pub struct Store {
    place: String,
    /// Its folder, if it is not a bucket.
    folder: Option<PathBuf>,
    store: Box<dyn ObjectStore>,
    root: Path,
    runtime: Runtime,
}

/// Reads that run at once, which hides a bucket's latency.
const PARALLEL: usize = 16;

impl Store {
    /// Opens `place`. With `make`, a missing folder is created.
    pub fn open(place: &str, make: bool) -> Result<Self, Error> {
        let refuse = |what: String| Error::ForgeStore { place: place.to_owned(), what };
        let (folder, (store, root)) = if place.contains("://") {
            (None, bucket(place)?)
        } else {
            if make {
                std::fs::create_dir_all(place).map_err(|e| Error::io(place, e))?;
            } else if !FilePath::new(place).is_dir() {
                return Err(Error::NoForge { place: place.to_owned() });
            }
            let folder = LocalFileSystem::new_with_prefix(place).map_err(|e| refuse(words(&e)))?;
            let store = Box::new(folder.with_fsync(true)) as Box<dyn ObjectStore>;
            (Some(PathBuf::from(place)), (store, Path::default()))
        };
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| refuse(e.to_string()))?;
        Ok(Store { place: place.to_owned(), folder, store, root, runtime })
    }

    /// The address that it was opened by.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Creates `name`. If it exists, it is left as it is and the result is false.
    pub fn create(&self, name: &str, bytes: Vec<u8>) -> Result<bool, Error> {
        let path = self.path(name)?;
        let put = self.store.put_opts(&path, bytes.into(), PutMode::Create.into());
        match self.runtime.block_on(put) {
            Ok(_) => Ok(true),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => Ok(false),
            Err(error) => Err(self.refuse(name, &error)),
        }
    }

    /// The bytes of `name`; none if it does not exist.
    pub fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        self.runtime.block_on(self.get(name, limit))
    }

    /// The bytes of each of `names`, in their order.
    pub fn read_all(&self, names: &[String], limit: u64) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let reads = stream::iter(names).map(|name| self.get(name, limit)).buffered(PARALLEL);
        self.runtime.block_on(reads.try_collect())
    }

    /// The names in `folder`, without the folder's own.
    pub fn list(&self, folder: &str) -> Result<BTreeSet<String>, Error> {
        let path = self.path(folder)?;
        let names = self
            .store
            .list(Some(&path))
            .map_ok(|found| found.location.filename().unwrap_or_default().to_owned());
        self.runtime.block_on(names.try_collect()).map_err(|e| self.refuse(folder, &e))
    }

    /// The names of files and folders at the top.
    pub fn top(&self) -> Result<BTreeSet<String>, Error> {
        let listed = self.runtime.block_on(self.store.list_with_delimiter(Some(&self.root)));
        let listed = listed.map_err(|e| self.refuse("", &e))?;
        let files = listed.objects.into_iter().map(|found| found.location);
        let names = files
            .chain(listed.common_prefixes)
            .filter_map(|path| path.filename().map(str::to_owned));
        Ok(names.collect())
    }

    async fn get(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(name)?;
        // A forge writes regular files only. Reading another kind, such as a pipe, may never end.
        if let Some(folder) = &self.folder
            && let Err(error) = file::check(&folder.join(path.as_ref()))
            && error.kind() == std::io::ErrorKind::InvalidInput
        {
            return Ok(None);
        }
        let found = match self.store.get(&path).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(self.refuse(name, &error)),
        };
        if found.meta.size > limit {
            return Err(Error::ForgeTooLong {
                name: name.to_owned(),
                length: found.meta.size,
                limit,
            });
        }
        let bytes = found.bytes().await.map_err(|e| self.refuse(name, &e))?;
        Ok(Some(bytes.into()))
    }

    fn path(&self, name: &str) -> Result<Path, Error> {
        let whole = [self.root.as_ref(), name]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/");
        Path::parse(whole)
            .map_err(|e| Error::ForgeStore { place: self.place.clone(), what: e.to_string() })
    }

    fn refuse(&self, name: &str, error: &object_store::Error) -> Error {
        Error::ForgeStore { place: self.place.clone(), what: format!("{name}: {}", words(error)) }
    }
}

/// A bucket, opened with the settings in the environment (`AWS_...`, `GOOGLE_...`, `AZURE_...`).
fn bucket(place: &str) -> Result<(Box<dyn ObjectStore>, Path), Error> {
    let refuse = |what: String| Error::ForgeStore { place: place.to_owned(), what };
    check_scheme(place)?;
    let url = Url::parse(place).map_err(|e| refuse(e.to_string()))?;
    let settings = std::env::vars_os()
        .filter_map(|(name, value)| {
            Some((name.into_string().ok()?.to_ascii_lowercase(), value.into_string().ok()?))
        })
        .filter(|(name, _)| {
            ["aws_", "google_", "azure_"].iter().any(|prefix| name.starts_with(prefix))
        });
    object_store::parse_url_opts(&url, settings).map_err(|e| refuse(words(&e)))
}

/// Refuses schemes that packer does not know or was built without.
fn check_scheme(place: &str) -> Result<(), Error> {
    let scheme = place.split("://").next().unwrap_or_default();
    let built = match scheme {
        "s3" => cfg!(feature = "s3"),
        "gs" => cfg!(feature = "gs"),
        "az" => cfg!(feature = "az"),
        _ => {
            let what = "is neither a folder nor an address that begins with s3://, gs:// or az://"
                .to_owned();
            return Err(Error::ForgeStore { place: place.to_owned(), what });
        }
    };
    if built {
        return Ok(());
    }
    let what = format!(
        "this packer was built without {scheme}://; build it with `cargo install --path packer \
         --features {scheme}`"
    );
    Err(Error::ForgeStore { place: place.to_owned(), what })
}

/// The error and its causes, on one line.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut behind = error.source();
    while let Some(error) = behind {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        behind = error.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
