use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

use super::super::patience;
use super::unspecified;

/// Both ends of a TCP connection. In the table it is ESTABLISHED and ASSURED.
pub struct TcpPair {
    /// The end that connected.
    pub client: TcpStream,
    /// The end that accepted.
    pub server: TcpStream,
    /// The source of the original direction.
    pub source: SocketAddr,
    /// The destination of the original direction: the address that the client connected to.
    pub destination: SocketAddr,
}

impl TcpPair {
    /// Listens on `server` (port 0: any) and connects to it.
    pub async fn connect(server: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(server)?;
        let dialled = listener.local_addr()?;
        Self::through(listener, None, dialled).await
    }

    /// Connects from `source` (or any) to `dialled`, which NAT or a route leads to `listener`. That may be in another
    /// namespace.
    pub async fn through(
        listener: std::net::TcpListener,
        source: Option<SocketAddr>,
        dialled: SocketAddr,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let socket = if dialled.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        socket.set_reuseaddr(true)?;
        socket.bind(source.unwrap_or_else(|| unspecified(dialled)))?;
        let both = async { tokio::try_join!(socket.connect(dialled), listener.accept()) };
        let (client, (server, _)) = timeout(patience::answer(), both).await??;
        let (source, destination) = (client.local_addr()?, client.peer_addr()?);
        let mut pair = Self {
            client,
            server,
            source,
            destination,
        };
        pair.exchange().await?;
        Ok(pair)
    }

    /// Sends a few bytes each way.
    pub async fn exchange(&mut self) -> io::Result<()> {
        let exchange = async {
            pass(&mut self.client, &mut self.server).await?;
            pass(&mut self.server, &mut self.client).await
        };
        timeout(patience::answer(), exchange).await?
    }

    /// Closes both ends, the client first: the flow is then in TIME_WAIT.
    pub async fn close(mut self) -> io::Result<()> {
        let close = async {
            self.client.shutdown().await?;
            self.server.read_to_end(&mut Vec::new()).await?;
            self.server.shutdown().await?;
            self.client.read_to_end(&mut Vec::new()).await?;
            Ok(())
        };
        timeout(patience::answer(), close).await?
    }
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream) -> io::Result<()> {
    from.write_all(b"data").await?;
    to.read_exact(&mut [0; 4]).await.map(drop)
}
