//! A tournament over a fixed number of players: which one has the smallest key. Owns the keys and nothing else.

/// Keys of a fixed number of players; the smallest is known at once, changing one costs the tree's depth.
#[derive(Debug)]
pub(super) struct Tournament {
    /// A complete binary tree in level order: node `i` holds the smaller key of nodes `2 i` and `2 i + 1`.
    /// Players sit at `leaves..`; node 0 is unused.
    keys: Vec<f64>,
    leaves: usize,
}

impl Tournament {
    /// All players with the key infinity.
    pub(super) fn new(players: usize) -> Self {
        let leaves = players.next_power_of_two().max(2);
        Self { keys: vec![f64::INFINITY; 2 * leaves], leaves }
    }

    /// The smallest key; infinity when no player has a finite one.
    pub(super) fn min(&self) -> f64 {
        self.keys[1]
    }

    /// The player with the smallest key, the lowest number among equals.
    pub(super) fn winner(&self) -> usize {
        let mut node = 1;
        while node < self.leaves {
            node *= 2;
            if self.keys[node + 1] < self.keys[node] {
                node += 1;
            }
        }
        node - self.leaves
    }

    /// Gives a player a new key.
    pub(super) fn set(&mut self, player: usize, key: f64) {
        let mut node = self.leaves + player;
        self.keys[node] = key;
        while node > 1 {
            let smaller = self.keys[node].min(self.keys[node ^ 1]);
            node /= 2;
            if self.keys[node] == smaller {
                return;
            }
            self.keys[node] = smaller;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn knows_the_smallest_like_a_scan(
            players in 1usize..70,
            changes in prop::collection::vec((0usize..70, 0u32..20), 1..200),
        ) {
            let mut tournament = Tournament::new(players);
            let mut keys = vec![f64::INFINITY; players];
            for (player, key) in changes {
                let player = player % players;
                keys[player] = if key == 0 { f64::INFINITY } else { f64::from(key) };
                tournament.set(player, keys[player]);
                let min = keys.iter().copied().fold(f64::INFINITY, f64::min);
                prop_assert_eq!(tournament.min(), min);
                prop_assert_eq!(Some(tournament.winner()), keys.iter().position(|&k| k == min));
            }
        }
    }
}
