//! All names of OpenTelemetry that are used: those of the semantic conventions if they exist,
//! otherwise names below `conntrack.`. The conventions will change, and then only this file has to.

/// Attributes of this program, in each request.
pub const SERVICE_NAME: &str = "service.name";
pub const SERVICE_VERSION: &str = "service.version";
pub const HOST_NAME: &str = "host.name";

/// Names of log records.
pub const END: &str = "conntrack.flow.end";
pub const BEGIN: &str = "conntrack.flow.begin";
pub const CHANGE: &str = "conntrack.flow.change";
pub const OVERRUN: &str = "conntrack.overrun";

/// The id of a record. It is the same if the record is sent twice.
pub const UID: &str = "log.record.uid";
/// The original direction.
pub const SOURCE: Ends = Ends {
    address: "source.address",
    port: "source.port",
};
pub const DESTINATION: Ends = Ends {
    address: "destination.address",
    port: "destination.port",
};
/// `ipv4` or `ipv6`.
pub const TYPE: &str = "network.type";
pub const TRANSPORT: &str = "network.transport";
pub const STATE: &str = "network.connection.state";

pub const REPLY_SOURCE: Ends = Ends {
    address: "conntrack.reply.source.address",
    port: "conntrack.reply.source.port",
};
pub const REPLY_DESTINATION: Ends = Ends {
    address: "conntrack.reply.destination.address",
    port: "conntrack.reply.destination.port",
};
pub const MASTER_SOURCE: Ends = Ends {
    address: "conntrack.master.source.address",
    port: "conntrack.master.source.port",
};
pub const MASTER_DESTINATION: Ends = Ends {
    address: "conntrack.master.destination.address",
    port: "conntrack.master.destination.port",
};
pub const ID: &str = "conntrack.id";
pub const ZONE: &str = "conntrack.zone";
pub const MARK: &str = "conntrack.mark";
/// The numbers of the labels that are set.
pub const LABELS: &str = "conntrack.labels";
/// The kernel's names of the bits.
pub const STATUS: &str = "conntrack.status";
pub const HELPER: &str = "conntrack.helper";
pub const SECCTX: &str = "conntrack.secctx";
pub const ICMP_TYPE: &str = "conntrack.icmp.type";
pub const ICMP_CODE: &str = "conntrack.icmp.code";
pub const ICMP_ID: &str = "conntrack.icmp.id";
pub const ORIG_PACKETS: &str = "conntrack.orig.packets";
pub const ORIG_BYTES: &str = "conntrack.orig.bytes";
pub const REPLY_PACKETS: &str = "conntrack.reply.packets";
pub const REPLY_BYTES: &str = "conntrack.reply.bytes";
/// In nanoseconds since 1970.
pub const START: &str = "conntrack.start";
pub const STOP: &str = "conntrack.stop";
/// How the exporter knows that the flow ended.
pub const CAUSE: &str = "conntrack.end.cause";
/// Why there is a gap, how much was lost if that is known, and since when.
pub const REASON: &str = "conntrack.overrun.reason";
pub const LOST: &str = "conntrack.overrun.lost";
pub const SINCE: &str = "conntrack.overrun.since";

/// The two names of one end of a flow.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    pub address: &'static str,
    pub port: &'static str,
}

/// The name of a TCP state in the conventions, or the kernel's name in lower case.
pub fn tcp_state(word: &str) -> String {
    match word {
        "SYN_RECV" => "syn_received".into(),
        "CLOSE" => "closed".into(),
        word => word.to_lowercase(),
    }
}

/// The name on the metrics page, the OpenTelemetry name, and the unit.
pub const METRICS: &[(&str, &str, &str)] = &[
    ("conntrack_entries", "conntrack.entry.count", "{entry}"),
    (
        "conntrack_entries_limit",
        "conntrack.entry.limit",
        "{entry}",
    ),
    ("conntrack_stat_searched", "conntrack.stat.searched", "1"),
    ("conntrack_stat_found", "conntrack.stat.found", "1"),
    ("conntrack_stat_new", "conntrack.stat.new", "1"),
    ("conntrack_stat_invalid", "conntrack.stat.invalid", "1"),
    ("conntrack_stat_ignore", "conntrack.stat.ignore", "1"),
    ("conntrack_stat_delete", "conntrack.stat.delete", "1"),
    (
        "conntrack_stat_delete_list",
        "conntrack.stat.delete_list",
        "1",
    ),
    ("conntrack_stat_insert", "conntrack.stat.insert", "1"),
    (
        "conntrack_stat_insert_failed",
        "conntrack.stat.insert_failed",
        "1",
    ),
    ("conntrack_stat_drop", "conntrack.stat.drop", "1"),
    (
        "conntrack_stat_early_drop",
        "conntrack.stat.early_drop",
        "1",
    ),
    ("conntrack_stat_error", "conntrack.stat.error", "1"),
    (
        "conntrack_stat_search_restart",
        "conntrack.stat.search_restart",
        "1",
    ),
    (
        "conntrack_stat_clash_resolve",
        "conntrack.stat.clash_resolve",
        "1",
    ),
    (
        "conntrack_stat_chain_toolong",
        "conntrack.stat.chain_toolong",
        "1",
    ),
    ("conntrack_expect_new", "conntrack.expectation.new", "1"),
    (
        "conntrack_expect_create",
        "conntrack.expectation.create",
        "1",
    ),
    (
        "conntrack_expect_delete",
        "conntrack.expectation.delete",
        "1",
    ),
    ("conntrack_flows", "conntrack.flow.count", "{flow}"),
    (
        "conntrack_flows_removed",
        "conntrack.flow.removed",
        "{flow}",
    ),
    ("conntrack_top_flows", "conntrack.flow.top", "{flow}"),
    ("conntrack_events", "conntrack.event.count", "{event}"),
    ("conntrack_events_lost", "conntrack.event.lost", "{event}"),
    ("conntrack_overruns", "conntrack.event.overruns", "{gap}"),
    (
        "conntrack_mirror_entries",
        "conntrack.mirror.entries",
        "{flow}",
    ),
    ("conntrack_mirror_synced", "conntrack.mirror.synced", "1"),
    ("conntrack_resyncs", "conntrack.mirror.resyncs", "{list}"),
    (
        "conntrack_sync_failures",
        "conntrack.mirror.sync_failures",
        "{list}",
    ),
    (
        "conntrack_sync_duration_seconds",
        "conntrack.mirror.sync_duration",
        "s",
    ),
    (
        "conntrack_receive_queue_bytes",
        "conntrack.receive_queue.size",
        "By",
    ),
    (
        "conntrack_receive_queue_limit_bytes",
        "conntrack.receive_queue.limit",
        "By",
    ),
    ("conntrack_nats_connected", "conntrack.nats.connected", "1"),
    ("conntrack_nats_acked", "conntrack.nats.acked", "{message}"),
    (
        "conntrack_nats_acked_bytes",
        "conntrack.nats.acked_bytes",
        "By",
    ),
    (
        "conntrack_nats_duplicates",
        "conntrack.nats.duplicates",
        "{message}",
    ),
    (
        "conntrack_nats_resent",
        "conntrack.nats.resent",
        "{message}",
    ),
    ("conntrack_nats_lost", "conntrack.nats.lost", "{message}"),
    (
        "conntrack_nats_spool_memory_bytes",
        "conntrack.nats.spool.memory",
        "By",
    ),
    (
        "conntrack_nats_spool_disk_bytes",
        "conntrack.nats.spool.disk",
        "By",
    ),
    ("conntrack_otlp_sent", "conntrack.otlp.sent", "{record}"),
    (
        "conntrack_otlp_sent_bytes",
        "conntrack.otlp.sent_bytes",
        "By",
    ),
    (
        "conntrack_otlp_retries",
        "conntrack.otlp.retries",
        "{request}",
    ),
    (
        "conntrack_otlp_refused",
        "conntrack.otlp.refused",
        "{record}",
    ),
    ("conntrack_otlp_lost", "conntrack.otlp.lost", "{record}"),
    (
        "conntrack_otlp_waiting",
        "conntrack.otlp.waiting",
        "{record}",
    ),
];

/// A label on the metrics page, and the attribute here.
pub const LABEL_NAMES: &[(&str, &str)] = &[
    ("family", TYPE),
    ("protocol", TRANSPORT),
    ("state", STATE),
    ("cpu", "cpu.logical_number"),
    ("type", "conntrack.event.type"),
    ("cause", CAUSE),
    ("by", "conntrack.top.by"),
    ("value", "conntrack.top.value"),
];
