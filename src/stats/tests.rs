use super::*;

fn drops(counts: [u32; 2]) -> [CpuStats; 2] {
    let mut cpu = 0;
    counts.map(|drop| {
        let counters = TableCounters {
            drop: Some(drop),
            ..TableCounters::default()
        };
        cpu += 1;
        CpuStats::new(cpu, counters)
    })
}

#[test]
fn sums_are_of_the_counters_that_are_there() {
    let totals = CpuStats::total(&drops([u32::MAX, 2]));
    assert_eq!(totals.drop, Some(u64::from(u32::MAX) + 2));
    assert_eq!(totals.found, None);
    assert_eq!(
        CpuStats::<TableCounters>::total(&[]),
        TableTotals::default()
    );
}

#[test]
fn a_meter_goes_on_where_a_counter_wraps() {
    let mut meter = StatsMeter::new();
    let first = u64::from(u32::MAX) + 7;
    assert_eq!(meter.update(&drops([u32::MAX, 7])).drop, Some(first));
    assert_eq!(meter.update(&drops([4, 7])).drop, Some(first + 5));
    assert_eq!(
        meter.update(&drops([4, 6])).drop,
        Some(first + 5 + u64::from(u32::MAX))
    );
    // A CPU that is missing in one sample, and comes back.
    assert_eq!(
        meter.update(&drops([5, 6])[..1]).drop,
        Some(first + 6 + u64::from(u32::MAX))
    );
    assert_eq!(
        meter.update(&drops([5, 8])).drop,
        Some(first + 8 + u64::from(u32::MAX))
    );
    assert_eq!(meter.totals().drop, Some(first + 8 + u64::from(u32::MAX)));
    assert_eq!(meter.totals().found, None);
}

#[cfg(target_endian = "little")]
mod golden {
    use super::*;
    use crate::wire::golden::{assert_bytes, bytes, reply};
    use crate::wire::message::Request;
    use crate::wire::uapi::*;

    // From Linux 6.18, the second CPU of two.
    const CPU: &str = "64000000 0401 0200 14000000 564e0000  00 00 0001
        0800 0200 00000000  0800 0400 00000000  0800 0800 00000008  0800 0900 00000000
        0800 0a00 00000000  0800 0b00 00000000  0800 0c00 00000000  0800 0d00 00000000
        0800 0e00 00000000  0800 0f00 00000000";
    const EXPECTATIONS: &str = "2c000000 0301 0200 13000000 564e0000  00 00 0001
        0800 0100 00000000  0800 0200 00000006  0800 0300 00000000";
    const TABLE: &str = "24000000 0501 0200 15000000 564e0000  00 00 0000
        0800 0100 00000008  0800 0200 00040000";

    fn decoded<C: CpuCounters>(text: &str) -> CpuStats<C> {
        let message = bytes(text);
        let frame = Frame::first(&message).unwrap().unwrap();
        CpuStats::decode(&frame).unwrap()
    }

    #[test]
    fn of_a_cpu() {
        let stats: CpuStats = decoded(CPU);
        let expected = TableCounters {
            found: Some(0),
            invalid: Some(0),
            insert: Some(8),
            insert_failed: Some(0),
            drop: Some(0),
            early_drop: Some(0),
            error: Some(0),
            search_restart: Some(0),
            clash_resolve: Some(0),
            chain_toolong: Some(0),
            ..TableCounters::default()
        };
        assert_eq!(stats, CpuStats::new(1, expected));
        let again = Request::new(IPCTNL_MSG_CT_GET_STATS_CPU, 0, 0)
            .with(|w| stats.counters.write(&Context::default(), w))
            .finish(1);
        assert_eq!(again[20..], bytes(CPU)[20..]);
    }

    /// The kernel sends them with the message type of another subsystem.
    #[test]
    fn of_expectations() {
        let stats: CpuStats<ExpectationCounters> = decoded(EXPECTATIONS);
        let expected = ExpectationCounters {
            new: Some(0),
            create: Some(6),
            delete: Some(0),
        };
        assert_eq!(stats, CpuStats::new(1, expected));
        assert_eq!(bytes(EXPECTATIONS)[4..6], [3, 1]);
    }

    #[test]
    fn of_the_table() {
        let stats = TableStats::from_message(&bytes(TABLE)).unwrap();
        assert_eq!((stats.entries, stats.max), (8, Some(262_144)));
        let old = TableStats { max: None, ..stats };
        let mut bytes = Vec::new();
        old.write(
            &Context::default(),
            &mut crate::wire::attr::Writer(&mut bytes),
        );
        assert_bytes(&bytes, "0800 0100 00000008");
        assert!(TableStats::from_message(&reply("ack")).is_err());
    }
}
