//! A recorded layout in the words of the other rooms.

use tarazu_darshan::{Lustre, LustreComponent, LustreRecord};
use tarazu_layout::{Component, Extent, Layout, OstIndex, Pattern, PoolName};

/// `LOV_PATTERN_MDT` and `LOV_PATTERN_OVERSTRIPING`.
const PATTERN_MDT: i32 = 2;
const PATTERN_OVERSTRIPED: i32 = 4;

/// The layout of a record; `None` where it breaks the rules of layouts (a stripe size of 0, gaps,
/// several mirrors, foreign components).
pub(super) fn layout(lustre: &Lustre, record: &LustreRecord) -> Option<Layout<OstIndex>> {
    let components = lustre.components_of(record).iter().map(|recorded| component(lustre, recorded));
    let layout = Layout { components: components.collect::<Option<Vec<_>>>()? };
    layout.check().is_ok().then_some(layout)
}

fn component(lustre: &Lustre, recorded: &LustreComponent) -> Option<Component> {
    let pattern = match recorded.pattern {
        0 => Pattern::Raid0,
        PATTERN_MDT => Pattern::Mdt,
        PATTERN_OVERSTRIPED => Pattern::Overstriped,
        _ => return None,
    };
    let end = match recorded.ext_end {
        -1 => None,
        end => Some(u64::try_from(end).ok()?),
    };
    let stripes = lustre.stripes_of(recorded).iter();
    Some(Component {
        extent: Extent { start: u64::try_from(recorded.ext_start).ok()?, end },
        stripe_size: u64::try_from(recorded.stripe_size).ok()?,
        stripe_count: u32::try_from(recorded.stripe_count).ok()?,
        pattern,
        pool: PoolName::new(&lustre.pool_of(recorded)),
        stripes: stripes.map(|ost| u32::try_from(*ost).ok().map(OstIndex)).collect::<Option<_>>()?,
    })
}
