//! What a process knows of itself: job, rank, program, host, boot.
//!
//! It reads the environment and a few files of `/proc` once, at the start of a session. It must not fail: what cannot
//! be read is replaced by what is always known.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use tarazu_layout::{JobId, hash};
use tarazu_table::{Identity, Rank};

use crate::options::Options;
use crate::sys::{System, small_file};

/// Bytes of a file of `/proc` that is read here; all of them are shorter.
const PROC_BYTES_MAX: usize = 4096;

/// Where schedulers and launchers say a process's rank and the number of ranks. What starts the processes comes before
/// what started the job: inside a batch script every process that `mpirun` starts inherits the script's own
/// `SLURM_PROCID`.
const RANKS: [(&str, &[&str]); 4] = [
    ("OMPI_COMM_WORLD_RANK", &["OMPI_COMM_WORLD_SIZE"]),
    ("PMI_RANK", &["PMI_SIZE"]),
    ("PMIX_RANK", &["PMIX_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS"]),
    ("SLURM_PROCID", &["SLURM_NTASKS"]),
];

/// Where schedulers say the job.
const JOBS: [&str; 3] = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID"];

/// A process as the table and the daemon know it.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pub(crate) uid: u32,
    pub(crate) job: JobId,
    pub(crate) executable_hash: u64,
    pub(crate) identity: Identity,
    pub(crate) boot_hash: u64,
}

/// A way to ask the environment; tests have their own.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Process {
    pub(crate) fn look(system: &dyn System, options: &Options, environment: Lookup<'_>) -> Self {
        let text = |path: &str| file(system, &options.proc_root.join(path));
        let uid = system.euid();
        let executable = options.executable.clone().unwrap_or_else(|| executable(system, &options.proc_root));
        let host = text("sys/kernel/hostname").unwrap_or_default();
        let start = text("self/stat").and_then(|stat| process_start(&stat)).unwrap_or(0);
        let boot = text("sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            uid,
            job: options.job.unwrap_or_else(|| job(options, environment, &executable, uid)),
            executable_hash: hash::bytes(&executable),
            identity: Identity {
                rank: options.rank.or_else(|| rank(environment)),
                host_hash: hash::bytes(host.trim_ascii()),
                pid: system.pid(),
                process_start: start,
            },
            boot_hash: hash::bytes(boot.trim_ascii()),
        }
    }
}

fn file(system: &dyn System, path: &Path) -> Option<Vec<u8>> {
    small_file(system, &CString::new(path.as_os_str().as_bytes()).ok()?, PROC_BYTES_MAX)
}

/// The program's name without its path.
fn executable(system: &dyn System, proc_root: &Path) -> Vec<u8> {
    let mut buffer = [0; PROC_BYTES_MAX];
    let path = CString::new(proc_root.join("self/exe").as_os_str().as_bytes());
    let length = path.ok().and_then(|path| system.read_link(&path, &mut buffer).ok()).unwrap_or(0);
    let path = buffer.get(..length).unwrap_or_default();
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default().to_vec()
}

/// Field 22 of `/proc/self/stat`: clock ticks from boot to the start. The name in field 2 may hold anything, so fields
/// are counted behind its closing parenthesis.
fn process_start(stat: &[u8]) -> Option<u64> {
    let behind = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let field = stat.get(behind..)?.split(|byte| *byte == b' ').filter(|field| !field.is_empty()).nth(19)?;
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

fn rank(environment: Lookup<'_>) -> Option<Rank> {
    let number = |name: &str| environment(name)?.to_str()?.trim().parse::<u32>().ok();
    RANKS.iter().find_map(|(rank, worlds)| {
        let rank = number(rank)?;
        let world = worlds.iter().find_map(|world| number(world))?;
        (rank < world).then_some(Rank { rank, world })
    })
}

/// The scheduler's number of the job, hashed where it is none; without a scheduler the program's name and the user.
fn job(options: &Options, environment: Lookup<'_>, executable: &[u8], uid: u32) -> JobId {
    let named = options.job_variable.as_deref();
    let said = named.into_iter().chain(JOBS).find_map(|name| environment(name).filter(|job| !job.is_empty()));
    let Some(said) = said else {
        let named = [executable, b".", uid.to_string().as_bytes()].concat();
        return JobId(hash::bytes(&named));
    };
    let bytes = said.as_bytes().trim_ascii();
    let number = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
    JobId(number.unwrap_or_else(|| hash::bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Kernel;
    use std::collections::BTreeMap;

    fn look(variables: &[(&str, &str)], options: &Options) -> Process {
        let variables: BTreeMap<_, _> = variables.iter().copied().collect();
        Process::look(&Kernel, options, &|name| variables.get(name).map(OsString::from))
    }

    #[test]
    fn ranks_come_from_whoever_started_the_processes() {
        let rank = |variables: &[(&str, &str)]| look(variables, &Options::default()).identity.rank;
        let of = |rank, world| Some(Rank { rank, world });
        assert_eq!(rank(&[("SLURM_PROCID", "3"), ("SLURM_NTASKS", "8")]), of(3, 8));
        assert_eq!(rank(&[("PMI_RANK", "1"), ("PMI_SIZE", "2")]), of(1, 2));
        assert_eq!(rank(&[("PMIX_RANK", "5"), ("SLURM_NTASKS", "6")]), of(5, 6));
        let under_slurm = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1")];
        let mpirun = [("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_SIZE", "4")];
        assert_eq!(rank(&[under_slurm, mpirun].concat()), of(2, 4));
        for bad in [("SLURM_PROCID", "8"), ("SLURM_PROCID", "-1"), ("SLURM_PROCID", "x"), ("OTHER", "1")] {
            assert_eq!(rank(&[bad, ("SLURM_NTASKS", "8")]), None, "{bad:?}");
        }
    }

    #[test]
    fn jobs_have_the_schedulers_number_or_a_hash() {
        let job = |variables: &[(&str, &str)], options: &Options| look(variables, options).job;
        let plain = Options::default();
        assert_eq!(job(&[("SLURM_JOB_ID", "42"), ("PBS_JOBID", "7")], &plain), JobId(42));
        assert_eq!(job(&[("PBS_JOBID", "7.server")], &plain), JobId(hash::bytes(b"7.server")));
        let named = Options { job_variable: Some("MY_JOB".into()), ..Options::default() };
        assert_eq!(job(&[("SLURM_JOB_ID", "42"), ("MY_JOB", "9")], &named), JobId(9));
        let program = Options { executable: Some(b"sim".to_vec()), ..Options::default() };
        let expected = format!("sim.{}", Kernel.euid());
        assert_eq!(job(&[("SLURM_JOB_ID", "")], &program), JobId(hash::bytes(expected.as_bytes())));
    }

    #[test]
    fn this_process_is_known() {
        let process = look(&[], &Options::default());
        assert_eq!(process.identity.pid, std::process::id());
        assert!(process.identity.process_start > 0 && process.boot_hash != hash::bytes(b""));
        assert_eq!(process_start(b"12 (a) b) R 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 777 9"), Some(777));
        assert_eq!(process_start(b""), None);
    }
}
