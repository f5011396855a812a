//! Opens sockets in a given network namespace.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};

use super::socket::Socket;
use crate::error::{Error, Result};

/// The current thread's namespace, as a file.
const CURRENT: &str = "/proc/thread-self/ns/net";

/// The directory where `ip netns` keeps named namespaces.
const NAMED: &str = "/run/netns";

/// A network namespace: the path of its file (`/run/netns/blue`, `/proc/PID/ns/net`), its name
/// alone (`blue`, for `/run/netns/blue`), or an open file of it. A file descriptor of a process
/// (`pidfd_open`) stands for the namespace that the process is in (Linux 5.8).
#[derive(Debug)]
pub struct NetworkNamespace(Source);

#[derive(Debug)]
enum Source {
    Path(PathBuf),
    Fd(io::Result<OwnedFd>),
}

impl Source {
    fn path(path: PathBuf) -> Self {
        let named = path.components().count() == 1 && !path.has_root();
        Self::Path(match named {
            true => Path::new(NAMED).join(path),
            false => path,
        })
    }
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
    &str => |path| Source::path(path.into()),
    String => |path| Source::path(path.into()),
    &Path => |path| Source::path(path.into()),
    PathBuf => |path| Source::path(path),
    OwnedFd => |fd| Source::Fd(Ok(fd)),
    File => |file| Source::Fd(Ok(file.into())),
    &File => |file| Source::Fd(file.as_fd().try_clone_to_owned()),
    BorrowedFd<'_> => |fd| Source::Fd(fd.try_clone_to_owned()),
}

/// The namespace that a connection was made for.
#[derive(Debug, Clone)]
pub(crate) struct Namespace(Place);

#[derive(Debug, Clone)]
enum Place {
    Kernel(Arc<Inner>),
    #[cfg(any(test, feature = "testing"))]
    Fake(crate::testing::Kernel),
}

#[derive(Debug)]
struct Inner {
    identity: Identity,
    /// How a thread in another namespace can enter it.
    entry: Option<Entry>,
}

/// Identifies a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    /// Its number (Linux 5.14).
    Cookie(u64),
    /// Device and inode of its file, for older kernels.
    File(u64, u64),
}

/// A file of the namespace, and its name in errors.
#[derive(Debug)]
struct Entry {
    file: File,
    name: String,
}

impl Namespace {
    /// A number for logs: the kernel's number of the namespace, or the inode of its file; 0 for a
    /// fake kernel.
    pub(crate) fn number(&self) -> u64 {
        match &self.0 {
            Place::Kernel(inner) => match inner.identity {
                Identity::Cookie(number) | Identity::File(_, number) => number,
            },
            #[cfg(any(test, feature = "testing"))]
            Place::Fake(_) => 0,
        }
    }

    /// The namespace of the current thread, and a first socket in it.
    pub(crate) fn current() -> Result<(Self, Socket)> {
        let (identity, socket) = Identity::of_new_socket()?;
        let entry = match File::open(CURRENT) {
            Ok(file) => Some(Entry {
                file,
                name: CURRENT.into(),
            }),
            // Without /proc, sockets can only be opened from this namespace.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => None,
            Err(cause) => return Err(Error::io(format!("opening {CURRENT}"), cause)),
        };
        Ok((Self::of(identity, entry), socket))
    }

    /// The namespace that was named, and a first socket in it.
    pub(crate) fn open(namespace: NetworkNamespace) -> Result<(Self, Socket)> {
        let (file, name) = match namespace.0 {
            Source::Path(path) => {
                let name = path.display().to_string();
                (File::open(path), name)
            }
            Source::Fd(fd) => (fd.map(File::from), "the file descriptor".into()),
        };
        let file = file
            .map_err(|cause| Error::io(format!("opening the network namespace {name}"), cause))?;
        let entry = Entry { file, name };
        // Entering a namespace needs a capability, even if the thread is in it already.
        let (identity, socket) = match entry.is_current() {
            true => Identity::of_new_socket()?,
            false => entry.enter_and(Identity::of_new_socket)?,
        };
        let entry = Some(entry);
        Ok((Self::of(identity, entry), socket))
    }

    fn of(identity: Identity, entry: Option<Entry>) -> Self {
        Self(Place::Kernel(Arc::new(Inner { identity, entry })))
    }

    /// The only namespace of a fake kernel.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn fake(kernel: &crate::testing::Kernel) -> Self {
        Self(Place::Fake(kernel.clone()))
    }

    /// Opens a socket in the namespace. If the current thread is in another namespace, a new thread
    /// enters it, so that no existing thread ever changes its namespace.
    pub(crate) fn socket(&self) -> Result<Socket> {
        let Inner { identity, entry } = match &self.0 {
            Place::Kernel(inner) => &**inner,
            #[cfg(any(test, feature = "testing"))]
            Place::Fake(kernel) => return Ok(Socket::fake(kernel)),
        };
        let (here, socket) = Identity::of_new_socket()?;
        if here == *identity {
            return Ok(socket);
        }
        let Some(entry) = entry else {
            return Err(Error::io(
                format!("entering the connection's network namespace: {CURRENT} was not there"),
                io::ErrorKind::NotFound.into(),
            ));
        };
        // Compare on the thread that has entered: `thread-self` of this thread is a different file.
        let (there, socket) = entry.enter_and(Identity::of_new_socket)?;
        match there == *identity {
            true => Ok(socket),
            // The process whose file this is may have moved to another namespace.
            false => Err(Error::io(
                format!("entering the network namespace {}", entry.name),
                io::Error::other("it is another one than at first"),
            )),
        }
    }

    /// Runs work that depends on the namespace of the thread. If the current thread is in another
    /// namespace, a new thread runs it.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let Inner { identity, entry } = match &self.0 {
            Place::Kernel(inner) => &**inner,
            #[cfg(any(test, feature = "testing"))]
            Place::Fake(_) => return Ok(work()),
        };
        match entry {
            Some(entry) if Identity::of_new_socket()?.0 != *identity => {
                entry.enter_and(|| Ok(work()))
            }
            _ => Ok(work()),
        }
    }
}

impl Identity {
    /// Opens a socket in the namespace of this thread, and identifies the namespace.
    fn of_new_socket() -> Result<(Self, Socket)> {
        let socket = Socket::open()?;
        if let Some(cookie) = socket.namespace_cookie() {
            return Ok((Self::Cookie(cookie), socket));
        }
        let metadata = File::open(CURRENT).and_then(|file| file.metadata());
        let metadata = metadata.map_err(|cause| Error::io(format!("opening {CURRENT}"), cause))?;
        Ok((Self::File(metadata.dev(), metadata.ino()), socket))
    }
}

impl Entry {
    /// Runs `open` in the namespace, on a new thread.
    fn enter_and<T: Send>(&self, open: impl FnOnce() -> Result<T> + Send) -> Result<T> {
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

    /// Is the current thread in this namespace?
    fn is_current(&self) -> bool {
        let inode = |file: &File| file.metadata().map(|at| (at.dev(), at.ino()));
        let current = File::open(CURRENT).and_then(|file| inode(&file));
        matches!((inode(&self.file), current), (Ok(named), Ok(current)) if named == current)
    }

    fn enter(&self) -> Result<()> {
        setns(self.file.as_fd(), CloneFlags::CLONE_NEWNET).map_err(|errno| {
            let name = &self.name;
            let doing = match errno {
                Errno::EPERM => format!(
                    "entering the network namespace {name}: CAP_SYS_ADMIN is needed, in the user \
                     namespace that owns it and in the caller's own"
                ),
                Errno::EINVAL => format!("{name} is not a network namespace"),
                _ => format!("entering the network namespace {name}"),
            };
            Error::io(doing, errno.into())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_is_one_of_ip_netns() {
        let path = |path: &str| match NetworkNamespace::from(path).0 {
            Source::Path(path) => path.display().to_string(),
            Source::Fd(_) => unreachable!("a path"),
        };
        assert_eq!(path("blue"), "/run/netns/blue");
        assert_eq!(path("./blue"), "./blue");
        assert_eq!(path("/blue"), "/blue");
        assert_eq!(path("/proc/1/ns/net"), "/proc/1/ns/net");
    }

    #[test]
    fn what_is_no_namespace_is_told_by_its_name() {
        const OTHER: &str = "/proc/self/ns/uts";
        let error = Namespace::open(OTHER.into()).unwrap_err();
        // Without the right, container engines forbid the call itself.
        let file = File::open(OTHER).unwrap();
        let words = match setns(file, CloneFlags::CLONE_NEWNET) {
            Err(Errno::EPERM) => format!("entering the network namespace {OTHER}: CAP_SYS_ADMIN"),
            refused => {
                assert_eq!(refused, Err(Errno::EINVAL));
                format!("{OTHER} is not a network namespace")
            }
        };
        let said = error.to_string();
        assert!(said.contains(&words), "{said}");
    }

    #[test]
    fn a_socket_tells_its_namespace() {
        let (namespace, _socket) = Namespace::current().unwrap();
        assert!(namespace.socket().is_ok());
        let [one, other] = [(), ()].map(|()| Identity::of_new_socket().unwrap().0);
        assert_eq!(one, other);
    }
}
