//! The kernel's numbers under the kernel's names.
//!
//! From `linux/netlink.h`, `linux/netfilter/nfnetlink.h`, `nfnetlink_conntrack.h` and
//! `nf_conntrack_common.h`. Defined here because installed headers lag behind the running kernel.

/// Declares numbers of one type, a line each.
macro_rules! numbers {
    ($ty:ty: $($name:ident = $value:expr),+ $(,)?) => {
        $(pub(crate) const $name: $ty = $value;)+
    };
}

numbers! { isize: NETLINK_NETFILTER = 12 }

// Control messages, below the first message type of any subsystem.
numbers! { u16:
    NLMSG_NOOP = 1, NLMSG_ERROR = 2, NLMSG_DONE = 3, NLMSG_MIN_TYPE = 0x10,
}

// Flags of nlmsghdr.
numbers! { u16:
    NLM_F_REQUEST = 0x1, NLM_F_MULTI = 0x2, NLM_F_ACK = 0x4,
    NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400, NLM_F_DUMP = 0x300,
    NLM_F_CAPPED = 0x100, NLM_F_ACK_TLVS = 0x200,
}

// TLVs behind an ACK or an error.
numbers! { u16: NLMSGERR_ATTR_MSG = 1 }

// Flags in an attribute's type.
numbers! { u16: NLA_F_NESTED = 0x8000, NLA_TYPE_MASK = 0x3fff }

numbers! { u8: AF_UNSPEC = 0, AF_INET = 2, AF_INET6 = 10 }

numbers! { u8: NFNETLINK_V0 = 0, NFNETLINK_V1 = 1 }

// Messages of NFNL_SUBSYS_CTNETLINK: subsystem << 8 | message.
numbers! { u16:
    IPCTNL_MSG_CT_NEW = 0x0100, IPCTNL_MSG_CT_GET = 0x0101, IPCTNL_MSG_CT_DELETE = 0x0102,
    IPCTNL_MSG_CT_GET_CTRZERO = 0x0103, IPCTNL_MSG_CT_GET_STATS = 0x0105,
    IPCTNL_MSG_CT_GET_DYING = 0x0106, IPCTNL_MSG_CT_GET_UNCONFIRMED = 0x0107,
}

// Messages of NFNL_SUBSYS_CTNETLINK_EXP.
numbers! { u16:
    IPCTNL_MSG_EXP_NEW = 0x0200, IPCTNL_MSG_EXP_DELETE = 0x0202,
}

// Attributes of a flow.
numbers! { u16:
    CTA_TUPLE_ORIG = 1, CTA_TUPLE_REPLY = 2, CTA_STATUS = 3, CTA_PROTOINFO = 4, CTA_HELP = 5,
    CTA_NAT_SRC = 6, CTA_TIMEOUT = 7, CTA_MARK = 8, CTA_COUNTERS_ORIG = 9,
    CTA_COUNTERS_REPLY = 10, CTA_USE = 11, CTA_ID = 12, CTA_NAT_DST = 13, CTA_TUPLE_MASTER = 14,
    CTA_SEQ_ADJ_ORIG = 15, CTA_SEQ_ADJ_REPLY = 16, CTA_ZONE = 18, CTA_SECCTX = 19,
    CTA_TIMESTAMP = 20, CTA_MARK_MASK = 21, CTA_LABELS = 22, CTA_LABELS_MASK = 23,
    CTA_SYNPROXY = 24, CTA_FILTER = 25, CTA_STATUS_MASK = 26, CTA_TIMESTAMP_EVENT = 27,
}

numbers! { u16: CTA_FILTER_ORIG_FLAGS = 1, CTA_FILTER_REPLY_FLAGS = 2 }

// The fields of a tuple that a filter compares: from nf_internals.h, for no header exports them.
numbers! { u32:
    CTA_FILTER_F_CTA_IP_SRC = 1 << 0, CTA_FILTER_F_CTA_IP_DST = 1 << 1,
    CTA_FILTER_F_CTA_PROTO_NUM = 1 << 3,
    CTA_FILTER_F_CTA_PROTO_SRC_PORT = 1 << 4, CTA_FILTER_F_CTA_PROTO_DST_PORT = 1 << 5,
    CTA_FILTER_F_CTA_PROTO_ICMP_TYPE = 1 << 6, CTA_FILTER_F_CTA_PROTO_ICMP_CODE = 1 << 7,
    CTA_FILTER_F_CTA_PROTO_ICMP_ID = 1 << 8, CTA_FILTER_F_CTA_PROTO_ICMPV6_TYPE = 1 << 9,
    CTA_FILTER_F_CTA_PROTO_ICMPV6_CODE = 1 << 10, CTA_FILTER_F_CTA_PROTO_ICMPV6_ID = 1 << 11,
}

numbers! { u16: CTA_TUPLE_IP = 1, CTA_TUPLE_PROTO = 2, CTA_TUPLE_ZONE = 3 }
numbers! { u16: CTA_IP_V4_SRC = 1, CTA_IP_V4_DST = 2, CTA_IP_V6_SRC = 3, CTA_IP_V6_DST = 4 }
numbers! { u16:
    CTA_PROTO_NUM = 1, CTA_PROTO_SRC_PORT = 2, CTA_PROTO_DST_PORT = 3,
    CTA_PROTO_ICMP_ID = 4, CTA_PROTO_ICMP_TYPE = 5, CTA_PROTO_ICMP_CODE = 6,
    CTA_PROTO_ICMPV6_ID = 7, CTA_PROTO_ICMPV6_TYPE = 8, CTA_PROTO_ICMPV6_CODE = 9,
}
numbers! { u16: CTA_PROTOINFO_TCP = 1, CTA_PROTOINFO_DCCP = 2, CTA_PROTOINFO_SCTP = 3 }
numbers! { u16:
    CTA_PROTOINFO_TCP_STATE = 1, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL = 2,
    CTA_PROTOINFO_TCP_WSCALE_REPLY = 3, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL = 4,
    CTA_PROTOINFO_TCP_FLAGS_REPLY = 5,
}
numbers! { u16:
    CTA_PROTOINFO_DCCP_STATE = 1, CTA_PROTOINFO_DCCP_ROLE = 2,
    CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ = 3,
}
numbers! { u16:
    CTA_PROTOINFO_SCTP_STATE = 1, CTA_PROTOINFO_SCTP_VTAG_ORIGINAL = 2,
    CTA_PROTOINFO_SCTP_VTAG_REPLY = 3,
}
numbers! { u16: CTA_COUNTERS_PACKETS = 1, CTA_COUNTERS_BYTES = 2 }
numbers! { u16: CTA_TIMESTAMP_START = 1, CTA_TIMESTAMP_STOP = 2 }
numbers! { u16: CTA_NAT_V4_MINIP = 1, CTA_NAT_V4_MAXIP = 2, CTA_NAT_PROTO = 3, CTA_NAT_V6_MINIP = 4, CTA_NAT_V6_MAXIP = 5 }
numbers! { u16: CTA_PROTONAT_PORT_MIN = 1, CTA_PROTONAT_PORT_MAX = 2 }
numbers! { u16:
    CTA_SEQADJ_CORRECTION_POS = 1, CTA_SEQADJ_OFFSET_BEFORE = 2, CTA_SEQADJ_OFFSET_AFTER = 3,
}
numbers! { u16: CTA_SYNPROXY_ISN = 1, CTA_SYNPROXY_ITS = 2, CTA_SYNPROXY_TSOFF = 3 }
numbers! { u16: CTA_HELP_NAME = 1, CTA_HELP_INFO = 2 }
numbers! { u16: CTA_SECCTX_NAME = 1 }

// Attributes of an expectation.
numbers! { u16:
    CTA_EXPECT_MASTER = 1, CTA_EXPECT_TUPLE = 2, CTA_EXPECT_MASK = 3, CTA_EXPECT_TIMEOUT = 4,
    CTA_EXPECT_ID = 5, CTA_EXPECT_HELP_NAME = 6, CTA_EXPECT_ZONE = 7, CTA_EXPECT_FLAGS = 8,
    CTA_EXPECT_CLASS = 9, CTA_EXPECT_NAT = 10, CTA_EXPECT_FN = 11,
}
numbers! { u16: CTA_EXPECT_NAT_DIR = 1, CTA_EXPECT_NAT_TUPLE = 2 }

numbers! { u8:
    IPPROTO_ICMP = 1, IPPROTO_TCP = 6, IPPROTO_UDP = 17, IPPROTO_DCCP = 33, IPPROTO_GRE = 47,
    IPPROTO_ICMPV6 = 58, IPPROTO_SCTP = 132, IPPROTO_UDPLITE = 136,
}

// Socket options and groups beside those that netlink-sys and nix name.
numbers! { i32: SO_NETNS_COOKIE = 71 }
numbers! { u32: NFNLGRP_ACCT_QUOTA = 8 }

// Errno values that a ctnetlink answer can carry.
numbers! { i32:
    EPERM = 1, ENOENT = 2, ENOMEM = 12, EBUSY = 16, EEXIST = 17, EINVAL = 22,
    ENOSPC = 28, ERANGE = 34, ETIME = 62, EMSGSIZE = 90, EPROTONOSUPPORT = 93,
    EOPNOTSUPP = 95, EAFNOSUPPORT = 97, ENOBUFS = 105, EACCES = 13,
}
