//! Successive shortest paths by Bellman and Ford: one cheapest augmenting path after the other, looked for anew.

/// Tail, head, capacity and unit cost.
pub(crate) type Arc = (usize, usize, i64, i64);

/// Units brought from `source` to `sink`, as many as possible up to `wanted`, and their least cost.
pub(crate) fn solve(nodes: usize, arcs: &[Arc], source: usize, sink: usize, wanted: i64) -> (i64, i64) {
    let mut flows = vec![0i64; arcs.len()];
    let (mut value, mut cost) = (0, 0);
    while value < wanted {
        // Distance and last step (arc, forwards) of the cheapest way to each node.
        let mut ways: Vec<Option<(i64, usize, bool)>> = vec![None; nodes];
        ways[source] = Some((0, usize::MAX, true));
        let mut changed = true;
        while changed {
            changed = false;
            for (number, (tail, head, capacity, unit_cost)) in arcs.iter().enumerate() {
                let steps = [
                    (*tail, *head, *unit_cost, flows[number] < *capacity, true),
                    (*head, *tail, -unit_cost, flows[number] > 0, false),
                ];
                for (from, to, step, open, forwards) in steps {
                    let Some((distance, ..)) = ways[from].filter(|_| open) else { continue };
                    if to != source && ways[to].is_none_or(|(known, ..)| distance + step < known) {
                        ways[to] = Some((distance + step, number, forwards));
                        changed = true;
                    }
                }
            }
        }
        let Some((distance, ..)) = ways[sink] else { break };
        let mut steps = Vec::new();
        let mut node = sink;
        while node != source {
            let (_, number, forwards) = ways[node].unwrap();
            steps.push((number, forwards));
            node = if forwards { arcs[number].0 } else { arcs[number].1 };
        }
        let room = |(number, forwards): &(usize, bool)| {
            if *forwards { arcs[*number].2 - flows[*number] } else { flows[*number] }
        };
        let units = steps.iter().map(room).min().unwrap().min(wanted - value);
        for (number, forwards) in steps {
            flows[number] += if forwards { units } else { -units };
        }
        value += units;
        cost += units * distance;
    }
    (value, cost)
}
