use std::io;
use std::net::{SocketAddr, UdpSocket};

use super::super::patience;
use super::unspecified;

/// A UDP client and its server. Nothing is sent before [`UdpPair::send`].
pub struct UdpPair {
    /// The socket that sends first, connected to `destination`.
    pub client: UdpSocket,
    /// The socket that answers.
    pub server: UdpSocket,
    /// The source of the original direction.
    pub source: SocketAddr,
    /// The destination of the original direction.
    pub destination: SocketAddr,
    /// The client as the server sees it.
    seen: Option<SocketAddr>,
}

impl UdpPair {
    /// A server on `server` (port 0: any), and a client for it.
    pub fn new(server: SocketAddr) -> io::Result<Self> {
        let server = UdpSocket::bind(server)?;
        let destination = server.local_addr()?;
        Self::through(server, None, destination)
    }

    /// A client on `source` (or any) that sends to `destination`, which NAT or a route leads to `server`. That may be in
    /// another namespace.
    pub fn through(
        server: UdpSocket,
        source: Option<SocketAddr>,
        destination: SocketAddr,
    ) -> io::Result<Self> {
        let client = client(source, destination)?;
        client.set_read_timeout(Some(patience::answer()))?;
        server.set_read_timeout(Some(patience::answer()))?;
        let source = client.local_addr()?;
        Ok(Self {
            client,
            server,
            source,
            destination,
            seen: None,
        })
    }

    /// Sends a datagram from the client, and returns after it has arrived.
    pub fn send(&mut self) -> io::Result<()> {
        self.client.send(b"question")?;
        let (_, seen) = self.server.recv_from(&mut [0; 64])?;
        self.seen = Some(seen);
        Ok(())
    }

    /// Sends a datagram to the client, and returns after it has arrived. The client must have sent one before.
    pub fn reply(&self) -> io::Result<()> {
        let seen = self.seen.ok_or(io::ErrorKind::NotConnected)?;
        self.server.send_to(b"answer", seen)?;
        self.client.recv(&mut [0; 64]).map(drop)
    }
}

/// Sends one datagram from `source` (or any) to `destination`, where no socket is needed. Returns the source.
pub fn udp(source: Option<SocketAddr>, destination: SocketAddr) -> io::Result<SocketAddr> {
    let client = client(source, destination)?;
    client.send(b"question")?;
    client.local_addr()
}

fn client(source: Option<SocketAddr>, destination: SocketAddr) -> io::Result<UdpSocket> {
    let client = UdpSocket::bind(source.unwrap_or_else(|| unspecified(destination)))?;
    client.connect(destination)?;
    Ok(client)
}
