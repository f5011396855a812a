//! A single change of a bulk request.

use std::fmt;

use crate::flow::{FlowKey, NewFlow, Patch};

/// One change of a bulk request: see [`ConntrackHandle::bulk`](crate::ConntrackHandle::bulk).
///
/// `Display` prints what it does, and the tuple of its flow.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Change {
    /// Creates a flow, as [`create`](crate::ConntrackHandle::create) does.
    Create(NewFlow),
    /// Changes a flow, as [`update`](crate::ConntrackHandle::update) does.
    Update(FlowKey, Patch),
    /// Deletes a flow, as [`delete`](crate::ConntrackHandle::delete) does.
    Delete(FlowKey),
}

impl Change {
    /// Creates a flow: from a [`NewFlow`], or from a [`&Flow`](crate::Flow).
    pub fn create(flow: impl Into<NewFlow>) -> Self {
        Self::Create(flow.into())
    }

    /// Changes the flow of a key: a [`&Flow`](crate::Flow), a [`Tuple`](crate::Tuple) or a
    /// [`FlowKey`].
    pub fn update(key: impl Into<FlowKey>, patch: Patch) -> Self {
        Self::Update(key.into(), patch)
    }

    /// Deletes the flow of a key: a [`&Flow`](crate::Flow), a [`Tuple`](crate::Tuple) or a
    /// [`FlowKey`].
    pub fn delete(key: impl Into<FlowKey>) -> Self {
        Self::Delete(key.into())
    }

    /// The key of the flow.
    pub fn key(&self) -> FlowKey {
        match self {
            Self::Create(flow) => FlowKey::from(flow),
            Self::Update(key, _) | Self::Delete(key) => *key,
        }
    }
}

/// `delete src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=443`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self {
            Self::Create(_) => "create",
            Self::Update(..) => "update",
            Self::Delete(_) => "delete",
        };
        write!(f, "{verb} {}", self.key().tuple())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Flow, Tuple};

    #[test]
    fn from_a_flow() {
        let end = |port| ([10, 0, 0, 1], port).into();
        let tuple = Tuple::udp(end(1), end(2)).expect("a tuple");
        let flow = Flow::new(tuple, tuple.inverse());
        assert_eq!(Change::delete(&flow), Change::Delete((&flow).into()));
        assert_eq!(Change::create(&flow), Change::Create((&flow).into()));
        let patch = Patch::new().mark(1);
        let update = Change::update(&flow, patch.clone());
        assert_eq!(update, Change::Update((&flow).into(), patch));
        assert_eq!(
            update.to_string(),
            "update src=10.0.0.1 dst=10.0.0.1 sport=1 dport=2"
        );
    }
}
