//! The files of a run: their layouts as they come to be, and which targets an operation touches.

use tarazu_layout::{Bytes, Component, JobId, Layout, MdtId, Pattern, TargetId, Time};
use tarazu_workload::File;

use crate::scenario::Striping;
use crate::system::System;

/// A file during a run.
#[derive(Clone, Debug)]
pub(crate) struct FileState {
    /// The layout; components without targets are not allocated yet.
    pub(crate) layout: Layout<TargetId>,
    /// The metadata target that holds it.
    pub(super) mdt: MdtId,
    /// Its highest byte written so far, plus one, and how many of its bytes take space.
    pub(super) size: u64,
    pub(super) charged: u64,
    /// When its create is through; nobody opens it before.
    pub(super) made_at: Time,
    /// Whether the file exists by now.
    pub(super) exists: bool,
    /// The component whose targets a policy chose, if one did.
    pub(super) steered: Option<usize>,
    /// The job whose ledger entry is open for it.
    pub(super) placed_by: Option<JobId>,
    /// Ranks that have it open.
    pub(super) open: u32,
    /// Bytes written in this run.
    pub(super) written: u64,
    /// What the controller was told that it would hold, for steered files.
    pub(super) expected: Bytes,
}

/// The bytes of one operation on one target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) target: TargetId,
    pub(super) bytes: u64,
    pub(super) steered: bool,
}

impl FileState {
    /// The file before the run: its striping without targets. Rules that look at the whole workload have been
    /// laid on it already ([`Striping::lay_out`]) and count as recorded.
    pub(crate) fn new(file: &File, system: &System, striping: Striping) -> Self {
        let logged = file.logged.as_ref().filter(|layout| layout.check().is_ok());
        let layout = match (striping, logged) {
            (Striping::Count(count), _) => Layout::plain(count, system.default_stripe_size),
            (_, Some(logged)) => logged.shape(),
            (_, None) => Layout::plain(system.default_stripe_count, system.default_stripe_size),
        };
        Self {
            layout,
            mdt: MdtId(0),
            size: 0,
            charged: 0,
            made_at: Time::ZERO,
            exists: false,
            steered: None,
            placed_by: None,
            open: 0,
            written: 0,
            expected: Bytes::ZERO,
        }
    }

    /// Writes a range. Returns how many of its bytes take new space: what is written again takes none.
    pub(super) fn grow(&mut self, start: u64, end: u64) -> u64 {
        self.size = self.size.max(end);
        let growth = (end - start).min(self.size - self.charged);
        self.charged += growth;
        growth
    }

    /// Components that `[start, end)` touches and that need targets first.
    pub(super) fn missing(&self, start: u64, end: u64) -> impl Iterator<Item = usize> + '_ {
        self.layout.components.iter().enumerate().filter_map(move |(number, component)| {
            let needed = component.pattern != Pattern::Mdt
                && !component.is_allocated()
                && component.extent.clip(start, end).is_some();
            needed.then_some(number)
        })
    }

    /// Targets of all components but one.
    pub(super) fn siblings(&self, component: usize) -> Vec<TargetId> {
        let others = self.layout.components.iter().enumerate().filter(|(number, _)| *number != component);
        others.flat_map(|(_, other)| other.stripes.iter().copied()).collect()
    }

    /// Gives a component its targets; their number becomes its stripe count.
    pub(super) fn allocate(&mut self, component: usize, targets: Vec<TargetId>) {
        let place = &mut self.layout.components[component];
        place.stripe_count = targets.len() as u32;
        place.stripes = targets;
    }

    /// The bytes of `[start, end)` on each target. Ranges without targets (data on the metadata
    /// target, holes) take no time on any.
    pub(super) fn pieces(&self, start: u64, end: u64, out: &mut Vec<Piece>) {
        out.clear();
        for (number, component) in self.layout.components.iter().enumerate() {
            if component.is_allocated() {
                let steered = self.steered == Some(number);
                out.extend(split(component, start, end).map(|(target, bytes)| Piece {
                    target,
                    bytes,
                    steered,
                }));
            }
        }
    }
}

fn split(
    component: &Component<TargetId>,
    start: u64,
    end: u64,
) -> impl Iterator<Item = (TargetId, u64)> + '_ {
    component.split(start, end).map(|part| (component.stripes[part.stripe as usize], part.bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tarazu_layout::Extent;

    fn pfl_file() -> FileState {
        let mut logged: Layout = Layout::plain(1, 1 << 20);
        logged.components[0].extent = Extent { start: 0, end: Some(1 << 20) };
        let mut rest = Layout::plain(2, 1 << 20).components.remove(0);
        rest.extent = Extent { start: 1 << 20, end: None };
        logged.components.push(rest);
        let file = File { name: "a".into(), exists: false, logged: Some(logged) };
        FileState::new(&file, &System::bundled().expect("bundled"), Striping::AsLogged)
    }

    #[test]
    fn components_are_allocated_when_they_are_touched() {
        let mut file = pfl_file();
        assert_eq!(file.missing(0, 1 << 20).collect::<Vec<_>>(), [0]);
        assert_eq!(file.missing(0, (1 << 20) + 1).collect::<Vec<_>>(), [0, 1]);
        file.allocate(0, vec![TargetId(7)]);
        assert_eq!(file.missing(0, 1 << 20).count(), 0);
        assert_eq!(file.siblings(1), [TargetId(7)]);
    }

    #[test]
    fn what_is_written_again_takes_no_space() {
        let mut file = pfl_file();
        assert_eq!(file.grow(0, 100), 100);
        assert_eq!(file.grow(0, 100), 0);
        // A strided writer fills its holes later.
        assert_eq!(file.grow(300, 400), 100);
        assert_eq!(file.grow(100, 200), 100);
        assert_eq!(file.grow(200, 300), 100);
        assert_eq!(file.grow(50, 150), 0);
    }

    #[test]
    fn pieces_cover_what_has_targets() {
        let mut file = pfl_file();
        let mut pieces = Vec::new();
        file.allocate(1, vec![TargetId(3), TargetId(4)]);
        file.steered = Some(1);
        file.pieces(0, 3 << 20, &mut pieces);
        let half = |target| Piece { target: TargetId(target), bytes: 1 << 20, steered: true };
        assert_eq!(pieces, [half(3), half(4)]);
    }

    #[test]
    fn a_forced_count_replaces_the_logged_one() {
        let file = pfl_file();
        assert_eq!(file.layout.components.len(), 2);
        let plain = File { name: "a".into(), exists: false, logged: None };
        let system = System::bundled().expect("bundled");
        let forced = FileState::new(&plain, &system, Striping::Count(4));
        assert_eq!(forced.layout, Layout::plain(4, 4 << 20));
        assert_eq!(FileState::new(&plain, &system, Striping::AsLogged).layout, Layout::plain(1, 4 << 20));
    }
}
