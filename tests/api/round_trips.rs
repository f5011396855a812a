//! Round trips of every noun: `Display` and `FromStr`, and serde. Unknown keys are refused.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use ctnetlink::{DccpState, Protocol, SctpState, TcpState};
use proptest::prelude::*;

use super::arbitrary::*;
use super::*;

type Checked = Result<(), TestCaseError>;

fn read_again<T>(value: &T) -> Checked
where
    T: Display + FromStr<Err = Error> + PartialEq + Debug,
{
    let text = value.to_string();
    let read = text.parse::<T>().ok();
    prop_assert_eq!(read.as_ref(), Some(value), "{}", text);
    Ok(())
}

proptest! {
    #[test]
    fn small_nouns_as_text(
        zone in zone(), status in status(), labels in labels(), ports in ports(), number: u8,
    ) {
        read_again(&zone)?;
        read_again(&status)?;
        read_again(&labels)?;
        read_again(&ports)?;
        read_again(&Protocol::from(number))?;
        read_again(&TcpState::from(number))?;
        read_again(&SctpState::from(number))?;
        read_again(&DccpState::from(number))?;
    }

    #[test]
    fn masked_bits_as_text(
        mark in masked(any::<u32>()), status in masked(status()), labels in masked(labels()),
    ) {
        read_again(&mark)?;
        read_again(&status)?;
        read_again(&labels)?;
    }

    /// A line shows port 0 if a tuple has no ports. The tuple that is read names the same flow.
    #[test]
    fn a_tuple_as_text(tuple in tuple()) {
        let text = format!("{} {tuple}", tuple.protocol());
        let read: Tuple = text.parse().unwrap();
        prop_assert_eq!(read.to_string(), tuple.to_string());
        prop_assert_eq!((read.src(), read.dst()), (tuple.src(), tuple.dst()));
        prop_assert_eq!(read.protocol(), tuple.protocol());
        if tuple.src_port().is_some() || tuple.icmp_echo().is_some() {
            prop_assert_eq!(read, tuple);
        }
        let key = FlowKey::orig(tuple).to_string();
        prop_assert_eq!(key, text);
    }

    /// The lines are not too long for a log, and not empty.
    #[test]
    fn what_is_sent_has_a_line(filter in filter(), flow in new_flow(), patch in patch(), change in change()) {
        for line in [filter.to_string(), flow.to_string(), patch.to_string(), change.to_string()] {
            prop_assert!(!line.is_empty() && !line.contains('\n') && line == line.trim());
        }
    }

    #[test]
    fn any_text_is_read_or_refused_by_name(text in "(?s).{0,40}") {
        fn refused<T: FromStr<Err = Error>>(text: &str) -> Checked {
            if let Err(error) = text.parse::<T>() {
                prop_assert_eq!(error.kind(), ErrorKind::InvalidInput);
            }
            Ok(())
        }
        refused::<Tuple>(&text)?;
        refused::<ctnetlink::Zone>(&text)?;
        refused::<ctnetlink::Family>(&text)?;
        refused::<Status>(&text)?;
        refused::<Labels>(&text)?;
        refused::<Ports>(&text)?;
        refused::<Protocol>(&text)?;
        refused::<TcpState>(&text)?;
        refused::<Masked<u32>>(&text)?;
        refused::<Masked<Status>>(&text)?;
        refused::<Masked<Labels>>(&text)?;
        refused::<ctnetlink::PrefixSet>(&text)?;
    }
}

#[cfg(feature = "serde")]
mod serde {
    use ::serde::Serialize;
    use ::serde::de::DeserializeOwned;
    use serde_json::Value;

    use super::*;

    /// The same value with an additional key, once in each of its objects.
    fn with_a_key(value: &Value) -> Vec<Value> {
        let mut all = Vec::new();
        match value {
            Value::Object(keys) => {
                let mut more = keys.clone();
                more.insert("tiemout".into(), 1.into());
                all.push(more.into());
                for (key, inner) in keys {
                    for inner in with_a_key(inner) {
                        let mut keys = keys.clone();
                        keys.insert(key.clone(), inner);
                        all.push(keys.into());
                    }
                }
            }
            Value::Array(items) => {
                for (at, inner) in items.iter().enumerate() {
                    for inner in with_a_key(inner) {
                        let mut items = items.clone();
                        items[at] = inner;
                        all.push(items.into());
                    }
                }
            }
            _ => {}
        }
        all
    }

    fn kept<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: T) -> Checked {
        let text = serde_json::to_string(&value).unwrap();
        let read = serde_json::from_str::<T>(&text).ok();
        prop_assert_eq!(read.as_ref(), Some(&value), "{}", text);
        let bytes = postcard::to_allocvec(&value).unwrap();
        let read = postcard::from_bytes::<T>(&bytes);
        prop_assert_eq!(read.ok(), Some(value), "{}: {:02x?}", text, bytes);
        // Absent fields have no key.
        prop_assert!(!text.contains(":null"), "{}", text);
        for more in with_a_key(&serde_json::from_str(&text).unwrap()) {
            let read = serde_json::from_value::<T>(more.clone());
            prop_assert!(read.is_err(), "{}", more);
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn flows(flow in flow()) {
            kept(FlowKey::from(&flow))?;
            kept(flow)?;
        }

        #[test]
        fn what_is_sent(key in key(), patch in patch(), flow in new_flow(), change in change()) {
            kept(key)?;
            kept(patch)?;
            kept(flow)?;
            kept(change)?;
        }

        #[test]
        fn filters(filter in filter()) {
            kept(filter)?;
        }

        #[test]
        fn parts(
            nat in nat(), ports in ports(), prefixes in prefixes(), zone in zone(), status in status(),
            labels in labels(), mark in masked(any::<u32>()), bits in masked(labels()), tuple in tuple(),
        ) {
            kept(nat)?;
            kept(ports)?;
            kept(prefixes)?;
            kept(zone)?;
            kept(status)?;
            kept(labels)?;
            kept(mark)?;
            kept(bits)?;
            kept(tuple)?;
            kept(TupleMask::exact(&tuple))?;
        }

        #[test]
        fn expectations(new in new_expectation()) {
            kept(ExpectationKey::from(&new))?;
            kept(new)?;
        }

        #[test]
        fn events(
            flow in flow(), new in new_expectation(), ids in any::<[Option<u32>; 2]>(), lost: u64,
            kinds in 0..32u32,
        ) {
            let [port_id, nsid] = ids;
            kept(Event::New { flow: flow.clone(), port_id, nsid })?;
            kept(Event::Update { flow: flow.clone(), port_id, nsid })?;
            kept(Event::Destroy { flow, port_id, nsid })?;
            let mask = TupleMask::exact(new.tuple());
            let mut expectation = Expectation::new(*new.master().tuple(), *new.tuple(), mask);
            (expectation.class, expectation.zone) = (3, Some(0));
            kept(Event::ExpectNew { expectation: expectation.clone(), port_id, nsid })?;
            kept(Event::ExpectDestroy { expectation, port_id, nsid })?;
            kept(Event::Overrun { lost })?;
            kept(EventKinds::from_bits_retain(kinds))?;
        }

        #[test]
        fn what_the_machine_says(
            facts in any::<[Option<bool>; 4]>(), numbers in any::<[Option<u64>; 2]>(), max: u32, cpu: u16,
        ) {
            use ctnetlink::{Facts, MirrorStats};
            let mut some = Facts::default();
            kept(some.clone())?;
            [some.allowed, some.ctnetlink, some.labels, some.tcp_loose] = facts;
            [some.rmem_max, some.buckets] = numbers;
            some.stats = facts[0].map(|_| TableStats::new(max / 2, max));
            some.release = (6, cpu);
            kept(some.clone())?;
            kept(Preflight::new(some))?;
            kept(TableStats::new(max, max))?;
            kept(EventStats::default())?;
            kept(MirrorStats::default())?;
            let mut counters = TableCounters::default();
            counters.drop = Some(max);
            kept(CpuStats::new(cpu, counters))?;
            kept(CpuStats::total(&[CpuStats::new(cpu, counters)]))?;
            let mut counters = ExpectationCounters::default();
            counters.create = numbers[0].map(|_| max);
            kept(CpuStats::new(cpu, counters))?;
            kept(CpuStats::total(&[CpuStats::new(cpu, counters)]))?;
        }

        #[test]
        fn policies(seconds in 0..4_000_000u64, number: u8, max: u32, name in "[a-z]{1,15}") {
            use ctnetlink::{ExpectationPolicy, Family, TcpTimeouts};
            let time = std::time::Duration::from_secs(seconds);
            let tcp = TcpTimeouts::new().close(time).syn_sent2(time);
            kept(TimeoutPolicy::new(&*name, Family::Ipv6, tcp))?;
            kept(Timeouts::unset(number.into()))?;
            let policy = ExpectationPolicy::new(&*name, max, time);
            kept(UserHelper::new(&*name, Family::Ipv4, number, [policy]))?;
            kept(UserHelperKey::new(&*name, Family::Ipv4, number))?;
        }
    }
}
