//! Expectations that helpers create from real traffic, and the expected flows.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use ctnetlink::{ConntrackHandle, Expectation, Status, Tuple};
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::connect;
use crate::support::nft::{self, Port};
use crate::support::patience;
use crate::support::traffic::TcpPair;
use crate::support::visible::visible;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["expected_traffic":
        ftp_active,
        ftp_passive,
        tftp,
        sip,
    ]
}

const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn here(port: u16) -> SocketAddr {
    SocketAddr::new(HOST, port)
}

/// The control connection, with the helper that reads it.
async fn control() -> (TcpPair, Tuple) {
    let listener = TcpListener::bind(here(0)).expect("a server");
    let server = listener.local_addr().expect("its address");
    nft::helper("ftp", Port::Tcp(server.port())).expect("a rule");
    let pair = TcpPair::through(listener, None, server)
        .await
        .expect("a connection");
    let tuple = Tuple::tcp(pair.source, pair.destination).expect("one family");
    (pair, tuple)
}

/// Sends a line in its own packet. The helper ignores everything before the end of the first line.
async fn say(from: &mut TcpStream, to: &mut TcpStream, line: &str) {
    from.write_all(format!("{line}\r\n").as_bytes())
        .await
        .expect("a line");
    let mut heard = vec![0; line.len() + 2];
    to.read_exact(&mut heard).await.expect("the line");
}

/// The address in the form that FTP uses.
fn commas(address: SocketAddr) -> String {
    let port = address.port();
    format!("127,0,0,1,{},{}", port >> 8, port & 0xff)
}

/// Checks an expectation, and the expected flow.
async fn met(handle: &ConntrackHandle, expected: Expectation, flow: Tuple, helper: &str) {
    assert_eq!(expected.helper.as_deref(), Some(helper));
    assert!(expected.expects(&flow), "{expected}, and {flow}");
    let flow = visible(handle, flow).await;
    assert_eq!(flow.master(), Some(&expected.master));
    assert!(flow.status.contains(Status::EXPECTED), "{flow}");
    // It ends when its flow begins, unless it is permanent.
    let left = handle
        .expectations()
        .get(expected.tuple)
        .await
        .expect("an answer");
    assert_eq!(left, None);
}

async fn the_expectation(handle: &ConntrackHandle, tuple: Tuple, master: Tuple) -> Expectation {
    let found = handle.expectations().get(tuple).await.expect("an answer");
    let found = found.unwrap_or_else(|| panic!("{tuple} is not expected"));
    assert_eq!(found.master, master);
    found
}

async fn ftp_active() {
    let handle = connect();
    let (mut pair, control) = control().await;
    let data = TcpListener::bind(here(0)).expect("the client's data port");
    let address = data.local_addr().expect("its address");
    say(&mut pair.client, &mut pair.server, "USER a").await;
    say(&mut pair.server, &mut pair.client, "230 in").await;
    let port = format!("PORT {}", commas(address));
    say(&mut pair.client, &mut pair.server, &port).await;
    let tuple = Tuple::tcp(here(0), address).expect("one family");
    let expected = the_expectation(&handle, tuple, control).await;
    let pair = TcpPair::through(data, None, address)
        .await
        .expect("a data connection");
    let flow = Tuple::tcp(pair.source, pair.destination).expect("one family");
    met(&handle, expected, flow, "ftp").await;
}

async fn ftp_passive() {
    let handle = connect();
    let (mut pair, control) = control().await;
    let data = TcpListener::bind(here(0)).expect("the server's data port");
    let address = data.local_addr().expect("its address");
    say(&mut pair.server, &mut pair.client, "220 hello").await;
    say(&mut pair.client, &mut pair.server, "PASV").await;
    let entering = format!("227 Entering Passive Mode ({})", commas(address));
    say(&mut pair.server, &mut pair.client, &entering).await;
    let tuple = Tuple::tcp(here(0), address).expect("one family");
    let expected = the_expectation(&handle, tuple, control).await;
    let pair = TcpPair::through(data, None, address)
        .await
        .expect("a data connection");
    let flow = Tuple::tcp(pair.source, pair.destination).expect("one family");
    met(&handle, expected, flow, "ftp").await;
}

/// A socket on any port, and its address.
fn socket() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind(here(0)).expect("a socket");
    let patience = Some(patience::answer());
    socket.set_read_timeout(patience).expect("a deadline");
    let address = socket.local_addr().expect("its address");
    (socket, address)
}

/// Sends a datagram, and returns after it has arrived.
fn send(from: &UdpSocket, to: &UdpSocket, address: SocketAddr, bytes: &[u8]) {
    from.send_to(bytes, address).expect("a datagram");
    to.recv(&mut [0; 2048]).expect("the datagram");
}

async fn tftp() {
    let handle = connect();
    let ((client, source), (server, destination)) = (socket(), socket());
    nft::helper("tftp", Port::Udp(destination.port())).expect("a rule");
    send(&client, &server, destination, b"\0\x01file\0octet\0");
    let control = Tuple::udp(source, destination).expect("one family");
    let tuple = Tuple::udp(here(0), source).expect("one family");
    let expected = the_expectation(&handle, tuple, control).await;
    // The server sends the file from another port.
    let (data, from) = socket();
    send(&data, &client, source, b"\0\x03\0\x01text");
    met(
        &handle,
        expected,
        Tuple::udp(from, source).expect("one family"),
        "tftp",
    )
    .await;
}

/// An even port for RTP, with the odd port above it free for RTCP.
fn media() -> (UdpSocket, u16) {
    for port in (40_000..50_000).step_by(2) {
        if let Ok(socket) = UdpSocket::bind(here(port)) {
            let patience = Some(patience::answer());
            socket.set_read_timeout(patience).expect("a deadline");
            return (socket, port);
        }
    }
    panic!("no port is free");
}

fn invite(port: u16, media: u16) -> String {
    let body = format!(
        "v=0\r\no=a 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
         m=audio {media} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
    );
    format!(
        "INVITE sip:b@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1\r\n\
         From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:b@127.0.0.1>\r\nCall-ID: 1@127.0.0.1\r\n\
         CSeq: 1 INVITE\r\nContact: <sip:a@127.0.0.1:{port}>\r\nMax-Forwards: 70\r\n\
         Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn sip() {
    let handle = connect();
    let ((client, source), (server, destination)) = (socket(), socket());
    nft::helper("sip", Port::Udp(destination.port())).expect("a rule");
    let (audio, port) = media();
    let text = invite(source.port(), port);
    send(&client, &server, destination, text.as_bytes());
    let control = Tuple::udp(source, destination).expect("one family");
    let tuple = |port| Tuple::udp(here(0), here(port)).expect("one family");
    let rtcp = the_expectation(&handle, tuple(port + 1), control).await;
    let rtp = the_expectation(&handle, tuple(port), control).await;
    assert_eq!((rtp.class, rtcp.class), (1, 1));
    let (media, from) = socket();
    send(&media, &audio, here(port), b"\x80\0\0\x01");
    met(
        &handle,
        rtp,
        Tuple::udp(from, here(port)).expect("one family"),
        "sip",
    )
    .await;
    // The other expectation is removed together with its master.
    handle.delete(control).await.expect("a delete");
    let left = handle
        .expectations()
        .get(rtcp.tuple)
        .await
        .expect("an answer");
    assert_eq!(left, None);
}
