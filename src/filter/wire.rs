//! The part of a filter that goes into a request, as attributes.

use super::kernel::RequestFilter;
use super::tuple::Side;
use crate::flow::Flow;
use crate::wire::attr::Writer;
use crate::wire::uapi::*;

impl RequestFilter {
    /// Writes it for a flush, with an empty `CTA_FILTER`. Kernels that would ignore a condition in
    /// a flush refuse a request with this attribute.
    pub(crate) fn write_guarded(&self, w: &mut Writer<'_>) {
        self.write(w);
        w.nest(CTA_FILTER, |_| {});
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        // Always write value and mask: before 5.8, the kernel ignores a mark without a mask.
        if let Some(mark) = self.mark {
            Flow::mark.put_masked(&mark.value(), &mark.mask(), w);
        }
        if let Some(status) = self.status {
            Flow::status.put_masked(&status.value(), &status.mask(), w);
        }
        Flow::zone.put_some(self.zone.as_ref(), w);
        let sides = [
            (&self.orig, CTA_FILTER_ORIG_FLAGS, CTA_TUPLE_ORIG),
            (&self.reply, CTA_FILTER_REPLY_FLAGS, CTA_TUPLE_REPLY),
        ];
        let sides = || sides.iter().filter(|(side, ..)| **side != Side::default());
        if sides().next().is_none() {
            return;
        }
        w.nest(CTA_FILTER, |w| {
            for (side, flags, _) in sides() {
                // The only number in the byte order of the machine.
                w.put(*flags, &side.flags().to_ne_bytes());
            }
        });
        for (side, _, tuple) in sides() {
            w.nest(*tuple, |w| side.write(w));
        }
    }
}
