//! A small Rust parser that finds paths and rows.

/// The words and marks of a source text, without comments, strings, characters and lifetimes;
/// `::` and `=>` are one mark each.
pub(crate) fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = |end: Option<usize>| end.unwrap_or(rest.len());
        let len = if rest.starts_with("//") {
            end(rest.find('\n'))
        } else if rest.starts_with("/*") {
            end(rest.find("*/").map(|at| at + 2))
        } else if let Some(len) = raw_string(rest) {
            len
        } else if first == '"' {
            1 + quoted(&rest[1..], '"')
        } else if first == '\'' {
            character_or_lifetime(rest)
        } else if first.is_alphanumeric() || first == '_' {
            let word = |char: char| char.is_alphanumeric() || char == '_';
            let len = end(rest.find(|char| !word(char)));
            found.push(rest[..len].to_owned());
            len
        } else {
            let len = match rest.get(..2) {
                Some("::" | "=>") => 2,
                _ => first.len_utf8(),
            };
            if !first.is_whitespace() {
                found.push(rest[..len].to_owned());
            }
            len
        };
        rest = &rest[len..];
    }
    found
}

/// The length of `r"…"` or `r#"…"#`, with or without a `b` before it.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix("br").or(text.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let start = body[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = start.find(&close)? + close.len();
    Some(text.len() - start.len() + end)
}

/// The length of a quoted text, with its closing quote.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if char == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn character_or_lifetime(text: &str) -> usize {
    let mut chars = text[1..].chars();
    match (chars.next(), chars.next()) {
        (Some('\\'), _) => 1 + quoted(&text[1..], '\''),
        (Some(char), Some('\'')) => 2 + char.len_utf8(),
        _ => 1,
    }
}

/// The root's names in the paths of a file, after `crate::` or enough `super::`. `module` is the
/// path of the file's module.
pub(crate) fn top_level_paths(tokens: &[String], module: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    // The depth in braces at which each surrounding inline module began.
    let mut inline = Vec::new();
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        let before = |back: usize| at.checked_sub(back).map(|at| tokens[at].as_str());
        match token.as_str() {
            "{" => {
                depth += 1;
                if before(2) == Some("mod") {
                    inline.push(depth);
                }
            }
            "}" => {
                if inline.last() == Some(&depth) {
                    inline.pop();
                }
                depth -= 1;
            }
            "crate" if tokens.get(at + 1).is_some_and(|next| next == "::") => {
                found.extend(first_names(&tokens[at + 2..]));
            }
            "super" if before(1) != Some("::") => {
                let path = &tokens[at..];
                let supers = path.chunks(2).take_while(|pair| *pair == ["super", "::"]);
                let supers = supers.count();
                if supers == module.len() + inline.len() {
                    found.extend(first_names(&path[2 * supers..]));
                }
            }
            _ => {}
        }
    }
    found
}

/// The first name of a path, or of each path of a group.
fn first_names(path: &[String]) -> Vec<String> {
    if path.first().is_none_or(|token| token != "{") {
        return path.first().cloned().into_iter().collect();
    }
    let mut names = Vec::new();
    let mut depth = 0;
    let mut fresh = false;
    for token in path {
        match token.as_str() {
            "{" => {
                depth += 1;
                fresh = depth == 1;
            }
            "}" if depth == 1 => break,
            "}" => depth -= 1,
            "," => fresh = depth == 1,
            name => {
                if fresh {
                    names.push(name.to_owned());
                }
                fresh = false;
            }
        }
    }
    names
}

/// The attributes that have a row in an `attributes!` of the text.
pub(crate) fn rows(tokens: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = tokens;
    while let Some(at) = rest.windows(3).position(|w| w == ["attributes", "!", "{"]) {
        rest = &rest[at + 3..];
        let mut depth = 1;
        let inside = rest.iter().take_while(|token| {
            match token.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            depth > 0
        });
        let len = inside.count();
        found.extend(
            rest[..len]
                .windows(2)
                .filter(|pair| {
                    pair[0].starts_with("CTA_") && ["=>", "["].contains(&pair[1].as_str())
                })
                .map(|pair| pair[0].clone()),
        );
        rest = &rest[len..];
    }
    found
}
