//! An expectation in the XML of conntrack(8).

use ctnetlink::Expectation;

use crate::xml::Element;

/// The content of the XML element of an expectation's event.
pub(super) fn children(of: &Expectation) -> Vec<Element> {
    let Expectation {
        tuple,
        mask,
        master,
        ..
    } = of;
    let layer3 = [
        ("expected", [tuple.src(), tuple.dst()]),
        ("mask", [mask.src(), mask.dst()]),
        ("master", [master.src(), master.dst()]),
    ];
    let layer3 = layer3.map(|(of, [src, dst])| node(of, leaves([("src", src), ("dst", dst)])));
    let layer4 = [
        ("expected", [tuple.src_port(), tuple.dst_port()]),
        ("mask", [mask.src_port(), mask.dst_port()]),
        ("master", [master.src_port(), master.dst_port()]),
    ];
    let layer4 = layer4.map(|(of, ports)| {
        let [src, dst] = ports.map(|port| port.expect("a port"));
        node(of, leaves([("sport", src), ("dport", dst)]))
    });
    let timeout = of.timeout.expect("a timeout").as_secs();
    let meta = [
        ("helper-name", of.helper.as_deref().expect("a helper")),
        ("timeout", &timeout.to_string()),
        ("class", &of.class.to_string()),
    ];
    vec![
        named("2", "ipv4", node("layer3", layer3.into())),
        named("6", "tcp", node("layer4", layer4.into())),
        node("meta", leaves(meta)),
    ]
}

fn named(number: &str, name: &str, element: Element) -> Element {
    let attributes = [("protonum", number), ("protoname", name)];
    Element {
        attributes: attributes
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ..element
    }
}

fn node(name: &str, children: Vec<Element>) -> Element {
    Element {
        name: name.to_owned(),
        children,
        ..Element::default()
    }
}

fn leaves<const N: usize, T: ToString>(of: [(&str, T); N]) -> Vec<Element> {
    let leaves = of.map(|(name, value)| Element {
        text: value.to_string(),
        ..node(name, Vec::new())
    });
    leaves.into()
}
