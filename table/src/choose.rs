//! The whole decision of a client at `open()`, as one function of facts.

use tarazu_layout::TargetId;

use crate::{Cursor, JobEntry, JobName, Order, Place, Published, Reader, Reason, Rung, Tier, offset, rung};

/// Below this confidence an expected size is a guess, and a guess is no reason to overrule the file
/// system.
pub const CONFIDENCE_MIN_PERCENT: u8 = 50;

/// What a process asks about one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Who creates it.
    pub name: JobName,
    /// The process id now; see [`Cursor::next`].
    pub pid: u32,
    /// The striping that the file would inherit and must keep: then only its targets are chosen.
    /// `None` leaves the striping to the table.
    pub keep: Option<Inherited>,
}

/// The striping of the layout that a file would inherit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// Stripes, above 0; more than there are targets means all of them.
    pub stripe_count: u16,
    /// Bytes of one stripe.
    pub stripe_size: u32,
}

/// What a client does with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Place it on the first [`Steer::stripes`] targets of the caller's buffer.
    Steer(Steer),
    /// Leave it to the file system.
    Leave(Reason),
}

/// A layout for one file, but for its targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steer {
    /// The plan that it follows.
    pub order: Order,
    /// Size class, by its place in the table.
    pub class: u8,
    /// Which ring the targets came from.
    pub tier: Tier,
    /// Number of targets: one for each stripe.
    pub stripes: usize,
    /// Of those, how many will hold data: 1 to [`Steer::stripes`].
    pub filled: usize,
    /// Bytes of one stripe.
    pub stripe_size: u32,
    /// Expected bytes of the file.
    pub expected_bytes: u64,
    /// How sure that is, in percent.
    pub confidence_percent: u8,
}

/// Decides about one file. `published` is what the process holds, or why it holds nothing
/// ([`Reason::NoTable`], [`Reason::Refused`]); the targets are written to the front of `out`, which is
/// left in an unspecified state where the file is not steered.
///
/// The cursor moves only for files that are steered. Unknown jobs are left alone: `open()` carries no
/// size, and a layout for the wrong size does harm.
pub fn choose(
    published: Result<&Published<'_>, Reason>,
    reader: &Reader,
    cursor: &Cursor,
    ask: &Ask,
    out: &mut [TargetId],
) -> Choice {
    match steer(published, reader, cursor, ask, out) {
        Ok(steer) => Choice::Steer(steer),
        Err(reason) => Choice::Leave(reason),
    }
}

/// What [`choose`] asks first: whether the table is of use and has an entry that is worth following, and on which rung.
/// It moves no cursor, so a client can ask it before it looks for what is dearer to know, such as [`Ask::keep`].
///
/// # Errors
/// Why such a file is left alone, whatever striping it would have.
pub fn consider(
    published: &Published<'_>,
    reader: &Reader,
    name: &JobName,
) -> Result<(Tier, JobEntry), Reason> {
    let tier = match rung(&published.view(), reader) {
        Rung::Use(tier) => tier,
        Rung::Nothing(reason) => return Err(reason),
    };
    let entry = published.table.lookup(name).ok_or(Reason::UnknownJob)?;
    if entry.confidence_percent < CONFIDENCE_MIN_PERCENT {
        return Err(Reason::LowConfidence);
    }
    if !entry.worthwhile {
        return Err(Reason::NotWorthwhile);
    }
    Ok((tier, entry))
}

fn steer(
    published: Result<&Published<'_>, Reason>,
    reader: &Reader,
    cursor: &Cursor,
    ask: &Ask,
    out: &mut [TargetId],
) -> Result<Steer, Reason> {
    let published = published?;
    let (tier, entry) = consider(published, reader, &ask.name)?;
    let table = &published.table;
    // In a verified table every entry has its class and every class its rings.
    let class = table.class(usize::from(entry.class)).ok_or(Reason::Refused)?;
    let ring = match tier {
        Tier::Now => class.ring_now,
        Tier::Steady => class.ring_steady,
    };
    let ring = table.ring(usize::from(ring)).ok_or(Reason::Refused)?;
    let (stripe_count, stripe_size) = striping(ask.keep, &entry, class.stripe_count, class.stripe_size);
    // More stripes than the file system has targets means all of them; fewer on the ring than that
    // would change the striping, which is not ours to change where it must be kept.
    let wanted = usize::from(stripe_count).min(table.targets());
    if ask.keep.is_some() && wanted > ring.targets() {
        return Err(Reason::TooFewTargets);
    }
    let stripes = wanted.min(ring.targets());
    if stripes == 0 || stripes > out.len() {
        return Err(Reason::NoRoom);
    }
    let filled = filled_stripes(entry.expected_bytes, stripe_size, stripes);
    let slot = ask.name.slot(entry.key);
    let by_hash = offset(entry.key, ring.seed());
    // A place is one on the ring *now*. On the other ring jobs part their ways by hash, and their counts go on.
    let place = entry.place.map(|place| match tier {
        Tier::Now => place,
        Tier::Steady => Place { begin: by_hash as u32, ..place },
    });
    let position = cursor.next(slot, place, by_hash, ask.pid, filled);
    Ok(Steer {
        order: table.order(),
        class: entry.class,
        tier,
        stripes: ring.pick(position, filled, stripes, out),
        filled,
        stripe_size,
        expected_bytes: entry.expected_bytes,
        confidence_percent: entry.confidence_percent,
    })
}

/// Stripes of a file that will hold data: a small file leaves the others empty, and the next file may
/// have their tickets. 1 to `stripes`.
#[must_use]
pub fn filled_stripes(expected_bytes: u64, stripe_size: u32, stripes: usize) -> usize {
    let filled = expected_bytes.div_ceil(u64::from(stripe_size.max(1)));
    usize::try_from(filled).unwrap_or(usize::MAX).clamp(1, stripes.max(1))
}

/// Stripe count and size: what must be kept, else what the job's entry says, else the class's.
fn striping(keep: Option<Inherited>, entry: &JobEntry, class_count: u16, class_size: u32) -> (u16, u32) {
    if let Some(keep) = keep {
        return (keep.stripe_count, keep.stripe_size);
    }
    let count = if entry.stripe_count > 0 { entry.stripe_count } else { class_count };
    let size = if entry.stripe_size > 0 { entry.stripe_size } else { class_size };
    (count, size)
}
