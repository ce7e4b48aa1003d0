//! Convex costs as problems hold them: segments, cut off where nobody asks for more.

/// Convex costs of many things in one piece of memory: ascending unit costs, and the units up to and with each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Curves {
    starts: Vec<u32>,
    costs: Vec<i64>,
    /// One more than costs for each thing: the first is 0.
    upto: Vec<u32>,
}

impl Curves {
    pub(super) fn with_capacity(things: usize, segments: usize) -> Self {
        let mut starts = Vec::with_capacity(things + 1);
        starts.push(0);
        Self { starts, costs: Vec::with_capacity(segments), upto: Vec::with_capacity(segments + things) }
    }

    /// Adds a thing; units beyond `bound` are left out.
    pub(super) fn push(&mut self, segments: impl Iterator<Item = (u64, i64)>, bound: u32) {
        self.upto.push(0);
        let mut sum = 0u32;
        for (units, cost) in segments {
            let units = units.min(u64::from(bound - sum)) as u32;
            if units == 0 {
                continue;
            }
            sum += units;
            self.costs.push(cost);
            self.upto.push(sum);
        }
        self.starts.push(self.costs.len() as u32);
    }

    /// Unit costs of a thing's segments.
    pub(super) fn costs(&self, thing: usize) -> &[i64] {
        &self.costs[self.starts[thing] as usize..self.starts[thing + 1] as usize]
    }

    /// Units before each of a thing's segments, and behind the last one.
    pub(super) fn upto(&self, thing: usize) -> &[u32] {
        &self.upto[self.starts[thing] as usize + thing..=self.starts[thing + 1] as usize + thing]
    }

    /// Units in the first segments of a thing.
    pub(super) fn units(&self, thing: usize, segments: u32) -> u32 {
        self.upto[self.starts[thing] as usize + thing + segments as usize]
    }

    /// Number of segments of a thing.
    pub(super) fn segments(&self, thing: usize) -> u32 {
        self.starts[thing + 1] - self.starts[thing]
    }

    /// All units of a thing.
    pub(super) fn all(&self, thing: usize) -> u32 {
        self.upto[self.starts[thing + 1] as usize + thing]
    }

    /// Each segment of a thing: units and unit cost.
    pub(super) fn each(&self, thing: usize) -> impl Iterator<Item = (u32, i64)> {
        let upto = self.upto(thing).windows(2).map(|pair| pair[1] - pair[0]);
        upto.zip(self.costs(thing).iter().copied())
    }

    /// Cost of so many units of a thing.
    pub(super) fn cost(&self, thing: usize, units: u32) -> i64 {
        let mut left = units;
        let mut sum = 0;
        for (segment, cost) in self.each(thing) {
            let taken = segment.min(left);
            sum += i64::from(taken) * cost;
            left -= taken;
            if left == 0 {
                break;
            }
        }
        sum
    }
}
