//! The text of a connlabel.conf.

use ctnetlink::{LabelMap, Labels};

pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let map = LabelMap::parse(text);
    for bit in 0..128 {
        let Some(name) = map.name(bit) else {
            continue;
        };
        let label = Labels::bit(bit).expect("a label");
        assert_eq!(map.bit(name), Some(bit), "{name:?}");
        assert_eq!(map.labels([name]).ok(), Some(label), "{name:?}");
        assert!(map.names(label).eq([name]), "{name:?}");
    }
    // Labels, status bits and tuples are parsed from any text.
    let _ = (
        text.parse::<Labels>(),
        text.parse::<ctnetlink::Status>(),
        text.parse::<ctnetlink::Ports>(),
        text.parse::<ctnetlink::PrefixSet>(),
    );
    if let Ok(tuple) = text.parse::<ctnetlink::Tuple>() {
        let text = format!("{} {tuple}", tuple.protocol());
        assert_eq!(text.parse().ok(), Some(tuple), "{text}");
    }
}
