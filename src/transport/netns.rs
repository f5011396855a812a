//! Opens sockets in a given network namespace.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use crate::error::{Error, Result};

const CURRENT: &str = "/proc/thread-self/ns/net";

/// A network namespace, by the path of its file (`/run/netns/NAME`, `/proc/PID/ns/net`) or by a
/// file descriptor of it.
#[derive(Debug)]
pub struct NetworkNamespace(Source);

#[derive(Debug)]
enum Source {
    Path(PathBuf),
    Fd(OwnedFd),
}

macro_rules! sources {
    ($($ty:ty => |$value:ident| $source:expr),+ $(,)?) => {
        $(impl From<$ty> for NetworkNamespace {
            fn from($value: $ty) -> Self {
                Self($source)
            }
        })+
    };
}

sources! {
    &str => |path| Source::Path(path.into()),
    String => |path| Source::Path(path.into()),
    &Path => |path| Source::Path(path.into()),
    PathBuf => |path| Source::Path(path),
    OwnedFd => |fd| Source::Fd(fd),
    File => |file| Source::Fd(file.into()),
}

/// An open namespace.
#[derive(Debug, Clone)]
pub(crate) struct Namespace {
    file: Arc<File>,
    /// Device and inode: the identity of the namespace.
    identity: (u64, u64),
}

impl Namespace {
    /// The namespace of the current thread.
    pub(crate) fn current() -> Result<Self> {
        Self::open(NetworkNamespace::from(CURRENT))
    }

    pub(crate) fn open(namespace: NetworkNamespace) -> Result<Self> {
        let (file, name) = match namespace.0 {
            Source::Path(path) => {
                let name = format!("opening the network namespace {}", path.display());
                (File::open(path), name)
            }
            Source::Fd(fd) => (Ok(File::from(fd)), "reading a network namespace".into()),
        };
        file.and_then(|file| {
            let identity = identity(&file)?;
            Ok(Self {
                file: Arc::new(file),
                identity,
            })
        })
        .map_err(|cause| Error::io(name, cause))
    }

    /// Moves the current thread into the namespace, for as long as it lives.
    pub(crate) fn enter(&self) -> Result<()> {
        if self.is_current() {
            return Ok(());
        }
        setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET).map_err(|errno| {
            let doing = match errno {
                Errno::EPERM => {
                    "entering the network namespace: CAP_SYS_ADMIN is needed, in the user \
                     namespace that owns it and in the caller's own"
                }
                Errno::EINVAL => "entering the network namespace: the file is not one's",
                _ => "entering the network namespace",
            };
            Error::io(doing, errno.into())
        })
    }

    /// Runs `open` in the namespace: here where this thread is there, else on a thread of its
    /// own, so that no thread of the caller's ever changes its namespace.
    pub(crate) fn within<T: Send>(&self, open: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        if self.is_current() {
            return open();
        }
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .name("ctnetlink-open".into())
                .spawn_scoped(scope, || {
                    self.enter()?;
                    open()
                })
                .map_err(|cause| Error::io("starting a thread", cause))?
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn is_current(&self) -> bool {
        File::open(CURRENT)
            .and_then(|file| identity(&file))
            .is_ok_and(|current| current == self.identity)
    }
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}
