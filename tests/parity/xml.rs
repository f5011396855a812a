//! Parses the part of XML that conntrack(8) writes: elements, attributes, text.

/// An element with its content.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
    pub children: Vec<Element>,
    pub text: String,
}

impl Element {
    /// Reads a document: a prologue and one element. Panics on anything else.
    pub fn read(document: &str) -> Self {
        let mut reader = Reader(document);
        reader.until("<?xml");
        reader.until("?>");
        let element = reader.element();
        assert_eq!(reader.0.trim(), "", "after the last element");
        element
    }

    /// The value of an attribute.
    #[track_caller]
    pub fn attribute(&self, name: &str) -> &str {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map_or_else(|| panic!("no {name} in {self:?}"), |(_, value)| value)
    }

    /// The text, parsed as a value.
    #[track_caller]
    pub fn value<T: std::str::FromStr>(&self) -> T {
        let value = self.text.parse().ok();
        value.unwrap_or_else(|| panic!("{:?} in <{}>", self.text, self.name))
    }
}

/// The rest of the document.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    fn element(&mut self) -> Element {
        self.until("<");
        let tag = self.until(">");
        let (tag, empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut element = Element {
            name: name.to_owned(),
            attributes: read_attributes(attributes),
            ..Element::default()
        };
        if !empty {
            self.content(&mut element);
        }
        assert!(!element.text.contains('&'), "entities: {element:?}");
        element
    }

    /// Reads the content between the tags.
    fn content(&mut self, element: &mut Element) {
        loop {
            element.text.push_str(self.up_to("<").trim());
            if self.0.starts_with("</") {
                break;
            }
            element.children.push(self.element());
        }
        self.until("</");
        assert_eq!(self.until(">"), element.name, "the end of an element");
    }

    /// Returns the text before `mark`, and skips `mark`.
    fn until(&mut self, mark: &str) -> &'a str {
        let before = self.up_to(mark);
        self.0 = &self.0[mark.len()..];
        before
    }

    fn up_to(&mut self, mark: &str) -> &'a str {
        let at = self.0.find(mark);
        let at = at.unwrap_or_else(|| panic!("no {mark:?} in {:?}", self.0));
        let (before, after) = self.0.split_at(at);
        self.0 = after;
        before
    }
}

fn read_attributes(text: &str) -> Vec<(String, String)> {
    let mut reader = Reader(text);
    let mut attributes = Vec::new();
    while !reader.0.trim().is_empty() {
        let name = reader.until("=\"").trim().to_owned();
        attributes.push((name, reader.until("\"").to_owned()));
    }
    attributes
}
