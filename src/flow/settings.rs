//! The list of attributes that can be set in a flow. The setters of a patch, a new flow and an
//! update are generated from it.

/// Passes the list to a macro.
macro_rules! settings {
    ($then:ident! { $($first:tt)* }) => {
        $then! {
            $($first)*
            /// Sets the helper. An empty name removes it; it cannot be set again later. `CTA_HELP`.
            /// Linux 7.3 and later cannot remove a helper.
            helper, get_helper: Box<str>;
            /// Sets the time left, `-t`; fractions of a second are rounded up. `CTA_TIMEOUT`. The
            /// kernel limits it to 2³¹ ticks (99 days at 250 Hz). The next packet of the flow
            /// resets it, unless [`FIXED_TIMEOUT`](crate::Status::FIXED_TIMEOUT) is set.
            timeout, get_timeout: std::time::Duration as "crate::flow::text::seconds";
            /// Adds status bits, `-u`. The kernel cannot clear any. `CTA_STATUS`. The bits that can
            /// be added are [`SEEN_REPLY`](crate::Status::SEEN_REPLY),
            /// [`ASSURED`](crate::Status::ASSURED), [`FIXED_TIMEOUT`](crate::Status::FIXED_TIMEOUT)
            /// and [`HELPER`](crate::Status::HELPER).
            status, get_status: crate::flow::Status;
            /// Sets the state of the flow's protocol. `CTA_PROTOINFO`.
            protoinfo, get_protoinfo: crate::flow::ProtoInfo;
            /// Sets the mark, `-m VALUE/MASK`; bits outside the mask keep their value. `CTA_MARK`,
            /// `CTA_MARK_MASK` (Linux 3.5).
            mark, get_mark: crate::flow::Masked<u32>;
            /// Sets how sequence numbers of the original direction are shifted.
            /// `CTA_SEQ_ADJ_ORIG`.
            seqadj_orig, get_seqadj_orig: crate::flow::SeqAdj;
            /// Sets how sequence numbers of the reply direction are shifted.
            /// `CTA_SEQ_ADJ_REPLY`.
            seqadj_reply, get_seqadj_reply: crate::flow::SeqAdj;
            /// Sets the SYN proxy's numbers. `CTA_SYNPROXY` (Linux 4.18).
            synproxy, get_synproxy: crate::flow::SynProxy;
            /// Sets the labels, `--label-add` `--label-del`; those outside the mask keep their
            /// value. `CTA_LABELS`, `CTA_LABELS_MASK` (Linux 3.9). If no rule of the namespace uses
            /// labels when a flow is created, the kernel silently leaves them out.
            labels, get_labels: crate::flow::Masked<crate::flow::Labels>;
        }
    };
}

/// The setters of a type, whose `settings_mut` returns the [`Patch`](super::Patch) to change.
macro_rules! setters {
    (
        $type:ident;
        $(#[$state_meta:meta])* tcp_state = $state:expr;
        $($(#[$meta:meta])* $field:ident, $get:ident: $ty:ty $(as $with:literal)?;)+
    ) => {
        impl $type {
            $(
                $(#[$meta])*
                pub fn $field(mut self, value: impl Into<$ty>) -> Self {
                    self.settings_mut().$field = Some(value.into());
                    self
                }
            )+

            $(#[$state_meta])*
            pub fn tcp_state(self, state: $crate::flow::TcpState) -> Self {
                self.protoinfo($state(state))
            }

            /// Sets these labels and leaves the others, `--label-add`.
            pub fn add_labels(mut self, labels: $crate::flow::Labels) -> Self {
                self.settings_mut().change_labels(labels, labels);
                self
            }

            /// Clears these labels and leaves the others, `--label-del`.
            pub fn remove_labels(mut self, labels: $crate::flow::Labels) -> Self {
                self.settings_mut().change_labels($crate::flow::Labels::EMPTY, labels);
                self
            }
        }
    };
}

/// The getters of a type, whose `settings` returns the [`Patch`](super::Patch).
macro_rules! getters {
    (
        $type:ident;
        $($(#[$meta:meta])* $field:ident, $get:ident: $ty:ty $(as $with:literal)?;)+
    ) => {
        impl $type {
            $(
                #[doc = concat!("What [`", stringify!($field), "`](Self::", stringify!($field), ") has set.")]
                pub fn $get(&self) -> Option<&$ty> {
                    self.settings().$field.as_ref()
                }
            )+
        }
    };
}

/// The struct with all of them.
macro_rules! settings_struct {
    (
        $(#[$struct_meta:meta])* $name:ident;
        $($(#[$meta:meta])* $field:ident, $get:ident: $ty:ty $(as $with:literal)?;)+
    ) => {
        $(#[$struct_meta])*
        pub struct $name {
            $(pub(crate) $field: Option<$ty>,)+
        }

        impl $name {
            /// Returns `true` if there is nothing to change.
            pub fn is_empty(&self) -> bool {
                $(self.$field.is_none())&&+
            }
        }
    };
}
