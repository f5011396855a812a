//! The mask of an expectation.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::Result;
use crate::flow::{Family, Tuple};
use crate::wire::attr::{DecodeError, Writer};
use crate::wire::table::{Codec, Context};

/// The bits of an expected tuple that are compared. Only bits of the source can be left out; the
/// destination and the protocol are always compared in full. `CTA_EXPECT_MASK`.
///
/// It has the form of a tuple, with ones for the bits that are compared.
///
/// ```
/// # use ctnetlink::{Tuple, TupleMask};
/// let data = Tuple::tcp("192.0.2.2:0".parse().unwrap(), "192.0.2.1:10000".parse().unwrap())?;
/// let mask = TupleMask::any_src_port(&data);
/// assert_eq!(mask.src(), "255.255.255.255".parse::<std::net::IpAddr>().unwrap());
/// assert_eq!((mask.src_port(), mask.dst_port()), (Some(0), Some(65535)));
/// # Ok::<(), ctnetlink::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(transparent))]
pub struct TupleMask(Tuple);

impl TupleMask {
    /// Compares these bits of the source address and of the source port. For a protocol without
    /// ports, only the address counts.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if `src` is not of the tuple's family.
    pub fn new(tuple: &Tuple, src: IpAddr, src_port: u16) -> Result<Self> {
        let dst = ones(tuple.family());
        tuple.same_form(src, dst, src_port, u16::MAX).map(Self)
    }

    /// Compares every bit: one source address, and one source port.
    pub fn exact(tuple: &Tuple) -> Self {
        Self::of_any_family(tuple, u16::MAX)
    }

    /// Compares the source address, and allows any source port, as most helpers do.
    pub fn any_src_port(tuple: &Tuple) -> Self {
        Self::of_any_family(tuple, 0)
    }

    fn of_any_family(tuple: &Tuple, src_port: u16) -> Self {
        let src = ones(tuple.family());
        // Both addresses are of the tuple's family.
        Self::new(tuple, src, src_port).unwrap_or(Self(*tuple))
    }

    /// The bits of the source address that are compared.
    pub fn src(&self) -> IpAddr {
        self.0.src()
    }

    /// The bits of the destination address that are compared; the kernel always reports all.
    pub fn dst(&self) -> IpAddr {
        self.0.dst()
    }

    /// The bits of the source port that are compared, if the protocol has ports (for ICMP, the id).
    pub fn src_port(&self) -> Option<u16> {
        let id = self.0.icmp_echo().map(|echo| echo.id());
        self.0.src_port().or(id)
    }

    /// The bits of the destination port that are compared, if the protocol has ports; the kernel
    /// always reports all.
    pub fn dst_port(&self) -> Option<u16> {
        self.0.dst_port()
    }

    /// The mask in the form of a tuple.
    pub(crate) fn as_tuple(&self) -> &Tuple {
        &self.0
    }

    /// Are the two tuples equal, in the bits of the mask (nf_ct_tuple_mask_cmp)?
    pub(super) fn equates(&self, one: &Tuple, other: &Tuple) -> bool {
        let port = |tuple: &Tuple| {
            let id = tuple.icmp_echo().map(|echo| echo.id());
            tuple.src_port().or(id).unwrap_or_default()
        };
        let kind = |tuple: &Tuple| tuple.icmp_echo().map(|echo| (echo.kind(), echo.code()));
        let address = (bits(one.src()) ^ bits(other.src())) & bits(self.src());
        let ports = (port(one) ^ port(other)) & self.src_port().unwrap_or_default();
        one.family() == other.family()
            && one.protocol() == other.protocol()
            && address == 0
            && ports == 0
            && one.dst() == other.dst()
            && one.dst_port() == other.dst_port()
            && kind(one) == kind(other)
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

fn ones(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::BROADCAST.into(),
        Family::Ipv6 => Ipv6Addr::from(u128::MAX).into(),
    }
}

impl Codec for TupleMask {
    fn decode(payload: &[u8], cx: &mut Context) -> Result<Self, DecodeError> {
        Tuple::decode(payload, cx).map(Self)
    }

    fn encode(&self, kind: u16, cx: &Context, w: &mut Writer<'_>) {
        self.0.encode(kind, cx, w);
    }
}

plain!(TupleMask: Self(Tuple::BLANK));

impl fmt::Debug for TupleMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
