//! `-h` and `-V`.

use super::protocol;

pub(crate) const VERSION: &str = "conntrack v1.4.7 (conntrack-tools)";

/// The options of most protocols.
const PORTS: &str = "  --orig-port-src\t\toriginal source port
  --orig-port-dst\t\toriginal destination port
  --reply-port-src\t\treply source port
  --reply-port-dst\t\treply destination port
  --mask-port-src\t\tmask source port
  --mask-port-dst\t\tmask destination port
  --tuple-port-src\t\texpectation tuple src port
  --tuple-port-src\t\texpectation tuple dst port
";

/// The help of the program, and of a protocol if one is named.
pub(crate) fn text(protocol: Option<u8>) -> String {
    let mut text = include_str!("help.txt").to_owned();
    let Some(number) = protocol else {
        return text;
    };
    let name = protocol::name(number);
    text += &format!("Proto `{name}' help:\n");
    text += &match number {
        6 => format!("{PORTS}  --state\t\t\tTCP state, fe. ESTABLISHED\n"),
        17 | 136 => PORTS.to_owned(),
        132 => format!(
            "{PORTS}  --state\t\t\tSCTP state, fe. ESTABLISHED\n  --orig-vtag\t\toriginal \
             verification tag\n  --reply-vtag\t\treply verification tag\n"
        ),
        33 => format!("{PORTS}  --state\t\t\tDCCP state, fe. RESPOND\n"),
        47 => PORTS
            .replace("-port-", "-key-")
            .replace(" port\n", " key\n"),
        1 | 58 => ["type", "code", "id"]
            .map(|what| format!("  --{name}-{what}\t\t\t{name} {what}\n"))
            .concat(),
        _ => "  no options (unsupported)\n".to_owned(),
    };
    text
}
