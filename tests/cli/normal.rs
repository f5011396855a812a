//! Normalizes output that differs between two runs: the order of flows, ids, and times.

use crate::run::Shown;

/// The output in a form that is equal if the programs do the same.
pub fn normal(shown: &Shown) -> Shown {
    let mut lines: Vec<_> = shown.stdout.lines().map(line).collect();
    // The lines of a document or of help keep their order.
    if lines
        .iter()
        .any(|line| line.contains("src=") || line.contains(" -s ") || line.contains("<flow"))
    {
        lines.sort();
    }
    Shown {
        stdout: lines.join("\n"),
        stderr: shown.stderr.clone(),
        code: shown.code,
    }
}

/// A line, with letters in place of the values that change.
pub fn line(text: &str) -> String {
    let mut text = text.to_owned();
    for tag in [
        "timeout",
        "id",
        "deltatime",
        "start",
        "stop",
        "hour",
        "min",
        "sec",
    ] {
        let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
        if let Some((head, rest)) = text.split_once(&open) {
            if let Some((_, tail)) = rest.split_once(&close) {
                text = format!("{head}{open}N{close}{tail}");
            }
        }
    }
    // The current time at the beginning.
    if let Some((head, rest)) = text.split_once("]\t") {
        if head
            .strip_prefix('[')
            .is_some_and(|it| it.split_once('.').is_some())
        {
            text = format!("[T]\t{rest}");
        }
    }
    for (open, close) in [("[start=", "]"), ("[stop=", "]")] {
        if let Some((head, rest)) = text.split_once(open) {
            if let Some((_, tail)) = rest.split_once(close) {
                text = format!("{head}{open}T{close}{tail}");
            }
        }
    }
    let mut before = "";
    let mut seen_src = false;
    let words: Vec<_> = text
        .split(' ')
        .map(|word| {
            let numeric = word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_digit());
            seen_src |= word.starts_with("src=");
            let normal = match word {
                // The timeout is the last number before the addresses.
                _ if numeric && !seen_src && before.parse::<u8>().is_ok() => "T".to_owned(),
                _ if numeric && before == "-t" => "T".to_owned(),
                _ if numeric && text.contains("proto=") && before.is_empty() => "T".to_owned(),
                _ if word.starts_with("delta-time=") => "delta-time=N".to_owned(),
                _ if word.starts_with("portid=") => "portid=N".to_owned(),
                _ if word.starts_with("progname=") => String::new(),
                _ if word.starts_with("id=") && before.starts_with("use=") => "id=N".to_owned(),
                _ if word.starts_with("id=") && before.starts_with("mark=") => "id=N".to_owned(),
                _ => word.to_owned(),
            };
            if !word.is_empty() {
                before = word;
            }
            normal
        })
        .collect();
    words.join(" ").trim_end().to_owned()
}
