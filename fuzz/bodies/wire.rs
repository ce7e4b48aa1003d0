//! What taking any bytes for a message of an agent or a node must hold.
//!
//! Compiled into the fuzz target and, by path, into the test that replays its corpus.

use prost::Message;
use tarazu_layout::{OstIndex, TargetId, limits::STRIPES_MAX};
use tarazu_proto::limits::{
    FILE_SYSTEM_NAME_MAX, HOST_NAME_MAX, PROFILES_MAX, SERVER_TARGETS_MAX, WORLD_MAX,
};
use tarazu_proto::v1::{AgentMessage, SyncRequest, agent_message};
use tarazu_proto::{Rows, job_start, job_start_from, placed, placed_from, register, sample};

/// The targets of a small file system, with a gap.
fn target(ost: OstIndex) -> Option<TargetId> {
    (ost.0 < 16 && ost.0 != 5).then_some(TargetId(ost.0))
}

/// Bytes are refused, or what is believed of them keeps to the limits. Whether anything was believed.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let agent = AgentMessage::decode(bytes)
        .is_ok_and(|message| message.message.is_some_and(|message| of_agent(&message)));
    let node = SyncRequest::decode(bytes).is_ok_and(|message| of_node(&message));
    agent || node
}

fn of_agent(message: &agent_message::Message) -> bool {
    match message {
        agent_message::Message::Register(message) => {
            let Ok(registration) = register(message) else { return false };
            assert!((1..=FILE_SYSTEM_NAME_MAX).contains(&registration.file_system.len()));
            let claim = registration.claim;
            assert!((1..=HOST_NAME_MAX).contains(&claim.server.len()) && claim.link_bps >= 1.0);
            assert!((1..=SERVER_TARGETS_MAX).contains(&claim.targets.len()));
            assert!(claim.targets.iter().all(|target| target.write_bps.is_finite() && target.capacity.0 > 0));
            true
        }
        agent_message::Message::Sample(message) => {
            let rows = Rows { server: tarazu_layout::ServerId(0), session: 1, target: &target };
            let Ok(sample) = sample(message, &rows) else { return false };
            assert!(sample.targets.len() <= SERVER_TARGETS_MAX);
            assert!(sample.targets.iter().all(|row| target(OstIndex(row.target.0)).is_some()));
            true
        }
        agent_message::Message::CanaryDone(_) => false,
    }
}

fn of_node(message: &SyncRequest) -> bool {
    let mut believed = false;
    for report in &message.file_systems {
        for file in report.placed.iter().filter_map(|file| placed(file, &target).ok()) {
            assert!((1..=STRIPES_MAX).contains(&file.targets.len()));
            let again = placed_from(&file, &|target| OstIndex(target.0));
            assert_eq!(placed(&again, &target).as_ref(), Ok(&file));
            believed = true;
        }
        for start in report.starts.iter().filter_map(|start| job_start(start).ok()) {
            assert!(
                (1..=WORLD_MAX).contains(&start.world) && (1..=PROFILES_MAX).contains(&start.files.len())
            );
            assert!(start.files.iter().all(|file| file.placed <= file.expected && file.confidence <= 100));
            assert_eq!(job_start(&job_start_from(&start)), Ok(start));
            believed = true;
        }
    }
    believed
}
