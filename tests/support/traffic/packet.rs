//! The bytes of packets.

use std::net::{IpAddr, SocketAddr};

/// IP protocol number of GRE.
pub const GRE: u8 = 47;
/// IP protocol number of OSPF, which conntrack does not know.
pub const OSPF: u8 = 89;
/// IP protocol number of SCTP.
pub const SCTP: u8 = 132;
/// IP protocol number of UDP-Lite.
pub const UDPLITE: u8 = 136;

/// An IP packet. Both addresses must be of one family.
pub fn ip(protocol: u8, src: IpAddr, dst: IpAddr, payload: &[u8]) -> Vec<u8> {
    let length = payload.len() as u16;
    let mut bytes = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            // The kernel fills in the length, the identification and the checksum.
            let fixed = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
            [fixed.as_slice(), &src.octets(), &dst.octets()].concat()
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let [high, low] = length.to_be_bytes();
            let fixed = [0x60, 0, 0, 0, high, low, protocol, 64];
            [fixed.as_slice(), &src.octets(), &dst.octets()].concat()
        }
        _ => panic!("{src} and {dst} are of different families"),
    };
    bytes.extend_from_slice(payload);
    bytes
}

/// An echo request. The kernel fills in the checksum of ICMPv6.
pub fn echo_request(v6: bool, id: u16) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    let mut bytes = vec![if v6 { 128 } else { 8 }, 0, 0, 0, high, low, 0, 1];
    bytes.extend_from_slice(b"are you there?");
    if !v6 {
        let checksum = internet_checksum(&bytes);
        bytes[2..4].copy_from_slice(&checksum.to_be_bytes());
    }
    bytes
}

/// GRE version 0 without a key.
pub fn gre() -> Vec<u8> {
    vec![0x00, 0x00, 0x88, 0x0b, 0, 0]
}

/// GRE version 1 (PPTP) with a call id, which is the key of the flow.
pub fn gre_pptp(key: u16) -> Vec<u8> {
    let [high, low] = key.to_be_bytes();
    vec![
        0x20, 0x01, 0x88, 0x0b, 0, 4, high, low, 0, 0, 0, 0, 0, 0, 0, 0,
    ]
}

/// An SCTP INIT; the replies to it carry `tag`.
pub fn sctp_init(source_port: u16, destination_port: u16, tag: u32) -> Vec<u8> {
    let mut bytes = [source_port.to_be_bytes(), destination_port.to_be_bytes()].concat();
    bytes.extend_from_slice(&[0; 8]); // verification tag (0 in an INIT), checksum
    bytes.extend_from_slice(&[1, 0, 0, 20]);
    bytes.extend_from_slice(&tag.to_be_bytes());
    bytes.extend_from_slice(&0xffff_u32.to_be_bytes()); // receive window
    bytes.extend_from_slice(&[0, 1, 0, 1]); // streams out and in
    bytes.extend_from_slice(&1_u32.to_be_bytes()); // first transmission number
    let checksum = crc32c(&bytes);
    bytes[8..12].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// A UDP-Lite datagram whose checksum covers all of it.
pub fn udplite(source: SocketAddr, destination: SocketAddr, data: &[u8]) -> Vec<u8> {
    let mut bytes = [
        source.port().to_be_bytes(),
        destination.port().to_be_bytes(),
        [0; 2],
        [0; 2],
    ]
    .concat();
    bytes.extend_from_slice(data);
    let mut summed = [octets(source.ip()), octets(destination.ip())].concat();
    summed.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    summed.extend_from_slice(&[0, 0, 0, UDPLITE]);
    summed.extend_from_slice(&bytes);
    // 0 would mean that there is no checksum.
    let checksum = match internet_checksum(&summed) {
        0 => u16::MAX,
        checksum => checksum,
    };
    bytes[6..8].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

fn internet_checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !(((sum & 0xffff) + (sum >> 16)) as u16)
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                (crc >> 1) ^ 0x82f6_3b78
            } else {
                crc >> 1
            };
        }
    }
    !crc
}
