//! The engine against its naive twin, and the promises of its calls.

use proptest::prelude::*;

use super::naive::Naive;
use super::*;

/// Ends of the two engines may differ by this, relative and in seconds: both round, in different orders.
const TOLERANCE: f64 = 1e-9;

fn is_near(a: f64, b: f64, scale: f64) -> bool {
    (a - b).abs() <= TOLERANCE * scale.max(a.abs()).max(b.abs()).max(1.0)
}

/// Bandwidths: few round ones, so that levels are equal, or any.
fn bandwidth() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => prop::sample::select(vec![100.0, 200.0, 300.0, 400.0, 1200.0]),
        1 => 10.0..2000.0f64,
    ]
}

fn network() -> impl Strategy<Value = Network> {
    (
        prop::collection::vec(bandwidth(), 1..7),
        prop::collection::vec(bandwidth(), 1..5),
        prop::collection::vec((bandwidth(), 0u32..1000), 1..10),
    )
        .prop_map(|(nic_bps, link_bps, disks)| {
            let links = link_bps.len() as u32;
            let (disk_bps, disk_link) = disks.into_iter().map(|(bps, link)| (bps, link % links)).unzip();
            Network { nic_bps, link_bps, disk_bps, disk_link }
        })
}

#[derive(Debug, Clone)]
enum Call {
    Start { nic: u32, disks: Vec<u32>, bytes: f64, disk_cost: f64 },
    Advance { by_s: f64 },
    AdvanceToNextEnd,
    SetDisk { disk: u32, bps: f64 },
    SetLink { link: u32, bps: f64 },
}

fn call() -> impl Strategy<Value = Call> {
    let bytes = prop_oneof![
        1 => Just(0.0),
        4 => prop::sample::select(vec![100.0, 1000.0]),
        4 => 1.0..5000.0f64,
    ];
    let disk_cost =
        prop_oneof![2 => Just(1.0), 1 => prop::sample::select(vec![0.5, 1.75]), 1 => 0.05..20.0f64];
    prop_oneof![
        8 => (0u32..1000, prop::collection::vec(0u32..1000, 1..6), bytes, disk_cost)
            .prop_map(|(nic, disks, bytes, disk_cost)| Call::Start { nic, disks, bytes, disk_cost }),
        3 => (0.0..5.0f64).prop_map(|by_s| Call::Advance { by_s }),
        2 => Just(Call::AdvanceToNextEnd),
        1 => (0u32..1000, bandwidth()).prop_map(|(disk, bps)| Call::SetDisk { disk, bps }),
        1 => (0u32..1000, bandwidth()).prop_map(|(link, bps)| Call::SetLink { link, bps }),
    ]
}

/// Both engines, driven alike.
struct Twins {
    fluid: Fluid,
    naive: Naive,
    nics: u32,
    links: u32,
    disks: u32,
    fluid_done: Vec<Done>,
    naive_done: Vec<Done>,
    tags: u64,
    /// Each call reported the ends in the promised order.
    in_order: bool,
}

impl Twins {
    fn new(network: Network) -> Self {
        Self {
            nics: network.nic_bps.len() as u32,
            links: network.link_bps.len() as u32,
            disks: network.disk_bps.len() as u32,
            fluid: Fluid::new(network.clone()).unwrap(),
            naive: Naive::new(network).unwrap(),
            fluid_done: Vec::new(),
            naive_done: Vec::new(),
            tags: 0,
            in_order: true,
        }
    }

    fn call(&mut self, call: Call) {
        match call {
            Call::Start { nic, disks, bytes, disk_cost } => {
                for disk in disks {
                    let (nic, disk) = (nic % self.nics, disk % self.disks);
                    self.fluid.start(nic, disk, bytes, disk_cost, self.tags);
                    self.naive.start(nic, disk, bytes, disk_cost, self.tags);
                    self.tags += 1;
                }
            }
            Call::Advance { by_s } => self.advance(self.fluid.now_s() + by_s),
            Call::AdvanceToNextEnd => {
                if let Some(to_s) = self.fluid.next_end_s() {
                    self.advance(to_s);
                }
            }
            Call::SetDisk { disk, bps } => {
                self.fluid.set_disk_bps(disk % self.disks, bps);
                self.naive.set_disk_bps(disk % self.disks, bps);
            }
            Call::SetLink { link, bps } => {
                self.fluid.set_link_bps(link % self.links, bps);
                self.naive.set_link_bps(link % self.links, bps);
            }
        }
    }

    fn advance(&mut self, to_s: f64) {
        let before = self.fluid_done.len();
        self.fluid.advance(to_s, &mut self.fluid_done);
        let in_order = |pair: &[Done]| (pair[0].end_s, pair[0].tag) < (pair[1].end_s, pair[1].tag);
        self.in_order &= self.fluid_done[before..].windows(2).all(in_order);
        self.naive.advance(to_s, &mut self.naive_done);
    }

    fn check_disks(&self) -> Result<(), TestCaseError> {
        for disk in 0..self.disks {
            let (served, expected) = (self.fluid.disk_served_bytes(disk), self.naive.disk_served_bytes(disk));
            prop_assert!(is_near(served, expected, 1e3), "disk {disk} served {served}, not {expected}");
            let (backlog, expected) =
                (self.fluid.disk_backlog_bytes(disk), self.naive.disk_backlog_bytes(disk));
            prop_assert!(is_near(backlog, expected, 1e3), "disk {disk} has {backlog} to do, not {expected}");
        }
        Ok(())
    }

    fn check_ends(&mut self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.fluid.active(), 0);
        prop_assert_eq!(self.fluid_done.len() as u64, self.tags);
        prop_assert!(self.in_order, "out of order: {:?}", self.fluid_done);
        prop_assert!(self.fluid_done.is_sorted_by_key(|done| done.end_s));
        self.fluid_done.sort_by_key(|done| done.tag);
        self.naive_done.sort_by_key(|done| done.tag);
        for (done, expected) in self.fluid_done.iter().zip(&self.naive_done) {
            prop_assert_eq!(done.tag, expected.tag);
            prop_assert!(is_near(done.end_s, expected.end_s, 1.0), "{done:?} is not {expected:?}");
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn agrees_with_the_naive_engine(network in network(), calls in prop::collection::vec(call(), 1..60)) {
        let mut twins = Twins::new(network);
        for call in calls {
            twins.call(call);
            twins.check_disks()?;
        }
        while let Some(end_s) = twins.fluid.next_end_s() {
            twins.advance(end_s);
        }
        // The naive engine's last end may be later by a rounding.
        twins.advance(twins.fluid.now_s() * (1.0 + TOLERANCE) + TOLERANCE);
        twins.check_disks()?;
        twins.check_ends()?;
    }

    #[test]
    fn same_calls_give_the_same_bits(network in network(), calls in prop::collection::vec(call(), 1..30)) {
        let run = || {
            let mut twins = Twins::new(network.clone());
            for call in calls.clone() {
                twins.call(call);
            }
            let ends: Vec<_> = twins.fluid_done.iter().map(|done| (done.tag, done.end_s.to_bits())).collect();
            (ends, twins.fluid.now_s().to_bits(), twins.fluid.active())
        };
        prop_assert_eq!(run(), run());
    }

    /// Looking at the clock more often changes nothing, not even a last bit.
    #[test]
    fn steps_of_time_do_not_matter(
        network in network(),
        starts in prop::collection::vec((0u32..1000, 0u32..1000, 1.0..5000.0f64), 1..20),
        steps in 1u32..50,
    ) {
        let run = |steps: u32| {
            let mut fluid = Fluid::new(network.clone()).unwrap();
            for (tag, &(nic, disk, bytes)) in (0..).zip(&starts) {
                let (nics, disks) = (network.nic_bps.len() as u32, network.disk_bps.len() as u32);
                fluid.start(nic % nics, disk % disks, bytes, 1.0, tag);
            }
            let mut done = Vec::new();
            for step in 1..=steps {
                fluid.advance(100.0 * f64::from(step) / f64::from(steps), &mut done);
            }
            done
        };
        prop_assert_eq!(run(1), run(steps));
    }
}

fn one_of_each() -> Network {
    Network { nic_bps: vec![1000.0], link_bps: vec![800.0], disk_bps: vec![600.0], disk_link: vec![0] }
}

fn run(fluid: &mut Fluid, to_s: f64) -> Vec<(u64, f64)> {
    let mut done = Vec::new();
    fluid.advance(to_s, &mut done);
    done.into_iter().map(|done| (done.tag, done.end_s)).collect()
}

#[test]
fn a_flow_alone_gets_the_tightest_capacity() {
    let mut fluid = Fluid::new(one_of_each()).unwrap();
    fluid.start(0, 0, 1200.0, 1.0, 7);
    assert_eq!(fluid.next_end_s(), Some(2.0));
    assert_eq!(run(&mut fluid, 1.0), []);
    assert_eq!((fluid.disk_served_bytes(0), fluid.disk_backlog_bytes(0)), (600.0, 600.0));
    assert_eq!((fluid.disk_flows(0), fluid.active()), (1, 1));
    assert_eq!(run(&mut fluid, 9.0), [(7, 2.0)]);
    assert_eq!((fluid.now_s(), fluid.next_end_s()), (9.0, None));
    assert_eq!((fluid.disk_served_bytes(0), fluid.disk_backlog_bytes(0)), (1200.0, 0.0));
    assert_eq!((fluid.disk_flows(0), fluid.active()), (0, 0));
}

#[test]
fn a_dear_flow_takes_more_of_the_disk_and_equal_rates_hold() {
    let mut fluid = Fluid::new(one_of_each()).unwrap();
    fluid.start(0, 0, 200.0, 1.0, 0);
    fluid.start(0, 0, 200.0, 2.0, 1);
    // 600 = r + 2 r
    assert_eq!(run(&mut fluid, 9.0), [(0, 1.0), (1, 1.0)]);
}

#[test]
fn capacity_changes_count_from_now_on() {
    let mut fluid = Fluid::new(one_of_each()).unwrap();
    fluid.start(0, 0, 1200.0, 1.0, 0);
    assert_eq!(run(&mut fluid, 1.0), []);
    fluid.set_disk_bps(0, 60.0);
    assert_eq!(run(&mut fluid, 6.0), []);
    assert_eq!(fluid.disk_served_bytes(0), 900.0);
    fluid.set_disk_bps(0, 600.0);
    fluid.set_link_bps(0, 300.0);
    assert_eq!(run(&mut fluid, 9.0), [(0, 7.0)]);
}

#[test]
fn flows_without_bytes_end_at_once_and_in_their_place() {
    let mut fluid = Fluid::new(one_of_each()).unwrap();
    assert_eq!(run(&mut fluid, 1.0), []);
    fluid.start(0, 0, 0.0, 1.0, 3);
    fluid.start(0, 0, 600.0, 1.0, 4);
    fluid.start(0, 0, 0.0, 1.0, 5);
    assert_eq!(fluid.next_end_s(), Some(1.0));
    assert_eq!(run(&mut fluid, 2.0), [(3, 1.0), (5, 1.0), (4, 2.0)]);
}

#[test]
fn flows_that_end_together_come_in_the_order_of_their_starts() {
    let network = Network {
        nic_bps: vec![1e4],
        link_bps: vec![1e4; 2],
        disk_bps: vec![100.0; 8],
        disk_link: vec![0, 1, 0, 1, 0, 1, 0, 1],
    };
    let mut fluid = Fluid::new(network).unwrap();
    for (tag, disk) in [5u32, 2, 7, 0, 3, 1, 6, 4].into_iter().enumerate() {
        fluid.start(0, disk, 100.0, 1.0, tag as u64);
    }
    let expected: Vec<(u64, f64)> = (0..8).map(|tag| (tag, 1.0)).collect();
    assert_eq!(run(&mut fluid, 1.0), expected);
}

#[test]
fn bad_networks_are_refused() {
    for bps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let network = Network { link_bps: vec![1.0, bps], ..one_of_each() };
        let error = Fluid::new(network).unwrap_err();
        assert!(error.to_string().starts_with("link 1 has a bandwidth of"), "{error}");
    }
    let network = Network { disk_link: vec![], ..one_of_each() };
    assert_eq!(Fluid::new(network).unwrap_err(), FluidError::DiskLinks { disks: 1, links: 0 });
    let network = Network { disk_link: vec![1], ..one_of_each() };
    assert_eq!(Fluid::new(network).unwrap_err(), FluidError::UnknownLink { disk: 0, link: 1, links: 1 });
}
